//! Do the given parameters fit the meta-data? One answer for `validate`, the configuration
//! checker and the agents themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::{Kind, MetaData, Parameter};

/// One thing that is wrong with the given parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A required parameter has no value.
    Missing {
        /// Its name.
        parameter: String,
        /// What it is for.
        description: String,
    },
    /// The agent has no parameter of this name.
    Unknown {
        /// The name that was given.
        parameter: String,
        /// A known name that looks like it.
        similar: Option<String>,
    },
    /// The value does not fit the type.
    Unfit {
        /// The parameter's name.
        parameter: String,
        /// What would fit.
        expected: String,
        /// What was given.
        found: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing { parameter, description } => {
                write!(out, "`{parameter}` is required and not given ({description})")
            }
            Problem::Unknown { parameter, similar: Some(similar) } => {
                write!(out, "there is no parameter `{parameter}`; did you mean `{similar}`?")
            }
            Problem::Unknown { parameter, similar: None } => {
                write!(out, "there is no parameter `{parameter}`")
            }
            Problem::Unfit { parameter, expected, found } => {
                write!(out, "`{parameter}` must be {expected}, found {found:?}")
            }
        }
    }
}

impl MetaData {
    /// Every problem of `given`, in the order of the meta-data, unknown names last.
    pub fn check(&self, given: &BTreeMap<String, String>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for parameter in &self.parameters {
            match given.get(&parameter.name).map(String::as_str) {
                None | Some("") if parameter.required => problems.push(Problem::Missing {
                    parameter: parameter.name.clone(),
                    description: parameter.description.clone(),
                }),
                None => {}
                Some(value) => {
                    if let Some(expected) = parameter.misfit(value) {
                        problems.push(Problem::Unfit {
                            parameter: parameter.name.clone(),
                            expected,
                            found: value.to_owned(),
                        });
                    }
                }
            }
        }
        for name in given.keys().filter(|name| self.parameter(name).is_none()) {
            problems
                .push(Problem::Unknown { parameter: name.clone(), similar: self.similar(name) });
        }
        problems
    }

    fn similar(&self, name: &str) -> Option<String> {
        self.parameters
            .iter()
            .map(|parameter| (distance(&parameter.name, name), &parameter.name))
            .filter(|(distance, _)| *distance <= 2)
            .min()
            .map(|(_, name)| name.clone())
    }
}

impl Parameter {
    /// What `value` would have to be, if it does not fit.
    pub fn misfit(&self, value: &str) -> Option<String> {
        if !self.values.is_empty() {
            let fits = self.values.iter().any(|allowed| allowed == value);
            return (!fits).then(|| format!("one of {}", self.values.join(", ")));
        }
        let (fits, expected) = match self.kind {
            Kind::Address => (
                parse_address(value).is_some(),
                "an address such as 192.0.2.7/24 or 2001:db8::7/64",
            ),
            Kind::Boolean => (parse_boolean(value).is_some(), "true or false"),
            Kind::Duration => {
                (crate::parse_duration(value).is_ok(), "a duration such as 200ms, 5s or 2m")
            }
            Kind::Integer => (value.parse::<i64>().is_ok(), "a whole number"),
            Kind::Path => (value.starts_with('/'), "an absolute path"),
            Kind::String => (true, ""),
        };
        (!fits).then(|| expected.to_owned())
    }
}

/// `true|yes|on|1` and `false|no|off|0`, in any case.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// `ADDRESS` or `ADDRESS/PREFIX`.
pub(crate) fn parse_address(text: &str) -> Option<(IpAddr, Option<u8>)> {
    let (address, prefix) = match text.split_once('/') {
        None => (text, None),
        Some((address, prefix)) => (address, Some(prefix)),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    match prefix {
        None => Some((address, None)),
        Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
            let prefix: u8 = prefix.parse().ok()?;
            (1..=longest).contains(&prefix).then_some((address, Some(prefix)))
        }
        Some(_) => None,
    }
}

/// Edit distance, for the "did you mean" of short names.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn vip() -> MetaData {
        crate::meta_data("vip").expect("builtin")
    }

    #[test]
    fn fitting_parameters_have_no_problem() {
        let given = given(&[("address", "192.0.2.1/24"), ("dad", "yes"), ("garp_repeat", "2")]);
        assert_eq!(vip().check(&given), []);
    }

    #[test]
    fn each_kind_of_problem_is_told_apart() {
        let problems = vip().check(&given(&[("adress", "192.0.2.1"), ("dad", "perhaps")]));
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 3, "{text:?}");
        assert!(text[0].starts_with("`address` is required"), "{text:?}");
        assert_eq!(text[1], "`dad` must be true or false, found \"perhaps\"");
        assert_eq!(text[2], "there is no parameter `adress`; did you mean `address`?");
    }

    #[test]
    fn addresses() {
        assert!(parse_address("10.0.0.1").is_some());
        assert_eq!(parse_address("fe80::1/64").map(|(_, prefix)| prefix), Some(Some(64)));
        for bad in ["", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/+8", "10.0.0/8", "::1/129", "::1/0"] {
            assert!(parse_address(bad).is_none(), "{bad}");
        }
    }
}
