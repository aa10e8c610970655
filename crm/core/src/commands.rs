//! Operators' commands: forwarded to the coordinator, carried out in a record, answered when it is
//! committed (I5).

mod apply;
mod carry_out;
mod copies;
mod reach;
mod stale;

use self::carry_out::refused;
use crate::Output;
use crate::id::{Epoch, Incarnation, NodeId, RequestId};
use crate::node::Node;
use crate::operator::{Command, Outcome};
use crate::packet::Message;
use crate::rules::Rules;
use crate::status::Status;
use crate::time::{Span, Time};
use std::collections::{BTreeMap, VecDeque};

/// How long a command waits for a coordinator.
const WAIT: Span = Span::secs(10);
/// How long an operator's word holds: where half of four or more are dead, each takes a command of its own.
const WORD_HOLDS: Span = Span::secs(30);
/// How long a status waits for the coordinator's view.
const STATUS_WAIT: Span = Span::millis(500);
/// Answers remembered for repeated requests of other nodes.
const ANSWERED_MAX: usize = 256;
/// Commands of local operators under way, at most.
const WAITING_MAX: usize = 256;
/// How often a forwarded command is repeated.
const RESEND: Span = Span::millis(300);

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    Local(RequestId),
    Remote { node: NodeId, incarnation: Incarnation, request: u64 },
}

#[derive(Clone, Debug, Hash, Default)]
pub(crate) struct Commands {
    waiting: BTreeMap<RequestId, Waiting>,
    statuses: BTreeMap<RequestId, Time>,
    answered: VecDeque<(NodeId, Incarnation, u64, Option<Outcome>)>,
    /// The operator's word that a silent node is dead, for a side without a coordinator (R20): for one
    /// candidacy, and not beyond this time. Several count together.
    pub(crate) words: BTreeMap<NodeId, Time>,
}

#[derive(Clone, Debug, Hash)]
struct Waiting {
    command: Command,
    until: Time,
    queued: bool,
    /// To which coordinator, and of which epoch, it was sent last.
    forwarded: Option<(NodeId, Epoch)>,
    again: Time,
}

impl Commands {
    pub(crate) fn is_waiting(&self, request: RequestId) -> bool {
        self.waiting.contains_key(&request)
    }

    /// A word about a node that is heard after all, or that was used, holds no longer (R20).
    pub(crate) fn forget_word(&mut self, node: Option<&NodeId>) {
        self.words.retain(|about, _| node.is_some_and(|node| node != about));
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let commands = self
            .waiting
            .values()
            .filter(|waiting| !waiting.queued)
            .map(|waiting| waiting.again.min(waiting.until));
        commands.chain(self.statuses.values().copied()).min()
    }
}

impl<R: Rules> Node<R> {
    pub(crate) fn on_operator(&mut self, request: RequestId, command: Command) {
        if self.commands.waiting.len() >= WAITING_MAX {
            let reason = format!("{WAITING_MAX} commands are already waiting on this node");
            let hint = "try again when they are done".to_owned();
            self.push(Output::Reply { request, outcome: Outcome::Refused { reason, hint } });
            return;
        }
        if let Command::ConfirmDead { node } = &command
            && self.coordinator().is_none()
            && let Some(refusal) = self.take_word(node)
        {
            self.push(Output::Reply { request, outcome: refusal });
            return;
        }
        let waiting = Waiting {
            command,
            until: self.now + WAIT,
            queued: false,
            forwarded: None,
            again: self.now,
        };
        self.commands.waiting.insert(request, waiting);
    }

