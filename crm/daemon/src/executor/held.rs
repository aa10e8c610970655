//! Processes that the kernel does not let die (state D): their call is over, and what they may still do is not.
//!
//! The call is reported all the same, or dead storage would hold its group for ever on a node that cannot run it (I4,
//! R21). But as long as one of a start is left, no word of the resource proves that it is stopped (H15), and nothing is
//! called beside it that it could undo.

use super::tree::Tree;
use super::{Journal, Surroundings};
use crm_core::event::Event;
use crm_core::id::{GroupId, ResourceId};
use crm_core::operation::{Action, OpOutcome, OpResult, Operation};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Between two looks whether they are gone, and how long one takes.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);
/// How long the one takes on which an answer depends.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What is left of calls, by resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Rc<RefCell<Vec<Left>>>);

#[derive(Debug)]
struct Left {
    group: GroupId,
    resource: ResourceId,
    action: Action,
    tree: Tree,
}

impl Left {
    fn is_of(&self, operation: &Operation) -> bool {
        self.group == operation.group && self.resource == operation.resource
    }
}

/// What could still start something.
fn changes(action: Action) -> bool {
    !matches!(action, Action::Stop | Action::Status)
}

impl Held {
    /// Goes on killing. A start stays in the journal until nothing is left: a daemon that is replaced waits for it too.
    pub(super) fn keep(
        &self,
        surroundings: &Surroundings,
        operation: &Operation,
        tree: &Tree,
        text: &str,
    ) {
        let (group, resource) = (operation.group.clone(), operation.resource.clone());
        let what = format!("{} of {resource} is over, but {text}", operation.action.as_str());
        let event = Event::error("operation-hangs", what);
        surroundings.tell.event(event.group(&group).resource(&resource));
        let journal = surroundings.journal.clone();
        if !changes(operation.action) {
            journal.end(tree.token());
        }
        let left = Left { group, resource, action: operation.action, tree: tree.clone() };
        self.0.borrow_mut().push(left);
        let (held, tree) = (self.clone(), tree.clone());
        tokio::task::spawn_local(async move {
            while tree.end(LOOK).await.is_err() {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            held.drop_ended(&journal, &tree);
        });
    }

    /// Nothing of it is left.
    fn drop_ended(&self, journal: &Journal, tree: &Tree) {
        tree.tidy();
        journal.end(tree.token());
        self.0.borrow_mut().retain(|left| left.tree.token() != tree.token());
    }

    /// Of those, the failure for one of which something is left now: what held it may have passed since the last look,
    /// and a failed stop ends the machine (R21).
    async fn failure(
        &self,
        journal: &Journal,
        is_meant: impl Fn(&Left) -> bool,
    ) -> Option<OpResult> {
        loop {
            let (action, tree) = {
                let held = self.0.borrow();
                let left = held.iter().find(|left| is_meant(left))?;
                (left.action, left.tree.clone())
            };
            match tree.end(LAST_LOOK).await {
                Ok(()) => self.drop_ended(journal, &tree),
                Err(pids) => return Some(failed(action, &pids)),
            }
        }
    }

    /// What is answered in place of a call: another status would hang too, and a start be undone or doubled.
    pub(super) async fn instead(
        &self,
        journal: &Journal,
        operation: &Operation,
    ) -> Option<OpResult> {
        let is_meant = |left: &Left| {
            left.is_of(operation)
                && match operation.action {
                    Action::Stop | Action::Demote => false,
                    Action::Status => left.action != Action::Stop,
                    Action::Start | Action::Promote => true,
                }
        };
        self.failure(journal, is_meant).await
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// What a word is worth beside them.
    pub(super) async fn weigh(
        &self,
        journal: &Journal,
        operation: &Operation,
        result: OpResult,
    ) -> OpResult {
        let says_stopped = match result.outcome {
            OpOutcome::NotRunning | OpOutcome::Missing => true,
            OpOutcome::Done => operation.action == Action::Stop,
            _ => false,
        };
        if !says_stopped {
            return result;
        }
        let is_meant = |left: &Left| left.is_of(operation) && changes(left.action);
        self.failure(journal, is_meant).await.unwrap_or(result)
    }
}

fn failed(action: Action, pids: &str) -> OpResult {
    let reason = format!(
        "processes of an earlier {} still hang in the kernel, for a disk or a server: {pids}",
        action.as_str()
    );
    OpResult { reason: Some(reason), ..OpResult::of(OpOutcome::Failed { code: 1 }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::cgroup::Cgroup;
    use crate::executor::testing::{operation, surroundings};
    use std::fs;

    /// Files in the place of a cgroup say whether anybody is left.
    #[test]
    fn r21_what_has_passed_since_the_last_look_fails_nothing() {
        let dir = crate::testing::Dir::new();
        let populated = |is: u8| {
            fs::write(dir.path().join("cgroup.events"), format!("populated {is}\n"))
                .expect("written");
        };
        let cgroup = Cgroup::at(dir.path());
        let tree = Tree::new(i32::MAX, Some(u64::MAX), "held.1".to_owned(), Some(cgroup));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (present, _inbox) = surroundings(dir.path());
            let (held, journal) = (&present.held, &present.journal);
            let status = operation("agent", Action::Status);
            let stop = operation("agent", Action::Stop);
            let stopped = OpResult::of(OpOutcome::Done);
            for kept in [Action::Start, Action::Status] {
                populated(1);
                held.keep(&present, &operation("agent", kept), &tree, "its processes hang");
                let result = held.weigh(journal, &stop, stopped.clone()).await;
                assert_eq!(result.outcome == OpOutcome::Done, kept == Action::Status, "{kept:?}");
                assert!(held.instead(journal, &status).await.is_some(), "{kept:?}");
                // The task that goes on killing has just looked, and will not for a while.
                while fs::remove_file(dir.path().join("cgroup.kill")).is_ok() {
                    tokio::time::sleep(LOOK * 2).await;
                }
                populated(0);
                if kept == Action::Start {
                    let result = held.weigh(journal, &stop, stopped.clone()).await;
                    assert_eq!(result, stopped);
                } else {
                    assert_eq!(held.instead(journal, &status).await, None);
                }
                assert!(held.is_empty());
            }
        });
    }
}
