//! The journal of open calls (H15): a small file in the run directory is written before an agent
//! is called and removed when none of its processes is left. A daemon that starts finds here what
//! its predecessor left behind. The directory does not survive a reboot, and neither do processes.

use crm_core::id::{GroupId, OpId, ResourceId};
use crm_core::model::Resource;
use crm_core::operation::{Action, Operation};
use crm_core::time::Span;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest entry that is read back, in bytes.
const ENTRY_BYTES_MAX: u64 = 1024 * 1024;

/// One open call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) token: String,
    pub(crate) cgroup: Option<PathBuf>,
    /// Pid and start time, once there is a process.
    pub(crate) leader: Option<(i32, u64)>,
    pub(crate) what: What,
}

/// What was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Agent {
        group: GroupId,
        resource: ResourceId,
        action: Action,
        spec: Box<Resource>,
    },
    Fence {
        target: String,
    },
    /// Written by another version of the daemon.
    Unreadable,
}

/// What every version writes: enough to find the processes.
#[derive(Deserialize)]
struct Traces {
    token: String,
    #[serde(default)]
    cgroup: Option<PathBuf>,
    #[serde(default)]
    leader: Option<(i32, u64)>,
}

impl What {
    pub(crate) fn of(operation: &Operation) -> What {
        What::Agent {
            group: operation.group.clone(),
            resource: operation.resource.clone(),
            action: operation.action,
            spec: Box::new((*operation.spec).clone()),
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            What::Agent { group, resource, action, .. } => {
                format!("{} of {resource} in group {group}", action.as_str())
            }
            What::Fence { target } => format!("fencing of {target}"),
            What::Unreadable => "a call of another version of the daemon".to_owned(),
        }
    }

    /// Whether nothing of this node is other for it, however late it ends.
    pub(crate) fn changes_nothing(&self) -> bool {
        matches!(self, What::Agent { action: Action::Status, .. })
    }

    /// The stop that undoes a start or a promotion that was cut off.
    pub(crate) fn undo(&self, number: u64) -> Option<Operation> {
        match self {
            What::Agent { group, resource, action: Action::Start | Action::Promote, spec } => {
                Some(Operation {
                    op: OpId(number),
                    group: group.clone(),
                    resource: resource.clone(),
                    action: Action::Stop,
                    timeout: if spec.timeouts.stop == Span::ZERO {
                        Span::secs(60)
                    } else {
                        spec.timeouts.stop
                    },
                    spec: Arc::new((**spec).clone()),
                    word: Default::default(),
                })
            }
            _ => None,
        }
    }
}

/// Where the entries are.
#[derive(Clone, Debug)]
pub(crate) struct Journal(PathBuf);

impl Journal {
    /// # Errors
    /// The directory cannot be made.
    pub(crate) fn open(directory: &Path) -> io::Result<Journal> {
        // Parameters of resources are inside: for the daemon's eyes only.
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        Ok(Journal(directory.to_owned()))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    fn file(&self, token: &str) -> PathBuf {
        self.0.join(format!("{token}.json"))
    }

    /// Before the call, and again when its first process is known.
    ///
    /// # Errors
    /// Without an entry nothing may be called.
    pub(crate) fn begin(&self, entry: &Entry) -> io::Result<()> {
        let text = serde_json::to_vec(entry).map_err(io::Error::other)?;
        let draft = self.0.join(format!("{}.new", entry.token));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&text)?;
        fs::rename(&draft, self.file(&entry.token))
    }

    /// After the call.
    pub(crate) fn end(&self, token: &str) {
        let _ = fs::remove_file(self.file(token));
    }

    /// What a former daemon left open, and files that cannot be read.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn open_calls(&self) -> io::Result<(Vec<Entry>, Vec<PathBuf>)> {
        let (mut entries, mut broken) = (Vec::new(), Vec::new());
        for file in fs::read_dir(&self.0)? {
            let path = file?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("json") => match read(&path) {
                    Some(entry) => entries.push(entry),
                    None => broken.push(path),
                },
                // Nothing was called yet.
                Some("new") => fs::remove_file(&path)?,
                _ => {}
            }
        }
        Ok((entries, broken))
    }
}

fn read(path: &Path) -> Option<Entry> {
    if fs::metadata(path).ok()?.len() > ENTRY_BYTES_MAX {
        return None;
    }
    understand(&fs::read(path).ok()?)
}

pub(super) fn understand(bytes: &[u8]) -> Option<Entry> {
    serde_json::from_slice(bytes).ok().or_else(|| {
        let Traces { token, cgroup, leader } = serde_json::from_slice(bytes).ok()?;
        Some(Entry { token, cgroup, leader, what: What::Unreadable })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::testing::operation;

    #[test]
    fn h15_an_open_call_is_found_again_and_an_ended_one_is_not() {
        let dir = crate::testing::Dir::new();
        let journal = Journal::open(&dir.path().join("ops")).expect("open");
        let start = operation("process", Action::Start);
        let entry = |token: &str| Entry {
            token: token.to_owned(),
            cgroup: None,
            leader: Some((1, 2)),
            what: What::of(&start),
        };
        journal.begin(&entry("a.1")).expect("begin");
        journal.begin(&entry("a.2")).expect("begin");
        journal.end("a.1");
        fs::write(dir.path().join("ops/torn.json"), "{").expect("write");
        let (open, broken) = journal.open_calls().expect("read");
        assert_eq!(open, [entry("a.2")]);
        assert_eq!(broken.len(), 1);
    }

    #[test]
    fn h15_a_call_of_another_version_is_still_found_by_its_traces() {
        let dir = crate::testing::Dir::new();
        let journal = Journal::open(dir.path()).expect("open");
        let text = r#"{"token":"t","cgroup":"/c","leader":[7,8],"what":{"New":{}},"more":1}"#;
        fs::write(dir.path().join("t.json"), text).expect("write");
        let (open, broken) = journal.open_calls().expect("read");
        assert!(broken.is_empty());
        assert_eq!((open[0].token.as_str(), open[0].leader), ("t", Some((7, 8))));
        assert_eq!(open[0].what.undo(1), None);
    }

    #[test]
    fn h15_only_what_was_being_started_is_stopped_again() {
        let undo = |action| What::of(&operation("process", action)).undo(1).map(|op| op.action);
        assert_eq!(undo(Action::Start), Some(Action::Stop));
        assert_eq!(undo(Action::Promote), Some(Action::Stop));
        assert_eq!(undo(Action::Stop), None);
        assert_eq!(undo(Action::Status), None);
    }
}
