//! The agent's side of the contract: actions, exit codes, parameters, the call's surroundings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::line::{Line, Watch};

use crate::channel::Channel;
use crate::deadline::Deadline;
use crate::metadata::check::{parse_address, parse_boolean};
use crate::metadata::{MetaData, Problem};

/// What an agent is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Print the description.
    MetaData,
    /// Make it run; success if it runs already.
    Start,
    /// Does it run? Success, or [`Exit::NotRunning`], or what is wrong.
    Status,
    /// End it; success if it does not run.
    Stop,
    /// Are the parameters right, and is all there that is needed?
    Validate,
}

impl Action {
    /// The action of this word; OCF's words for the same (`monitor`, `validate-all`) count too.
    pub fn parse(word: &str) -> Option<Action> {
        match word {
            "meta-data" => Some(Action::MetaData),
            "start" => Some(Action::Start),
            "status" | "monitor" => Some(Action::Status),
            "stop" => Some(Action::Stop),
            "validate" | "validate-all" => Some(Action::Validate),
            _ => None,
        }
    }
}

/// Exit codes; the numbers are OCF's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or: it runs.
    Ok = 0,
    /// It failed, or: it runs and is not well.
    Generic = 1,
    /// The call itself is wrong.
    Arguments = 2,
    /// The agent does not know this action.
    Unimplemented = 3,
    /// Not allowed.
    Permission = 4,
    /// Something that is needed is not installed.
    Installed = 5,
    /// A parameter is missing or wrong.
    Configured = 6,
    /// It does not run.
    NotRunning = 7,
}

impl Exit {
    /// The number for the operating system.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// What a number means.
    pub fn from_code(code: i32) -> Option<Exit> {
        Some(match code {
            0 => Exit::Ok,
            1 => Exit::Generic,
            2 => Exit::Arguments,
            3 => Exit::Unimplemented,
            4 => Exit::Permission,
            5 => Exit::Installed,
            6 => Exit::Configured,
            7 => Exit::NotRunning,
            _ => return None,
        })
    }
}

/// Why an action did not succeed: one exit code, one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What was expected, what was found, what to do.
    pub reason: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, reason: impl Into<String>) -> Failure {
        Failure { exit, reason: reason.into() }
    }

    pub(crate) fn generic(reason: impl Into<String>) -> Failure {
        Failure::new(Exit::Generic, reason)
    }

    pub(crate) fn configured(reason: impl Into<String>) -> Failure {
        Failure::new(Exit::Configured, reason)
    }

    pub(crate) fn installed(reason: impl Into<String>) -> Failure {
        Failure::new(Exit::Installed, reason)
    }

    pub(crate) fn not_running(reason: impl Into<String>) -> Failure {
        Failure::new(Exit::NotRunning, reason)
    }

    /// The error of the operating system, told apart where OCF has a code for it.
    pub(crate) fn system(what: impl fmt::Display, error: &std::io::Error) -> Failure {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::Permission,
            _ => Exit::Generic,
        };
        Failure::new(exit, format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.reason)
    }
}

impl std::error::Error for Failure {}

/// What a built-in agent's action returns.
pub(crate) type Outcome = Result<(), Failure>;

/// One call of a built-in agent.
pub(crate) struct Call {
    pub(crate) action: Action,
    pub(crate) parameters: Parameters,
    pub(crate) context: Context,
    pub(crate) channel: Channel,
}

impl Call {
    /// The same call for one program of several that make up the resource: it has files of its own.
    pub(crate) fn part(&self, name: &str) -> Call {
        let instance = format!("{}.{name}", self.context.instance);
        Call {
            action: self.action,
            parameters: self.parameters.clone(),
            context: Context { instance, ..self.context.clone() },
            channel: self.channel.duplicate(),
        }
    }
}

/// The surroundings of a call, from `CRM_GROUP` and its siblings.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// A name for files of this resource: letters, digits, `_`, `-`, `.`, `%`.
    pub(crate) instance: String,
    /// Cluster-wide name of the group and of the resource, for messages and for the children.
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) node: String,
    pub(crate) deadline: Deadline,
    pub(crate) state_dir: PathBuf,
    /// The cluster's record says that every other copy of the group's data is stale.
    pub(crate) freshest: bool,
    /// Nodes that the cluster has proved dead.
    pub(crate) peers_dead: BTreeSet<String>,
}

