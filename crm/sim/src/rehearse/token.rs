//! The name of one run: `dies:alpha+cut:alpha:beta@7.3fa2c1`, which is its faults, its seed and a
//! digest of the configuration.

use super::{Case, Subject, every};
use std::fmt;

/// What `crm replay` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    names: String,
    pub seed: u64,
    /// Of the configuration that it was found with.
    pub digest: u32,
}

impl Token {
    #[must_use]
    pub fn of(case: &Case, subject: &Subject) -> Token {
        Token { names: case.names(subject), seed: case.seed, digest: subject.digest }
    }

    /// Reads a token.
    ///
    /// # Errors
    /// What a token looks like.
    pub fn parse(text: &str) -> Result<Token, String> {
        let shape = || {
            format!(
                "`{text}` is not a token; expected FAULT[+FAULT]@SEED.DIGEST, as `crm verify` prints it"
            )
        };
        let (names, rest) = text.trim().rsplit_once('@').ok_or_else(shape)?;
        let (seed, digest) = rest.split_once('.').ok_or_else(shape)?;
        let seed = seed.parse().map_err(|_| shape())?;
        let digest = u32::from_str_radix(digest, 16).map_err(|_| shape())?;
        if names.is_empty() {
            return Err(shape());
        }
        Ok(Token { names: names.to_owned(), seed, digest })
    }

    /// The run that it names.
    ///
    /// # Errors
    /// A fault that this configuration cannot meet.
    pub fn case(&self, subject: &Subject) -> Result<Case, String> {
        let known = every::single(subject);
        let faults = self
            .names
            .split('+')
            .map(|name| {
                let found = known.iter().find(|fault| fault.id(&subject.cluster) == name);
                found.cloned().ok_or_else(|| {
                    format!("this configuration has no fault `{name}`; is it the file that was verified?")
                })
            })
            .collect::<Result<Vec<_>, String>>()?;
        if faults.len() > 2 {
            return Err(format!("expected one fault or two, found {}", faults.len()));
        }
        Ok(Case { faults, seed: self.seed })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}.{:06x}", self.names, self.seed, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_case_again() {
        let subject = Subject::new(&crate::layouts::find("trio").unwrap().text()).unwrap();
        let faults = every::single(&subject);
        for fault in &faults {
            let case = Case { faults: vec![fault.clone(), faults[0].clone()], seed: 9 };
            let token = Token::of(&case, &subject);
            let again = Token::parse(&token.to_string()).unwrap();
            assert_eq!(again, token);
            assert_eq!(again.case(&subject), Ok(case));
        }
    }

    #[test]
    fn what_is_no_token_is_said() {
        let subject = Subject::new(&crate::layouts::find("pair").unwrap().text()).unwrap();
        for text in ["", "x", "dies:alpha", "dies:alpha@", "dies:alpha@1", "@1.a", "dies:alpha@x.1"]
        {
            let error = Token::parse(text).unwrap_err();
            assert!(error.contains("expected FAULT"), "{error}");
        }
        let other = Token::parse("dies:zeta@1.a").unwrap();
        assert!(other.case(&subject).unwrap_err().contains("`dies:zeta`"));
    }
}
