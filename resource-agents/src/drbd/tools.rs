//! `drbdadm` and `drbdsetup` as children with a deadline.

use std::path::Path;
use std::process::Command;

use crm_drbd::conf::Address;
use crm_drbd::refusal::{Kind, Refusal};
use crm_drbd::state::Role;
use crm_drbd::tracker::Tracker;
use crm_drbd::{Picture, Resource};

use super::direct::{self, Direct};
use crate::child;
use crate::contract::{Exit, Failure, Outcome};
use crate::deadline::Deadline;

pub(super) struct Tools {
    deadline: Deadline,
    direct: Option<Direct>,
}

/// Why there is no picture.
pub(super) enum Trouble {
    /// The kernel knows no DRBD at all, so nothing of it can run here.
    NotLoaded,
    Failed(Failure),
}

/// A call that did not succeed.
pub(super) enum Refused {
    /// The tool answered.
    Said(Refusal),
    /// It could not be asked.
    Failed(Failure),
}

impl Tools {
    pub(super) fn new(deadline: Deadline) -> Tools {
        Tools { deadline, direct: Direct::find() }
    }

    /// Everything that DRBD says now.
    pub(super) fn picture(&self) -> Result<Picture, Trouble> {
        let dump = self.setup(&["events2", "--now", "--statistics"]);
        let text = dump.map_err(|refused| match refused {
            Refused::Said(refusal) if refusal.kind == Kind::NoModule && !is_loaded() => {
                Trouble::NotLoaded
            }
            Refused::Failed(failure) if failure.exit == Exit::Installed && !is_loaded() => {
                Trouble::NotLoaded
            }
            other => Trouble::Failed(other.into_failure("cannot ask DRBD for its state")),
        })?;
        let mut tracker = Tracker::new();
        for line in text.lines() {
            if let Err(lost) = tracker.line(line) {
                return Err(Trouble::Failed(Failure::generic(lost.to_string())));
            }
        }
        let whole = tracker.picture().map_err(|_| {
            let reason = "expected a full dump from `drbdsetup events2 --now`, found only a part";
            Trouble::Failed(Failure::generic(reason))
        })?;
        Ok(whole.clone())
    }

    /// One resource; `None` if it is not up here.
    pub(super) fn resource(&self, name: &str) -> Result<Option<Resource>, Failure> {
        match self.picture() {
            Ok(mut picture) => Ok(picture.remove(name)),
            Err(Trouble::NotLoaded) => Ok(None),
            Err(Trouble::Failed(failure)) => Err(failure),
        }
    }

    /// Ends the connection to a peer without asking it. It is the only thing that is ever forced, and
    /// only when the peer is proved dead: with a living Primary the two copies could part. `ends` are this node's
    /// address and the peer's, where they are known.
    pub(super) fn disconnect_dead(
        &self,
        name: &str,
        ends: Option<(Address, Address)>,
    ) -> Result<(), Refused> {
        match (&self.direct, ends) {
            (Some(direct), Some((here, there))) => {
                let arguments =
                    ["disconnect", &direct::word(&here), &direct::word(&there), "--force"];
                self.execute(&direct.program, &arguments).map(|_| ())
            }
            _ => self.run("drbdadm", &["disconnect", "--force", name]).map(|_| ()),
        }
    }

    /// Makes this node Primary of a resource, as it was found just now.
    pub(super) fn promote(&self, name: &str, found: &Resource) -> Result<(), Refused> {
        let (Some(direct), Some(minors)) = (&self.direct, direct::minors(found)) else {
            return self.administer("primary", name);
        };
        for minor in minors {
            self.execute(&direct.program, &["primary", &minor.to_string()])?;
        }
        Ok(())
    }

    /// This node's role in a resource that was found before, as the kernel has it now; `None` if the resource is gone.
    pub(super) fn role(&self, name: &str, found: &Resource) -> Result<Option<Role>, Failure> {
        if self.direct.as_ref().and_then(|direct| direct.is_primary(found)) == Some(true) {
            return Ok(Some(Role::Primary));
        }
        Ok(self.resource(name)?.map(|resource| resource.role))
    }

    /// `drbdadm VERB NAME`, with nothing else ever.
    pub(super) fn administer(&self, verb: &str, name: &str) -> Result<(), Refused> {
        self.run("drbdadm", &[verb, name]).map(|_| ())
    }

    pub(super) fn ask(&self, arguments: &[&str]) -> Result<String, Failure> {
        let what = format!("`drbdadm {}`", arguments.join(" "));
        self.run("drbdadm", arguments).map_err(|refused| refused.into_failure(&what))
    }

    /// Are the tools there, and does the configuration know the resource?
    pub(super) fn validate(&self, name: &str) -> Outcome {
        find("drbdsetup")?;
        self.run("drbdadm", &["dump", name]).map(|_| ()).map_err(|refused| match refused {
            Refused::Said(refusal) => Failure::configured(format!(
                "`drbdadm dump {name}` refuses the configuration: {}",
                refusal.words
            )),
            Refused::Failed(failure) => failure,
        })
    }

    fn setup(&self, arguments: &[&str]) -> Result<String, Refused> {
        match &self.direct {
            Some(direct) => self.execute(&direct.program, arguments),
            None => self.run("drbdsetup", arguments),
        }
    }

    fn run(&self, tool: &str, arguments: &[&str]) -> Result<String, Refused> {
        self.execute(&find(tool).map_err(Refused::Failed)?, arguments)
    }

