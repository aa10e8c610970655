//! From an operation to a command line: where the agent of each class lies, what it is called
//! with, and how its answer is judged.

use super::environment;
use super::judge::Judge;
use crm_core::model::AgentClass;
use crm_core::operation::{Action, Operation};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where agents are, and who calls them.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) node: String,
    pub(crate) agents_dir: PathBuf,
    pub(crate) ocf_root: PathBuf,
    pub(crate) agent_state_dir: PathBuf,
    /// This program, for the agents that are built into it.
    pub(crate) this_program: PathBuf,
    pub(crate) lsb_dir: PathBuf,
    pub(crate) heartbeat_dir: PathBuf,
    /// Where `fence_…` programs are.
    pub(crate) fence_dirs: Vec<PathBuf>,
}

/// Ready to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) program: PathBuf,
    /// What the program sees as its own name, where that decides what it does.
    pub(crate) own_name: Option<&'static str>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) judge: Judge,
}

/// The name under which this program is its agents.
pub(crate) const AGENT_NAME: &str = "crm-agent";

/// The parameter of a script that says how its status is asked.
const CHECK: &str = "check";

/// The command line of an operation.
///
/// # Errors
/// One line that names what was looked for, if there is no such agent here.
pub(crate) fn call(places: &Places, operation: &Operation, token: &str) -> Result<Call, String> {
    let spec = &operation.spec;
    let name = spec.agent.name.as_str();
    if name.is_empty() || name.contains('/') && spec.agent.class != AgentClass::Systemd {
        return Err(format!("{:?} cannot name an agent", spec.agent.to_string()));
    }
    let environment = environment::environment(places, operation, token);
    let action = operation.action;
    let word = action.as_str().to_owned();
    let call = |program: PathBuf, arguments: Vec<String>, judge: Judge| Call {
        program,
        own_name: None,
        arguments,
        environment,
        judge,
    };
    match &spec.agent.class {
        AgentClass::Own => {
            let file = places.agents_dir.join(name);
            if is_executable(&file) {
                Ok(call(file, vec![word], Judge::Ocf))
            } else if crm_agents::is_builtin(name) {
                let mut call =
                    call(places.this_program.clone(), vec![name.to_owned(), word], Judge::Ocf);
                call.own_name = Some(AGENT_NAME);
                Ok(call)
            } else {
                Err(missing(&[&file], "it is not built in either"))
            }
        }
        AgentClass::Ocf { provider } => {
            if provider.contains('/') || provider.starts_with('.') {
                return Err(format!("{provider:?} cannot name a provider of OCF agents"));
            }
            let file = places.ocf_root.join("resource.d").join(provider).join(name);
            let word = if action == Action::Status { "monitor".to_owned() } else { word };
            found(&file).map(|()| call(file, vec![word], Judge::Ocf))
        }
        // HB47: a script that knows no `status` gets a command of the admin's for it.
        AgentClass::Lsb | AgentClass::Heartbeat
            if action == Action::Status && spec.params.contains_key(CHECK) =>
        {
            let check = spec.params.get(CHECK).cloned().unwrap_or_default();
            let arguments = vec!["-c".to_owned(), check];
            Ok(call(PathBuf::from("/bin/sh"), arguments, Judge::Check))
        }
        AgentClass::Lsb => {
            let file = places.lsb_dir.join(name);
            let mut arguments = spec.args.clone();
            arguments.push(word);
            found(&file).map(|()| call(file, arguments, Judge::Lsb))
        }
        AgentClass::Heartbeat => {
            let first = places.heartbeat_dir.join(name);
            let second = places.lsb_dir.join(name);
            let mut arguments = spec.args.clone();
            arguments.push(word);
            match [&first, &second].into_iter().find(|file| is_executable(file)) {
                Some(file) => Ok(call(file.clone(), arguments, Judge::Words)),
                None => Err(missing(&[&first, &second], "install the script")),
            }
        }
        AgentClass::Systemd => {
            // Ours, which speaks to systemd itself: jobs have results, and states have names.
            let agent = crm_agents::systemd::NAME.to_owned();
            let mut call = call(places.this_program.clone(), vec![agent, word], Judge::Ocf);
            call.own_name = Some(AGENT_NAME);
            call.environment.insert("CRM_UNIT".to_owned(), name.to_owned());
            Ok(call)
        }
    }
}

