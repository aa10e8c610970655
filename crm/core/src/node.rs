//! A node: wires the parts together, holds no policy itself.

use crate::id::{Incarnation, NodeId};
use crate::model::ParseConfig;
use crate::record::Stored;
use crate::rules::{Rules, Sound};
use crate::status::Status;
use crate::time::Time;
use crate::{Input, Output};
use std::collections::VecDeque;

/// What a node is told when it starts.
#[derive(Clone, Debug)]
pub struct Start {
    pub id: NodeId,
    /// Fresh random bits (one run of the daemon).
    pub incarnation: Incarnation,
    /// Seeds the small generator that spreads timers; any number.
    pub seed: u64,
    /// What the disk held.
    pub stored: Stored,
    pub parse: ParseConfig,
    /// A daemon that is to join sends to its contact until it knows the record.
    pub joining: bool,
}

/// One node of the cluster.
pub struct Node<R: Rules = Sound> {
    start: Start,
    outputs: VecDeque<Output>,
    rules: std::marker::PhantomData<R>,
}

impl<R: Rules> Node<R> {
    #[must_use]
    pub fn new(now: Time, start: Start) -> Node<R> {
        let _ = now;
        Node { start, outputs: VecDeque::new(), rules: std::marker::PhantomData }
    }

    /// Takes one input. Drain [`Node::poll_output`] after each call.
    pub fn handle(&mut self, now: Time, input: Input) {
        let _ = (now, input, &self.start);
    }

    /// The next duty, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Node::handle`] with [`Input::Wake`] if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        None
    }

    /// This node's own view.
    #[must_use]
    pub fn status(&self, now: Time) -> Status {
        let _ = now;
        Status::default()
    }
}
