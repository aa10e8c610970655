//! Processes that the kernel does not let die (state D): their call is over, and what they may still do is not.
//!
//! The call is reported all the same, or dead storage would hold its group for ever on a node that cannot run it (I4,
//! R21). But as long as one of a start is left, no word of the resource proves that it is stopped (H15), and nothing is
//! called beside it that it could undo.

use super::Surroundings;
use super::tree::Tree;
use crm_core::event::Event;
use crm_core::id::{GroupId, ResourceId};
use crm_core::operation::{Action, OpOutcome, OpResult, Operation};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Between two looks whether they are gone, and how long one takes.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

/// What is left of calls, by resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Rc<RefCell<Vec<Left>>>);

#[derive(Debug)]
struct Left {
    group: GroupId,
    resource: ResourceId,
    action: Action,
    token: String,
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
            journal.end(&tree.token);
        }
        let token = tree.token.clone();
        self.0.borrow_mut().push(Left { group, resource, action: operation.action, token });
        let (held, tree) = (self.clone(), tree.clone());
        tokio::task::spawn_local(async move {
            while tree.end(LOOK).await.is_err() {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            tree.tidy();
            journal.end(&tree.token);
            held.0.borrow_mut().retain(|left| left.token != tree.token);
        });
    }

    /// What is answered in place of a call: another status would hang too, and a start be undone or doubled.
    pub(super) fn instead(&self, operation: &Operation) -> Option<OpResult> {
        let held = self.0.borrow();
        let left = held.iter().find(|left| {
            left.is_of(operation)
                && match operation.action {
                    Action::Stop | Action::Demote => false,
                    Action::Status => left.action != Action::Stop,
                    Action::Start | Action::Promote => true,
                }
        })?;
        Some(failed(left.action))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// What a word is worth beside them.
    pub(super) fn weigh(&self, operation: &Operation, result: OpResult) -> OpResult {
        let says_stopped = match result.outcome {
            OpOutcome::NotRunning | OpOutcome::Missing => true,
            OpOutcome::Done => operation.action == Action::Stop,
            _ => false,
        };
        let held = self.0.borrow();
        let left = held.iter().find(|left| left.is_of(operation) && changes(left.action));
        match left {
            Some(left) if says_stopped => failed(left.action),
            _ => result,
        }
    }
}

fn failed(action: Action) -> OpResult {
    let reason = format!(
        "processes of an earlier {} still hang in the kernel, for a disk or a server",
        action.as_str()
    );
    OpResult { reason: Some(reason), ..OpResult::of(OpOutcome::Failed { code: 1 }) }
}