fn found(file: &Path) -> Result<(), String> {
    if is_executable(file) { Ok(()) } else { Err(missing(&[file], "install the agent")) }
}

/// Where it was looked for; that it is missing, the outcome says.
fn missing(files: &[&Path], hint: &str) -> String {
    let places: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    format!("expected an executable at {}; {hint}", places.join(" or "))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl Places {
    /// The usual places of a distribution.
    pub(crate) fn new(options: &crate::Options, node: &str) -> Places {
        Places {
            node: node.to_owned(),
            agents_dir: options.agents_dir.clone(),
            ocf_root: options.ocf_root.clone(),
            agent_state_dir: options.agent_state_dir(),
            // The link leads to the running program even after the package replaced its file.
            this_program: PathBuf::from("/proc/self/exe"),
            lsb_dir: PathBuf::from("/etc/init.d"),
            heartbeat_dir: PathBuf::from("/etc/ha.d/resource.d"),
            fence_dirs: ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::testing::{operation, places, script};

    #[test]
    fn heartbeat_scripts_get_their_arguments_before_the_action() {
        let dir = crate::testing::Dir::new();
        script(dir.path(), "oractl", "exit 0");
        let mut operation = operation("heartbeat:oractl", Action::Start);
        std::sync::Arc::make_mut(&mut operation.spec).args = vec!["TEST01".into(), "x y".into()];
        let call = call(&places(dir.path()), &operation, "t").expect("found");
        assert_eq!(call.arguments, ["TEST01", "x y", "start"]);
        assert_eq!(call.judge, Judge::Words);
    }

    #[test]
    fn hb47_a_script_without_status_is_asked_by_its_check() {
        let dir = crate::testing::Dir::new();
        script(dir.path(), "oractl", "exit 0");
        for class in ["lsb:oractl", "heartbeat:oractl"] {
            let of = |action| {
                let mut operation = operation(class, action);
                let spec = std::sync::Arc::make_mut(&mut operation.spec);
                spec.params.insert("check".into(), "pgrep -x ora".into());
                call(&places(dir.path()), &operation, "t").expect("found")
            };
            let status = of(Action::Status);
            assert_eq!(status.program, Path::new("/bin/sh"));
            assert_eq!(status.arguments, ["-c", "pgrep -x ora"]);
            assert_eq!(status.judge, Judge::Check);
            assert_eq!(of(Action::Start).arguments, ["start"], "the script itself");
        }
    }

    #[test]
    fn a_unit_is_named_to_our_own_agent() {
        let dir = crate::testing::Dir::new();
        let operation = operation("systemd:nginx", Action::Status);
        let call = call(&places(dir.path()), &operation, "t").expect("built in");
        assert_eq!(call.arguments, ["systemd", "status"]);
        assert_eq!(call.own_name, Some(AGENT_NAME));
        assert_eq!((call.environment["CRM_UNIT"].as_str(), call.judge), ("nginx", Judge::Ocf));
    }

    #[test]
    fn status_of_an_ocf_agent_is_called_monitor() {
        let dir = crate::testing::Dir::new();
        let provider = dir.path().join("resource.d/heartbeat");
        std::fs::create_dir_all(&provider).expect("mkdir");
        script(&provider, "Dummy", "exit 0");
        let places = places(dir.path());
        let call = call(&places, &operation("ocf:heartbeat:Dummy", Action::Status), "t");
        assert_eq!(call.expect("found").arguments, ["monitor"]);
    }

    #[test]
    fn a_missing_agent_names_where_it_was_looked_for() {
        let dir = crate::testing::Dir::new();
        for agent in ["nosuch", "ocf:x:nosuch", "lsb:nosuch", "heartbeat:nosuch"] {
            let error = call(&places(dir.path()), &operation(agent, Action::Start), "t")
                .expect_err("missing");
            assert!(error.contains(&dir.path().display().to_string()), "{agent}: {error}");
        }
    }

    #[test]
    fn an_agent_cannot_be_named_out_of_its_directory() {
        let dir = crate::testing::Dir::new();
        script(dir.path(), "evil", "exit 0");
        for agent in ["../evil", "lsb:../evil", "ocf:../x:evil", "ocf:x:../evil"] {
            assert!(call(&places(dir.path()), &operation(agent, Action::Start), "t").is_err());
        }
    }
}
