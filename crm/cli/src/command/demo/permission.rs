//! What the demo needs from this machine, found out before it begins: the tools, and a kernel
//! that lets this user make namespaces.

use crate::output::Failure;
use crm_api::Exit;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is run, and the Debian package that has it.
const TOOLS: [(&str, &str); 6] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
    ("hostname", "hostname"),
    ("ip", "iproute2"),
];
/// With the meaning of a user namespace: root inside, the same user outside.
const AS_USER: [&str; 9] = [
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--uts",
    "--pid",
    "--fork",
    "--kill-child=KILL",
    "--mount-proc",
];
/// Settings that forbid namespaces, and the value that permits them.
const SETTINGS: [(&str, &str, fn(u64) -> bool); 3] = [
    ("user.max_user_namespaces", "more than 0", |value| value > 0),
    ("kernel.unprivileged_userns_clone", "1", |value| value == 1),
    ("kernel.apparmor_restrict_unprivileged_userns", "0", |value| value == 0),
];

/// The words for `unshare` that work here.
pub(super) fn find() -> Result<&'static [&'static str], Failure> {
    let path = path();
    for (tool, package) in TOOLS {
        if !std::env::split_paths(&path).any(|place| place.join(tool).exists()) {
            return Err(Failure::new(
                Exit::Failed,
                format!("the demo needs `{tool}`, which is not here"),
                format!("install the package {package}"),
            ));
        }
    }
    let Err(as_user) = attempt(&AS_USER) else { return Ok(&AS_USER) };
    if !nix::unistd::geteuid().is_root() {
        return Err(refused(&as_user, None));
    }
    // Root may do without a user namespace.
    let as_root = AS_USER.get(2..).unwrap_or_default();
    match attempt(as_root) {
        Ok(()) => Ok(AS_USER.get(2..).unwrap_or_default()),
        Err(error) => Err(refused(&as_user, Some(&error))),
    }
}

/// `PATH`, with where tools of administrators are: an ordinary user's has it not always.
pub(super) fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

/// Makes all the namespaces, for a moment.
fn attempt(words: &[&str]) -> Result<(), String> {
    let done = Command::new("unshare")
        .args(words)
        .args(["ip", "link", "add", "probe", "type", "bridge"])
        .env("PATH", path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if done.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&done.stderr).trim().to_owned())
}

fn refused(as_user: &str, as_root: Option<&str>) -> Failure {
    let mut reason =
        format!("this kernel does not let the demo make its namespaces\n  as a user: {as_user}");
    if let Some(as_root) = as_root {
        // Writing to a String cannot fail.
        let _ = write!(reason, "\n  as root: {as_root}");
    }
    let hint = hint(|setting| {
        let file = Path::new("/proc/sys").join(setting.replace('.', "/"));
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    });
    Failure::new(Exit::Failed, reason, hint)
}

/// Which settings forbid it, as far as settings do.
fn hint(value: impl Fn(&str) -> Option<u64>) -> String {
    let wrong: Vec<String> = SETTINGS
        .iter()
        .filter_map(|(setting, wanted, permits)| {
            let found = value(setting)?;
            (!permits(found)).then(|| format!("{setting} is {found}, expected {wanted}"))
        })
        .collect();
    if wrong.is_empty() {
        return "no sysctl forbids it, so a container or a security module does; run the demo \
                outside of the container, or as root"
            .to_owned();
    }
    format!("{}; change it with `sysctl -w`, or run the demo as root", wrong.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_the_setting_that_forbids_with_what_is_expected() {
        let text = hint(|setting| match setting {
            "user.max_user_namespaces" => Some(0),
            "kernel.unprivileged_userns_clone" => Some(1),
            _ => None,
        });
        assert!(text.contains("user.max_user_namespaces is 0, expected more than 0"), "{text}");
        assert!(!text.contains("unprivileged_userns_clone"), "{text}");
        let text = hint(|setting| setting.contains("apparmor").then_some(1));
        assert!(text.contains("apparmor_restrict_unprivileged_userns is 1, expected 0"), "{text}");
    }

    #[test]
    fn without_a_forbidding_setting_the_hint_looks_elsewhere() {
        assert!(hint(|_| None).contains("container"));
    }
}
