//! What the parts of the daemon tell the event loop.

use crate::control::Question;
use crate::watches::Watch;
use crm_core::Input;
use crm_core::event::Event;
use crm_core::id::{GroupId, ResourceId};
use crm_core::operation::{OpResult, Operation};
use crm_wire::AuthKeys;
use tokio::sync::mpsc;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Happening {
    /// Ready for the core.
    Input(Input),
    /// An agent call ended; what it asked to have watched goes first.
    Finished { operation: Box<Operation>, result: OpResult, watches: Vec<Watch> },
    /// The kernel speaks of a watched thing.
    Changed { group: GroupId, resource: ResourceId, what: String },
    /// The shell itself has something to say.
    Event(Event),
    /// The key file changed and is good.
    Keys(Box<AuthKeys>),
    /// Somebody at the control socket wants something.
    Question(Question),
}

/// Where to tell it. Never blocks; what flows here is bounded by its sources (open calls,
/// connections, watches, one writer).
#[derive(Clone, Debug)]
pub(crate) struct Tell(mpsc::UnboundedSender<Happening>);

impl Tell {
    pub(crate) fn channel() -> (Tell, mpsc::UnboundedReceiver<Happening>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Tell(sender), receiver)
    }

    /// A loop that has ended hears nothing, which is fine.
    pub(crate) fn tell(&self, happening: Happening) {
        let _ = self.0.send(happening);
    }

    pub(crate) fn input(&self, input: Input) {
        self.tell(Happening::Input(input));
    }

    pub(crate) fn event(&self, event: Event) {
        self.tell(Happening::Event(event));
    }
}
