//! `drbdadm` and `drbdsetup` as children with a deadline.

use std::path::Path;
use std::process::Command;

use crm_drbd::refusal::{Kind, Refusal};
use crm_drbd::tracker::Tracker;
use crm_drbd::{Picture, Resource};

use crate::child;
use crate::contract::{Exit, Failure, Outcome};
use crate::deadline::Deadline;

pub(super) struct Tools {
    deadline: Deadline,
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
        Tools { deadline }
    }

    /// Everything that DRBD says now.
    pub(super) fn picture(&self) -> Result<Picture, Trouble> {
        let dump = self.run("drbdsetup", &["events2", "--now", "--statistics"]);
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
    /// only when the peer is proved dead: with a living Primary the two copies could part.
    pub(super) fn disconnect_dead(&self, name: &str) -> Result<(), Refused> {
        self.run("drbdadm", &["disconnect", "--force", name]).map(|_| ())
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

    fn run(&self, tool: &str, arguments: &[&str]) -> Result<String, Refused> {
        let path = find(tool).map_err(Refused::Failed)?;
        let mut command = Command::new(path);
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