    /// R20: bound to a silent node and one candidacy.
    fn take_word(&mut self, node: &NodeId) -> Option<Outcome> {
        if let Some(removal) = self.removal() {
            return Some(refused(removal, Self::way_back()));
        }
        if let Some((stranger, _)) = self.newer_stranger() {
            let hint = format!("give the word on node {stranger}");
            return Some(refused(self.passed_by().unwrap_or_default(), &hint));
        }
        match self.peers.get(node) {
            Some(_) if self.must_be_silent(node).is_ok() => {
                self.commands.words.insert(node.clone(), self.now + WORD_HOLDS);
                // A candidacy of before the word is given up: it stands in an epoch of its own.
                self.step_down("an operator gave his word");
                self.stand_at = Some(self.now);
                None
            }
            Some(_) => Some(refused(
                format!("node {node} is heard, or has not been listened for long enough"),
                "power it off first, and wait until it is silent",
            )),
            None => Some(refused(format!("there is no node {node}"), "see `crm status`")),
        }
    }

    pub(crate) fn settle_commands(&mut self) {
        let now = self.now;
        let leads = self.coordinating().is_some_and(|c| c.committed.is_some());
        let leader = self.live_leader().map(|leader| (leader.node.clone(), leader.epoch));
        let mut expired = Vec::new();
        let mut unsure = Vec::new();
        let mut forward = Vec::new();
        let mut queue = Vec::new();
        for (request, waiting) in &mut self.commands.waiting {
            if waiting.queued {
                continue;
            }
            // It may be in a record already, of a coordinator that could not say so any more.
            let asked = waiting.forwarded.is_some();
            let moved_on = leads || (leader.is_some() && waiting.forwarded != leader);
            if asked && moved_on && waiting.command.is_done_twice_if_asked_twice() {
                unsure.push(*request);
            } else if leads {
                waiting.queued = true;
                queue.push((*request, waiting.command.clone()));
            } else if now >= waiting.until {
                expired.push((*request, asked));
            } else if now >= waiting.again {
                waiting.again = now + RESEND;
                if let Some(leader) = &leader {
                    waiting.forwarded = Some(leader.clone());
                    forward.push((leader.0.clone(), *request, waiting.command.clone()));
                }
            }
        }
        for (request, command) in queue {
            self.queue(Origin::Local(request), command);
        }
        for (leader, request, command) in forward {
            let message = Message::Forward { request: request.0, command: Box::new(command) };
            self.send(&leader, message);
        }
        for request in unsure {
            let reason = "the coordinator was replaced before it answered; see `crm status` before you ask again";
            self.answer(&Origin::Local(request), Outcome::Unknown { reason: reason.to_owned() });
        }
        for (request, forwarded) in expired {
            let outcome = if forwarded {
                let reason = "the coordinator did not answer in time".to_owned();
                Outcome::Unknown { reason }
            } else {
                Outcome::NoQuorum { reason: self.why_no_coordinator() }
            };
            self.answer(&Origin::Local(request), outcome);
        }
        let late: Vec<RequestId> =
            self.commands.statuses.iter().filter(|(_, at)| **at <= now).map(|(r, _)| *r).collect();
        for request in late {
            self.commands.statuses.remove(&request);
            let status = Box::new(self.status(now));
            self.push(Output::Status { request, status });
        }
        if leads && self.coordinating().is_some_and(|c| !c.queue.is_empty() && c.proposal.is_none())
        {
            self.coordinate();
        }
    }

    pub(crate) fn why_no_coordinator(&self) -> String {
        let silent: Vec<&str> =
            self.peers.iter().filter(|(_, p)| !p.alive).map(|(name, _)| name.as_str()).collect();
        if self.stored.record.is_none() {
            return "this node has not joined a cluster yet".to_owned();
        }
        if let Some(fork) = &self.fork {
            return fork.clone();
        }
        if let Some(reason) =
            self.removal().or_else(|| self.passed_by()).or_else(|| self.misread.clone())
        {
            return reason;
        }
        if let Some((_, reason)) = self.missing_company() {
            return reason;
        }
        if silent.is_empty() {
            return "no coordinator is elected yet".to_owned();
        }
        format!("no quorum: not heard: {}", silent.join(", "))
    }

    fn queue(&mut self, origin: Origin, command: Command) {
        let Some(coordinator) = self.coordinating_mut() else { return };
        if coordinator.queue.len() >= crate::coordinator::QUEUE_MAX {
            let outcome =
                refused("too many commands wait for the coordinator".to_owned(), "try again");
            self.answer(&origin, outcome);
            return;
        }
        coordinator.queue.push_back((origin, command));
    }

