//! `agent: fence_…`: the programs of the fence-agents project. Parameters go to the standard input
//! as `key=value` lines; `off` is proved by `status`, which exits with 2 when the power is off.

use super::device::{Answer, Program, Request};
use crm_core::model::FenceDevice;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks at the power.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest password file, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// One device, ready to be told something.
struct Agent {
    file: PathBuf,
    parameters: BTreeMap<String, String>,
}

impl Agent {
    fn new(request: &Request<'_>, device: &FenceDevice) -> Result<Agent, String> {
        Ok(Agent {
            file: find(request.fence_dirs(), &device.agent)?,
            parameters: parameters(&device.params, request.target())?,
        })
    }

    async fn tell(&self, request: &mut Request<'_>, action: &str) -> Result<Answer, String> {
        let program = Program {
            file: self.file.clone(),
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            input: Some(input(&self.parameters, action)),
        };
        request.run(program).await
    }

    /// "Accepted" is no proof (AS3): the device itself must say how the power is.
    async fn switch(&self, request: &mut Request<'_>, on: bool) -> Result<(), String> {
        let (action, wanted, other) = if on { ("on", 0, 2) } else { ("off", 2, 0) };
        let answer = self.tell(request, action).await?;
        if answer.code != Some(0) {
            return Err(format!("{action}: {}", answer.words()));
        }
        loop {
            let status = self.tell(request, "status").await?;
            match status.code {
                Some(code) if code == wanted => return Ok(()),
                Some(code) if code == other && request.left() > PAUSE => {
                    tokio::time::sleep(PAUSE).await;
                }
                Some(code) if code == other => {
                    let still = if on { "off" } else { "on" };
                    return Err(format!("the power is still {still} after `{action}`"));
                }
                _ => return Err(format!("status after {action}: {}", status.words())),
            }
        }
    }
}

pub(super) async fn power_off(
    request: &mut Request<'_>,
    device: &FenceDevice,
) -> Result<(), String> {
    Agent::new(request, device)?.switch(request, false).await
}

pub(super) async fn power_on(
    request: &mut Request<'_>,
    device: &FenceDevice,
) -> Result<(), String> {
    Agent::new(request, device)?.switch(request, true).await
}

/// `status`: the device is reachable, takes the password, and knows the machine.
pub(super) async fn check(request: &mut Request<'_>, device: &FenceDevice) -> Result<bool, String> {
    let status = Agent::new(request, device)?.tell(request, "status").await?;
    match status.code {
        Some(0) => Ok(true),
        Some(2) => Ok(false),
        _ => Err(format!("status: {}", status.words())),
    }
}

fn find(directories: &[PathBuf], agent: &str) -> Result<PathBuf, String> {
    let plain = agent.starts_with("fence_")
        && agent.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if !plain {
        return Err(format!(
            "{agent:?} is no fencing agent: expected `command` or the name of a `fence_…` program"
        ));
    }
    directories.iter().map(|dir| dir.join(agent)).find(|file| file.exists()).ok_or_else(|| {
        let places: Vec<String> = directories.iter().map(|dir| dir.display().to_string()).collect();
        format!("{agent} is not in {}; install the package that has it", places.join(", "))
    })
}

/// As the device takes them: `password_file` becomes the password it holds.
fn parameters(
    given: &BTreeMap<String, String>,
    target: &str,
) -> Result<BTreeMap<String, String>, String> {
    let mut all = given.clone();
    if let Some(path) = all.remove("password_file") {
        let secret = password(Path::new(&path))?;
        // Old agents know `passwd`, newer ones both.
        all.insert("passwd".to_owned(), secret.clone());
        all.insert("password".to_owned(), secret);
    }
    all.entry("nodename".to_owned()).or_insert_with(|| target.to_owned());
    all.remove("action");
    match all.iter().find(|(name, value)| name.contains(['\n', '=']) || value.contains('\n')) {
        Some((name, _)) => Err(format!("parameter {name:?} has a line break or `=` in its name")),
        None => Ok(all),
    }
}

/// Readable by its owner only, or refused, like the key file.
fn password(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "{} has mode {mode:o}, expected 600: others could read the password; `chmod 600` it",
            path.display()
        ));
    }
    let mut text = String::new();
    file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn input(parameters: &BTreeMap<String, String>, action: &str) -> Vec<u8> {
    let mut text = format!("action={action}\n");
    for (name, value) in parameters {
        text.push_str(&format!("{name}={value}\n"));
    }
    text.into_bytes()
}

#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    use std::collections::BTreeMap;

    /// What a fence agent reads.
    ///
    /// # Errors
    /// A parameter that cannot be passed.
    pub fn fence_input(given: &BTreeMap<String, String>, target: &str) -> Result<Vec<u8>, String> {
        Ok(super::input(&super::parameters(given, target)?, "off"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_password_goes_from_its_file_to_the_input_and_nowhere_else() {
        let dir = crate::testing::Dir::new();
        let file = dir.path().join("secret");
        fs::write(&file, "hunter2\n").expect("write");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
        let given: BTreeMap<String, String> = [
            ("ip".to_owned(), "192.0.2.1".to_owned()),
            ("password_file".to_owned(), file.display().to_string()),
        ]
        .into();
        let all = parameters(&given, "beta").expect("good");
        let text = String::from_utf8(input(&all, "off")).expect("text");
        assert!(text.starts_with("action=off\n"));
        assert!(text.contains("passwd=hunter2\n") && text.contains("ip=192.0.2.1\n"));
        assert!(!text.contains("password_file"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
        let error = parameters(&given, "beta").expect_err("refused");
        assert!(error.contains("644") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_parameter_cannot_smuggle_in_another_line() {
        let given: BTreeMap<String, String> = [("ip".to_owned(), "x\naction=on".to_owned())].into();
        assert!(parameters(&given, "beta").is_err());
        let given: BTreeMap<String, String> = [("action".to_owned(), "on".to_owned())].into();
        let all = parameters(&given, "beta").expect("good");
        assert_eq!(input(&all, "off").iter().filter(|b| **b == b'\n').count(), 2);
    }

    #[test]
    fn only_a_plain_program_name_is_looked_for() {
        for bad in ["ipmilan", "fence_../x", "/bin/sh", "fence_a b"] {
            assert!(find(&[], bad).expect_err("refused").contains("no fencing agent"), "{bad}");
        }
    }
}