impl Context {
    /// `variable` reads the environment; `seed` tells calls without a resource name apart.
    pub(crate) fn read(
        agent: &str,
        variable: impl Fn(&str) -> Option<String>,
        seed: &BTreeMap<String, String>,
    ) -> Result<Context, Failure> {
        let timeout = match variable("CRM_TIMEOUT_MS") {
            None => DEFAULT_TIMEOUT,
            Some(text) => text.parse().map(Duration::from_millis).map_err(|_| {
                Failure::new(
                    Exit::Arguments,
                    format!("CRM_TIMEOUT_MS must be milliseconds, found {text:?}"),
                )
            })?,
        };
        let group = variable("CRM_GROUP").unwrap_or_default();
        let resource = variable("CRM_RESOURCE")
            .or_else(|| variable("OCF_RESOURCE_INSTANCE"))
            .unwrap_or_default();
        let instance = if resource.is_empty() {
            format!("{agent}.{:016x}", fingerprint(seed))
        } else {
            format!("{}.{}", file_name(&group), file_name(&resource))
        };
        Ok(Context {
            instance,
            group,
            resource,
            node: variable("CRM_NODE").unwrap_or_default(),
            deadline: Deadline::from_timeout(timeout),
            state_dir: variable("CRM_STATE_DIR")
                .map_or_else(|| PathBuf::from(DEFAULT_STATE_DIR), PathBuf::from),
            freshest: variable("CRM_DATA").as_deref() == Some("freshest"),
            peers_dead: variable("CRM_PEERS_DEAD")
                .iter()
                .flat_map(|names| names.split(','))
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// The parameters of a call, already checked against the meta-data.
#[derive(Debug, Clone)]
pub(crate) struct Parameters {
    given: BTreeMap<String, String>,
    defaults: BTreeMap<String, String>,
}

impl Parameters {
    /// Reads `CRM_<NAME>`, else `OCF_RESKEY_<name>`; an empty value counts as none.
    pub(crate) fn read(
        meta: &MetaData,
        variable: impl Fn(&str) -> Option<String>,
    ) -> BTreeMap<String, String> {
        let mut given = BTreeMap::new();
        for parameter in &meta.parameters {
            let ours = format!("CRM_{}", parameter.name.to_ascii_uppercase());
            let theirs = format!("OCF_RESKEY_{}", parameter.name);
            let value = variable(&ours).or_else(|| variable(&theirs));
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                given.insert(parameter.name.clone(), value);
            }
        }
        given
    }

    /// # Errors
    /// All problems in one reason, exit code 6.
    pub(crate) fn checked(
        meta: &MetaData,
        given: BTreeMap<String, String>,
    ) -> Result<Parameters, Failure> {
        let problems: Vec<String> = meta.check(&given).iter().map(Problem::to_string).collect();
        if !problems.is_empty() {
            return Err(Failure::configured(problems.join("; ")));
        }
        let defaults = meta
            .parameters
            .iter()
            .filter_map(|p| Some((p.name.clone(), p.default.clone()?)))
            .collect();
        Ok(Parameters { given, defaults })
    }

    /// The value given, or the default of the meta-data.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name).or_else(|| self.defaults.get(name)).map(String::as_str)
    }

    /// The value of a parameter that the check has made sure of.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.text(name).ok_or_else(|| Failure::configured(format!("`{name}` is required")))
    }

    pub(crate) fn boolean(&self, name: &str) -> bool {
        self.text(name).and_then(parse_boolean).unwrap_or(false)
    }

    pub(crate) fn duration(&self, name: &str) -> Duration {
        self.text(name).and_then(|text| crate::parse_duration(text).ok()).unwrap_or_default()
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    pub(crate) fn address(&self, name: &str) -> Result<(std::net::IpAddr, Option<u8>), Failure> {
        let text = self.required(name)?;
        parse_address(text)
            .ok_or_else(|| Failure::configured(format!("`{name}` is no address: {text:?}")))
    }
}

/// Any text as a file name; two texts never become the same name.
fn file_name(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}

/// FNV-1a: stable from one run to the next, which the standard library's hashes need not be.
fn fingerprint(values: &BTreeMap<String, String>) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (name, value) in values {
        for byte in name.bytes().chain([0]).chain(value.bytes()).chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_STATE_DIR: &str = "/run/crm/agents";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_wins_over_ocf_and_empty_is_none() {
        let meta = crate::meta_data("vip").expect("builtin");
        let given = Parameters::read(&meta, |name| match name {
            "CRM_ADDRESS" => Some("192.0.2.1".to_owned()),
            "OCF_RESKEY_address" => Some("192.0.2.2".to_owned()),
            "OCF_RESKEY_interface" => Some("eth0".to_owned()),
            "CRM_PREFIX" => Some(String::new()),
            _ => None,
        });
        assert_eq!(given.get("address").map(String::as_str), Some("192.0.2.1"));
        assert_eq!(given.get("interface").map(String::as_str), Some("eth0"));
        assert_eq!(given.get("prefix"), None);
    }

    #[test]
    fn file_names_stay_apart_and_inside_the_directory() {
        assert_eq!(file_name("db-1"), "db-1");
        assert_eq!(file_name("../x"), "%2e%2e%2fx");
        assert_ne!(file_name("a.b"), file_name("a%2eb"));
    }

    #[test]
    fn a_timeout_that_is_no_number_is_an_argument_error() {
        let read = Context::read(
            "vip",
            |name| (name == "CRM_TIMEOUT_MS").then(|| "soon".to_owned()),
            &BTreeMap::new(),
        );
        assert_eq!(read.expect_err("refused").exit, Exit::Arguments);
    }

    #[test]
    fn exit_codes_are_ocfs() {
        for code in 0..=7 {
            assert_eq!(Exit::from_code(code).map(Exit::code), Some(code));
        }
        assert_eq!(Exit::from_code(8), None);
    }
}
