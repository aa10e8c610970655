//! Fencing: proves a node dead by a device, in a child with a deadline (AS3).
//!
//! Success means that the target had no running CPU at some instant after the request: a device
//! that only accepted the order has proved nothing. Secrets reach a device by its standard input
//! or by a file it reads itself, never by argument, environment or log.

mod command;
mod device;
mod fence_agent;
mod rounds;
#[cfg(fuzzing)]
pub(crate) use fence_agent::fuzzing;
#[cfg(test)]
mod tests;

use crate::executor::Surroundings;
use crate::happening::Tell;
use crm_api::DevicesReport;
use crm_core::id::{FenceId, NodeId};
use crm_core::model::{Cluster, FenceDevice};
use crm_core::{FenceResult, Input};
use rounds::{Pace, Rounds};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::oneshot;

/// Requests that are open.
#[derive(Debug)]
pub(crate) struct Fencing {
    surroundings: Rc<Surroundings>,
    tell: Tell,
    open: Rc<RefCell<BTreeMap<FenceId, oneshot::Sender<()>>>>,
    rounds: Rounds,
}

impl Fencing {
    pub(crate) fn new(surroundings: Rc<Surroundings>) -> Fencing {
        Fencing::at(surroundings, Pace::EARNEST)
    }

    fn at(surroundings: Rc<Surroundings>, pace: Pace) -> Fencing {
        let rounds = Rounds::new(surroundings.clone(), pace);
        Fencing { tell: surroundings.tell.clone(), surroundings, open: Rc::default(), rounds }
    }

    /// Which devices there are; they are asked from now on whether they can be used.
    pub(crate) fn configure(&mut self, own: &NodeId, cluster: &Cluster) {
        self.rounds.configure(own, cluster);
    }

    /// What the devices of the other nodes answered last.
    pub(crate) fn report(&self) -> DevicesReport {
        self.rounds.report()
    }

    /// Asks the devices of one node now, or switches it on; `done` is called when all have answered.
    pub(crate) fn drill(&self, node: NodeId, on: bool, done: impl FnOnce() + 'static) {
        self.rounds.drill(node, on, done);
    }

    /// Begins a request; it ends with [`Input::Fenced`].
    pub(crate) fn fence(&mut self, request: FenceId, target: NodeId, device: Box<FenceDevice>) {
        let (cancel, cancelled) = oneshot::channel();
        self.open.borrow_mut().insert(request, cancel);
        let (surroundings, open) = (self.surroundings.clone(), self.open.clone());
        let tell = self.tell.clone();
        self.rounds.interrupted();
        let busy = self.rounds.busy.clone();
        busy.set(busy.get() + 1);
        tokio::task::spawn_local(async move {
            let fenced = device::power_off(&surroundings, request, &target, &device, cancelled);
            let result = match fenced.await {
                Ok(()) => FenceResult::Off,
                Err(reason) => FenceResult::Failed { reason },
            };
            open.borrow_mut().remove(&request);
            busy.set(busy.get().saturating_sub(1));
            tell.input(Input::Fenced { request, result });
        });
    }

    /// Kills the device's program.
    pub(crate) fn cancel(&mut self, request: FenceId) {
        if let Some(cancel) = self.open.borrow_mut().remove(&request) {
            let _ = cancel.send(());
        }
    }
}