    pub(crate) fn answer(&mut self, origin: &Origin, outcome: Outcome) {
        match origin {
            Origin::Local(request) => {
                // A coordinator that stepped down before proposing it: somebody else may do it.
                if let Outcome::NoQuorum { .. } = outcome
                    && let Some(waiting) = self.commands.waiting.get_mut(request)
                    && waiting.queued
                    && self.now < waiting.until
                {
                    waiting.queued = false;
                    return;
                }
                if self.commands.waiting.remove(request).is_some() {
                    self.push(Output::Reply { request: *request, outcome });
                }
            }
            Origin::Remote { node, incarnation, request } => {
                let is_it = |(n, i, r, _): &(NodeId, Incarnation, u64, Option<Outcome>)| {
                    n == node && i == incarnation && r == request
                };
                let answered = &mut self.commands.answered;
                if matches!(outcome, Outcome::NoQuorum { .. }) {
                    // In no record: who repeats it asks for the first time, should this node be elected again.
                    answered.retain(|known| !is_it(known));
                } else if let Some(known) = answered.iter_mut().find(|known| is_it(known)) {
                    known.3 = Some(outcome.clone());
                }
                if self.peers.get(node).and_then(|p| p.session.live()) == Some(*incarnation) {
                    self.send(node, Message::ForwardReply { request: *request, outcome });
                }
            }
        }
    }

    pub(crate) fn on_forward(&mut self, from: &NodeId, request: u64, command: Command) {
        let Some(incarnation) = self.peers.get(from).and_then(|p| p.session.live()) else { return };
        let known = self
            .commands
            .answered
            .iter()
            .find(|(n, i, r, _)| n == from && *i == incarnation && *r == request)
            .map(|(_, _, _, outcome)| outcome.clone());
        match known {
            Some(Some(outcome)) => {
                self.send(from, Message::ForwardReply { request, outcome });
                return;
            }
            Some(None) => return,
            None => {}
        }
        if self.coordinating().is_none_or(|c| c.committed.is_none()) {
            let outcome = Outcome::NoQuorum { reason: "this node does not coordinate".to_owned() };
            self.send(from, Message::ForwardReply { request, outcome });
            return;
        }
        if self.commands.answered.len() >= ANSWERED_MAX {
            self.commands.answered.pop_front();
        }
        self.commands.answered.push_back((from.clone(), incarnation, request, None));
        self.queue(Origin::Remote { node: from.clone(), incarnation, request }, command);
    }

    pub(crate) fn on_forward_reply(&mut self, from: &NodeId, request: u64, outcome: Outcome) {
        let _ = from;
        let request = RequestId(request);
        if matches!(outcome, Outcome::NoQuorum { .. }) {
            return; // asked the wrong node: it is repeated until its time is over
        }
        self.answer(&Origin::Local(request), outcome);
    }

    pub(crate) fn on_status_wanted(&mut self, request: RequestId) {
        let leader = self.live_leader().map(|leader| leader.node.clone());
        match leader {
            Some(leader) if self.coordinating().is_none() => {
                self.commands.statuses.insert(request, self.now + STATUS_WAIT);
                self.send(&leader, Message::StatusWanted { request: request.0 });
            }
            _ => {
                let status = Box::new(self.status(self.now));
                self.push(Output::Status { request, status });
            }
        }
    }

    pub(crate) fn on_remote_status_wanted(&mut self, from: &NodeId, request: u64) {
        let status = Box::new(self.status(self.now));
        self.send(from, Message::StatusReply { request, status });
    }

    pub(crate) fn on_status_reply(&mut self, request: u64, status: Box<Status>) {
        let request = RequestId(request);
        if self.commands.statuses.remove(&request).is_some() {
            let status = Box::new(self.merge_local(*status));
            self.push(Output::Status { request, status });
        }
    }
}