    fn execute(&self, program: &Path, arguments: &[&str]) -> Result<String, Refused> {
        let tool = program.file_name().unwrap_or_default().to_string_lossy();
        let mut command = Command::new(program);
        command.args(arguments).env("LC_ALL", "C");
        let (finished, output) = child::run_for_output(&mut command, self.deadline, MOST_OUTPUT)
            .map_err(|error| {
                Refused::Failed(Failure::system(format!("cannot run {tool}"), &error))
            })?;
        match finished.code {
            Some(0) => Ok(output),
            Some(code) => Err(Refused::Said(Refusal::read(code, &finished.output))),
            None => Err(Refused::Failed(Failure::generic(format!(
                "`{tool} {}` {}; DRBD or its disk may hang",
                arguments.join(" "),
                finished.summary()
            )))),
        }
    }
}

impl Refused {
    pub(super) fn into_failure(self, what: &str) -> Failure {
        match self {
            Refused::Failed(failure) => failure,
            Refused::Said(refusal) => {
                let exit = match refusal.kind {
                    Kind::NotPermitted => Exit::Permission,
                    _ => Exit::Generic,
                };
                Failure::new(exit, format!("{what}: {refusal}"))
            }
        }
    }
}

fn find(tool: &str) -> Result<std::path::PathBuf, Failure> {
    child::find_tool(tool).ok_or_else(|| {
        Failure::installed(format!("expected the program {tool} (drbd-utils), found none"))
    })
}

/// Built in or loaded, the kernel shows it in both places.
fn is_loaded() -> bool {
    ["/proc/drbd", "/sys/module/drbd"].iter().any(|path| Path::new(path).exists())
}

const MOST_OUTPUT: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::time::Duration;

    use crm_drbd::state::Volume;

    /// A stand-in for 8.4's drbdsetup: it notes its calls, and once it is told to promote the last device, the kernel's
    /// file says that all are Primary. It is not DRBD.
    const STAND_IN: &str = "#!/bin/sh\nhere=$(dirname \"$0\")\necho \"$*\" >>\"$here/calls\"\n\
        [ \"$*\" != 'primary 9' ] || { echo '9: State change failed: (-2) Need access to UpToDate data' >&2; exit 17; }\n\
        [ \"$*\" != 'primary 4' ] || sed -i s,ro:Secondary,ro:Primary, \"$here/state\"\n";

    const STATE: &str = "version: 8.4.11 (api:1/proto:86-101)\n\
        srcversion: F73C670A7EC572DB9CF3E5B \n\
         3: cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown C r-----\n\
         4: cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown C r-----\n";

    struct Stage(PathBuf);

    impl Stage {
        fn new(name: &str, state: &str) -> Stage {
            let name = format!("crm-drbd-direct-{name}-{}", std::process::id());
            let stage = Stage(std::env::temp_dir().join(name));
            fs::create_dir_all(&stage.0).expect("directory");
            fs::write(stage.0.join("state"), state).expect("state");
            fs::write(stage.0.join("drbdsetup-84"), STAND_IN).expect("stand-in");
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(stage.0.join("drbdsetup-84"), mode).expect("mode");
            stage
        }

        fn tools(&self) -> Tools {
            let (missing, program) = (self.0.join("missing"), self.0.join("drbdsetup-84"));
            let direct = Direct::of(&self.0.join("state"), &[&missing, &program]);
            Tools { deadline: Deadline::after(Duration::from_secs(20)), direct }
        }

        fn calls(&self) -> Vec<String> {
            let text = fs::read_to_string(self.0.join("calls")).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn found(minors: &[Option<u32>]) -> Resource {
        let volume = |minor: &Option<u32>| Volume { minor: *minor, ..Volume::default() };
        Resource { volumes: (0..).zip(minors.iter().map(volume)).collect(), ..Resource::default() }
    }

    fn address(text: &str) -> Address {
        Address::read(&[text.to_owned()]).expect("an address")
    }

    #[test]
    fn i8_with_8_4_each_device_is_promoted_and_looked_at_without_drbdadm() {
        let stage = Stage::new("promote", STATE);
        let tools = stage.tools();
        let both = found(&[Some(3), Some(4)]);
        let is_primary =
            |tools: &Tools, which: &Resource| tools.direct.as_ref().expect("8.4").is_primary(which);
        assert_eq!(is_primary(&tools, &both), Some(false));
        assert!(tools.promote("r0", &both).is_ok());
        assert_eq!(stage.calls(), ["primary 3", "primary 4"]);
        assert_eq!(tools.role("r0", &both).ok(), Some(Some(Role::Primary)));
        assert_eq!(stage.calls().len(), 2, "the kernel's file says it");
        assert_eq!(is_primary(&tools, &found(&[Some(3), Some(5)])), None, "5 is not there");
        assert_eq!(is_primary(&tools, &found(&[Some(3), None])), None);
        let refused = tools.promote("r0", &found(&[Some(9), Some(3)]));
        assert!(matches!(refused, Err(Refused::Said(refusal)) if refusal.kind == Kind::NoGoodData));
        assert_eq!(stage.calls().len(), 3, "nothing after the one that was refused");
    }

    #[test]
    fn i8_with_8_4_the_connection_that_is_ended_is_named_by_both_its_ends() {
        let stage = Stage::new("disconnect", STATE);
        let ends = Some((address("10.0.0.2:7788"), address("[fd00::1]:7789")));
        assert!(stage.tools().disconnect_dead("r0", ends).is_ok());
        assert_eq!(stage.calls(), ["disconnect ipv4:10.0.0.2:7788 ipv6:[fd00::1]:7789 --force"]);
    }

    #[test]
    fn another_drbd_is_told_by_drbdadm() {
        for state in ["version: 9.2.5 (api:2/proto:86-122)\n", "version: 8.3.11 (api:88)\n", ""] {
            assert!(Stage::new("other", state).tools().direct.is_none(), "{state:?}");
        }
    }
}
