//! The agents on this machine: our own, those that somebody put beside them, and the OCF agents that
//! Debian packages bring.

use crm_agents::metadata::Parameter;
use crm_agents::ocf::{OCF_ROOT, agent_path, parse_meta_data};
use crm_agents::{BUILTIN, MetaData, meta_data};
use crm_config::{AgentCatalog, AgentFacts, FenceAgent, FenceParameter};
use crm_core::model::{AgentClass, AgentRef};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// An agent that says what it is must do so within this time.
const META_DATA_TIME: Duration = Duration::from_secs(10);

/// Where fence agents are.
const FENCE_DIRECTORIES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// The daemon's default.
const AGENTS_DIR: &str = "/usr/lib/crm/agents";

/// Answers what is installed here.
pub(crate) struct Installed;

impl AgentCatalog for Installed {
    fn facts(&self, agent: &AgentRef) -> Option<AgentFacts> {
        let Some(description) = describe(agent) else {
            // One that says nothing of itself is there all the same.
            let silent = AgentFacts { parameters: None, required: Vec::new() };
            return file(agent).is_some_and(|path| is_executable(&path)).then_some(silent);
        };
        let required = description.parameters.iter().filter(|p| p.required && p.default.is_none());
        Some(AgentFacts {
            parameters: Some(description.parameters.iter().map(|p| p.name.clone()).collect()),
            required: required.map(|p| p.name.clone()).collect(),
        })
    }

    fn knows_class(&self, class: &AgentClass) -> bool {
        match class {
            AgentClass::Own => true,
            AgentClass::Ocf { .. } => Path::new(&ocf_root()).join("resource.d").is_dir(),
            _ => false,
        }
    }

    fn misfits(
        &self,
        agent: &AgentRef,
        params: &BTreeMap<String, String>,
    ) -> Vec<(String, String)> {
        // What a foreign agent says of its types is often wrong.
        let own = match agent.class {
            AgentClass::Own => meta_data(&agent.name),
            _ => None,
        };
        let fits = |parameter: &Parameter| {
            Some((parameter.name.clone(), parameter.misfit(params.get(&parameter.name)?)?))
        };
        own.map(|own| own.parameters.iter().filter_map(fits).collect()).unwrap_or_default()
    }

    fn fence_agent(&self, name: &str) -> FenceAgent {
        if fence_program(name).is_none() {
            return FenceAgent::Absent;
        }
        let Some(description) = describe_fence(name) else { return FenceAgent::Untold };
        let parameter = |parameter: Parameter| FenceParameter {
            required: parameter.required && !parameter.deprecated && parameter.default.is_none(),
            name: parameter.name,
            replaces: parameter.replaces,
            values: parameter.values,
        };
        FenceAgent::Told {
            parameters: description.parameters.into_iter().map(parameter).collect(),
            actions: description.actions.into_iter().map(|action| action.name).collect(),
        }
    }
}

/// A `fence_…` program, where the daemon looks for it.
fn fence_program(name: &str) -> Option<PathBuf> {
    let plain = name.starts_with("fence_")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let mut files = FENCE_DIRECTORIES.iter().map(|directory| Path::new(directory).join(name));
    files.find(|file| plain && is_executable(file))
}

/// What a fence agent says of itself; it is asked for nothing else.
pub(crate) fn describe_fence(name: &str) -> Option<MetaData> {
    let mut program = Command::new(fence_program(name)?);
    program.args(["-o", "metadata"]);
    parse_meta_data(&said(program)?).ok()
}

/// Where an agent that is not built in would be.
fn file(agent: &AgentRef) -> Option<PathBuf> {
    match &agent.class {
        AgentClass::Own => Some(agents_directory().join(&agent.name)),
        AgentClass::Ocf { provider } => agent_path(&ocf_root(), provider, &agent.name),
        _ => None,
    }
}

/// What an agent says of itself.
pub(crate) fn describe(agent: &AgentRef) -> Option<MetaData> {
    match &agent.class {
        // The daemon prefers an executable there too.
        AgentClass::Own => {
            let added = agents_directory().join(&agent.name);
            if is_executable(&added) {
                MetaData::parse(&ask_meta_data(&added)?).ok()
            } else {
                meta_data(&agent.name)
            }
        }
        AgentClass::Ocf { provider } => {
            let path = agent_path(&ocf_root(), provider, &agent.name)?;
            let text = ask_meta_data(&path)?;
            parse_meta_data(&text).ok()
        }
        _ => None,
    }
}

/// `vip` or `ocf:PROVIDER:NAME`.
pub(crate) fn parse_name(text: &str) -> Result<AgentRef, String> {
    let agent = match text.split(':').collect::<Vec<_>>().as_slice() {
        [name] => AgentRef { class: AgentClass::Own, name: (*name).to_owned() },
        ["ocf", provider, name] => AgentRef {
            class: AgentClass::Ocf { provider: (*provider).to_owned() },
            name: (*name).to_owned(),
        },
        _ => return Err(format!("expected NAME or ocf:PROVIDER:NAME, found {text}")),
    };
    if agent.name.contains('/') || agent.name.is_empty() {
        return Err(format!("{text} does not name an agent"));
    }
    Ok(agent)
}

/// Every agent here, ours first.
pub(crate) fn all() -> Vec<String> {
    let mut names: Vec<String> = BUILTIN.iter().map(ToString::to_string).collect();
    let added = entries(&agents_directory());
    let added = added.iter().filter(|path| is_executable(path)).map(|path| file_name(path));
    names.extend(added.filter(|name| !BUILTIN.contains(&name.as_str())));
    let root = Path::new(&ocf_root()).join("resource.d");
    for provider in entries(&root) {
        let provider_name = file_name(&provider);
        for agent in entries(&provider).into_iter().filter(|path| is_executable(path)) {
            names.push(format!("ocf:{provider_name}:{}", file_name(&agent)));
        }
    }
    names
}

/// Where the daemon looks for agents that follow our contract.
fn agents_directory() -> PathBuf {
    std::env::var_os("CRM_AGENTS_DIR").map_or_else(|| AGENTS_DIR.into(), PathBuf::from)
}

/// Where OCF's agents are, as the daemon is told it.
pub(crate) fn ocf_root() -> String {
    std::env::var("OCF_ROOT").unwrap_or_else(|_| OCF_ROOT.to_owned())
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(read) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = read.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn ask_meta_data(path: &Path) -> Option<String> {
    let mut program = Command::new(path);
    program.arg("meta-data").env("OCF_ROOT", ocf_root());
    said(program)
}

/// What a program prints, if it ends in its time.
fn said(mut program: Command) -> Option<String> {
    let mut child =
        program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut pipe = child.stdout.take()?;
    // Read apart, so that an agent that prints nothing for ever costs its time and no more.
    let reader = std::thread::spawn(move || {
        use std::io::Read;
        let mut text = String::new();
        let read = (&mut pipe).take(1 << 20).read_to_string(&mut text);
        read.ok().map(|_| text)
    });
    let until = Instant::now() + META_DATA_TIME;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() >= until {
            child.kill().ok()?;
            child.wait().ok()?;
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    reader.join().ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_an_agent_of_ours_would_refuse_are_found() {
        let params = [("datadir", "/data/db"), ("port", "many"), ("mount", "data")];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mysql = parse_name("mysql").expect("a name");
        let found = Installed.misfits(&mysql, &params);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["mount", "port"], "{found:?}");
    }
}
