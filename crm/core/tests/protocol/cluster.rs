//! A few nodes on a perfect network, driven by hand: small enough to single-step a rule.

use crate::language::parse;
use crm_core::id::{GroupId, Incarnation, LinkId, NodeId, StoreId, WriteId};
use crm_core::model::{Cluster, Timing};
use crm_core::operation::{Action, DataWord, OpOutcome, OpResult, Operation};
use crm_core::packet::{Message, Packet};
use crm_core::record::{Record, Stored};
use crm_core::time::{Span, Time};
use crm_core::{Destination, FenceResult, Input, Node, Output, Start, WatchdogDuty};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What an operation acts on: a resource that has a name of its own is one thing, whichever group has it.
fn thing(op: &Operation) -> String {
    match op.resource.as_str() {
        "r" => op.group.to_string(),
        thing => thing.to_owned(),
    }
}

pub(crate) struct Machine {
    pub(crate) node: Option<Node>,
    pub(crate) disk: Stored,
    /// Groups, and resources that have names of their own.
    pub(crate) running: BTreeSet<String>,
    /// Which group started what, for agents that know their own only.
    begun: BTreeSet<(GroupId, String)>,
    /// Until it boots: every stop here fails.
    pub(crate) stops_fail: bool,
    /// A daemon ran since the last boot.
    daemon_ran: bool,
    runs: u128,
    writes: VecDeque<(Time, WriteId, Stored)>,
    counter: u64,
    incarnation: Incarnation,
    /// When the kernel resets the machine, and its margin, fixed at the opening.
    pub(crate) dog: Option<(Time, Span)>,
    /// This run of the daemon was told that it is armed.
    told: bool,
    margin: Span,
    /// Where it listens, and where it believes the others.
    cluster: Option<Arc<Cluster>>,
}

impl Machine {
    /// Whether what this machine sends to `name` comes in there. Who is in no configuration is answered where it
    /// spoke from.
    fn reaches(&self, name: &NodeId, there: &Machine) -> bool {
        let (Some(mine), Some(theirs)) = (&self.cluster, &there.cluster) else { return true };
        let (Some(to), Some(at)) = (mine.node(name), theirs.node(name)) else { return true };
        mine.timing.port == theirs.timing.port && to.links.iter().any(|to| at.links.contains(to))
    }
}

/// A packet as it was sent, and what was on every disk at that moment.
pub(crate) struct Sent {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) message: Message,
    pub(crate) disks: BTreeMap<NodeId, Stored>,
}

pub(crate) struct Lab {
    /// Everything that was sent but heartbeats, while `watching`.
    pub(crate) sent: Vec<Sent>,
    pub(crate) watching: bool,
    /// What was on every disk when a start of a group was asked for, while `watching`.
    pub(crate) asked_to_start: Vec<(NodeId, String, BTreeMap<NodeId, Stored>)>,
    /// How long a stop takes.
    pub(crate) stop_takes: Span,
    /// Whose watchdog somebody else has open: so many tries to feed it fail.
    pub(crate) busy_dogs: BTreeMap<NodeId, u32>,
    /// Disks that take longer than the others.
    pub(crate) slow_disks: BTreeMap<NodeId, Span>,
    /// A packet of this sender that it names is lost.
    pub(crate) loses: Option<fn(&NodeId, &Packet) -> bool>,
    /// Where a stop fails and leaves it running.
    pub(crate) stop_fails: Option<NodeId>,
    /// Agents know only what was started by the same name, as those do that keep a file with a process's number.
    pub(crate) agents_know_their_own: bool,
    /// Where every agent answers with exit code 1 and does nothing.
    pub(crate) broken: Option<NodeId>,
    /// Daemons that do not understand each configuration that the others do.
    pub(crate) old_versions: BTreeSet<NodeId>,
    /// Nodes whose copy of the data is not good, as their agents say.
    pub(crate) without_copy: BTreeSet<NodeId>,
    /// What the last call on each node was told of the group's data.
    pub(crate) told: BTreeMap<NodeId, DataWord>,
    /// Groups seen on two nodes at once.
    pub(crate) twice: Vec<String>,
    pub(crate) now: Time,
    pub(crate) machines: BTreeMap<NodeId, Machine>,
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
    flight: VecDeque<(Time, NodeId, NodeId, Input)>,
    ops: VecDeque<(Time, NodeId, Operation)>,
    fences: VecDeque<(Time, NodeId, NodeId, crm_core::id::FenceId)>,
    pub(crate) fence_takes: Span,
    /// AS3 broken: the device says off, and the machine runs on.
    pub(crate) fence_lies: bool,
    /// The device answers that it failed, and does nothing.
    pub(crate) fence_fails: bool,
    pub(crate) log: Vec<String>,
    pub(crate) replies: Vec<(NodeId, u64, crm_core::operator::Outcome)>,
    pub(crate) fenced: Vec<NodeId>,
    /// Starts and stops that succeeded, in order: `start web on a`.
    pub(crate) done: Vec<String>,
}

impl Lab {
    /// A cluster whose voters are all nodes already, as after the joins.
    pub(crate) fn new(config: &str) -> Lab {
        Lab::with(config, true)
    }

    /// A cluster that its first node has just founded; the others have empty disks.
    pub(crate) fn founded(config: &str) -> Lab {
        Lab::with(config, false)
    }

    fn with(config: &str, all: bool) -> Lab {
        let cluster = parse(config).expect("test configuration");
        let mut names: Vec<NodeId> = cluster.nodes.iter().map(|n| n.id.clone()).collect();
        names.extend(cluster.witness.iter().map(|_| NodeId::new(crm_core::model::WITNESS)));
        let store = |i: usize| StoreId(i as u128 + 1);
        let mut record = Record::founding(config, &names[0], store(0));
        for (i, name) in names.iter().enumerate().filter(|_| all) {
            record.voters.insert(name.clone(), store(i));
            record.old_voters.insert(name.clone(), store(i));
        }
        let mut lab = Lab {
            sent: vec![],
            watching: false,
            asked_to_start: vec![],
            stop_takes: Span::millis(20),
            busy_dogs: BTreeMap::new(),
            slow_disks: BTreeMap::new(),
            loses: None,
            stop_fails: None,
            agents_know_their_own: false,
            broken: None,
            old_versions: BTreeSet::new(),
            told: BTreeMap::new(),
            without_copy: BTreeSet::new(),
            twice: vec![],
            now: Time(1_000_000),
            machines: BTreeMap::new(),
            cut: BTreeSet::new(),
            flight: VecDeque::new(),
            ops: VecDeque::new(),
            fences: VecDeque::new(),
            fence_takes: Span::millis(30),
            fence_lies: false,
            fence_fails: false,
            log: vec![],
            replies: vec![],
            fenced: vec![],
            done: vec![],
        };
        for (i, name) in names.iter().enumerate() {
            let mut disk = Stored::new(store(i));
            disk.record = (all || i == 0).then(|| record.clone());
            lab.machines.insert(
                name.clone(),
                Machine {
                    node: None,
                    disk,
                    running: BTreeSet::new(),
                    begun: BTreeSet::new(),
                    stops_fail: false,
                    daemon_ran: false,
                    runs: 0,
                    writes: VecDeque::new(),
                    counter: 0,
                    incarnation: Incarnation(0),
                    dog: None,
                    told: false,
                    margin: Timing::default().watchdog,
                    cluster: None,
                },
            );
            lab.boot(name);
        }
        lab
    }

    pub(crate) fn boot(&mut self, name: &NodeId) {
        let now = self.now;
        let rank = self.machines.keys().position(|n| n == name).unwrap_or(0) as u128;
        crate::language::IS_OLD.set(self.old_versions.contains(name));
        let Some(machine) = self.machines.get_mut(name) else { return };
        machine.runs += 1;
        machine.stops_fail = false;
        machine.told = false;
        machine.incarnation = Incarnation((machine.runs << 100) | (rank + 1));
        machine.node = Some(Node::new(
            now,
            Start {
                id: name.clone(),
                incarnation: machine.incarnation,
                seed: machine.runs as u64,
                stored: machine.disk.clone(),
                parse,
                joining: machine.disk.record.is_none(),
                watchdog_left_armed: machine.dog.is_some(),
                first_since_boot: !std::mem::replace(&mut machine.daemon_ran, true),
            },
        ));
        self.drain(name);
    }

    pub(crate) fn crash(&mut self, name: &NodeId) {
        if let Some(machine) = self.machines.get_mut(name) {
            machine.node = None;
            machine.writes.clear();
            machine.running.clear();
            machine.begun.clear();
            machine.dog = None;
            machine.daemon_ran = false;
        }
        self.ops.retain(|(_, n, _)| n != name);
    }

    /// The daemon alone dies and comes back; what it ran goes on.
    pub(crate) fn restart_daemon(&mut self, name: &NodeId) {
        if let Some(machine) = self.machines.get_mut(name) {
            machine.node = None;
            machine.writes.clear();
        }
        self.ops.retain(|(_, n, _)| n != name);
        self.boot(name);
    }

    pub(crate) fn cut(&mut self, a: &str, b: &str) {
        self.cut.insert((a.into(), b.into()));
        self.cut.insert((b.into(), a.into()));
    }

    pub(crate) fn handle(&mut self, name: &NodeId, input: Input) {
        let now = self.now;
        crate::language::IS_OLD.set(self.old_versions.contains(name));
        if let Some(node) = self.machines.get_mut(name).and_then(|m| m.node.as_mut()) {
            node.handle(now, input);
            self.drain(name);
        }
    }

    fn drain(&mut self, name: &NodeId) {
        let now = self.now;
        loop {
            let Some(machine) = self.machines.get_mut(name) else { return };
            let Some(output) = machine.node.as_mut().and_then(|n| n.poll_output()) else { return };
            match output {
                Output::Send { to, packet } => self.send(name.clone(), to, *packet),
                Output::Write { write, stored } => {
                    let takes = self.slow_disks.get(name).copied().unwrap_or(Span::millis(2));
                    machine.writes.push_back((now + takes, write, *stored));
                }
                Output::Run(op) => {
                    self.told.insert(name.clone(), op.word.clone());
                    if self.watching && op.action == Action::Start {
                        let start = (name.clone(), op.group.to_string(), self.disks());
                        self.asked_to_start.push(start);
                    }
                    // R4.
                    assert!(name.as_str() != crm_core::model::WITNESS, "a witness calls {op:?}");
                    let takes =
                        if op.action == Action::Stop { self.stop_takes } else { Span::millis(20) };
                    self.ops.push_back((now + takes, name.clone(), *op));
                    self.ops.make_contiguous().sort_by_key(|(at, ..)| *at);
                }
                Output::Watchdog(WatchdogDuty::Feed { .. })
                    if self.busy_dogs.get(name).is_some_and(|tries| *tries > 0) =>
                {
                    self.busy_dogs.entry(name.clone()).and_modify(|tries| *tries -= 1);
                    let denied = Input::WatchdogArmed { armed: false };
                    self.flight.push_front((now, name.clone(), name.clone(), denied));
                }
                Output::Watchdog(WatchdogDuty::Feed { margin }) => {
                    let opened = machine.dog.is_none();
                    let margin = machine.dog.map_or(margin, |(_, margin)| margin);
                    machine.dog = Some((now + margin, margin));
                    if opened || !machine.told {
                        machine.told = true;
                        self.flight.push_front((
                            now,
                            name.clone(),
                            name.clone(),
                            Input::WatchdogArmed { armed: true },
                        ));
                    }
                }
                Output::Watchdog(WatchdogDuty::Disarm) => {
                    machine.dog = None;
                    machine.told = false;
                }
                Output::Fence { request, target, .. } => {
                    self.fences.push_back((now + self.fence_takes, name.clone(), target, request));
                }
                Output::Event(event) => self.log.push(format!("{} {name} {event}", self.now)),
                Output::Reply { request, outcome } => {
                    self.replies.push((name.clone(), request.0, outcome));
                }
                Output::Configured { cluster, .. } => {
                    machine.margin = cluster.timing.watchdog;
                    machine.cluster = Some(cluster);
                }
                Output::Halt { reason, .. } => {
                    self.log.push(format!("{} {name} halted: {reason}", self.now));
                    machine.node = None;
                    return;
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, from: NodeId, to: Destination, packet: Packet) {
        let target = match &to {
            Destination::Link { node, .. } | Destination::Node(node) => node.clone(),
            Destination::Contact => return,
        };
        let Some(machine) = self.machines.get_mut(&from) else { return };
        machine.counter += 1;
        if self.watching && !matches!(packet.message, Message::Heartbeat(_)) {
            let (from, to, message) = (from.clone(), target.clone(), packet.message.clone());
            let disks = self.disks();
            self.sent.push(Sent { from, to, message, disks });
        }
        if self.loses.is_some_and(|loses| loses(&from, &packet)) {
            return;
        }
        let (here, there) = (self.machines.get(&from), self.machines.get(&target));
        if here.zip(there).is_some_and(|(here, there)| !here.reaches(&target, there)) {
            return;
        }
        let Some(machine) = self.machines.get_mut(&from) else { return };
        let input = Input::Packet {
            link: LinkId(0),
            from: from.clone(),
            incarnation: machine.incarnation,
            counter: machine.counter,
            packet,
        };
        if !self.cut.contains(&(from.clone(), target.clone())) {
            self.flight.push_back((self.now + Span::millis(1), from, target, input));
        }
    }

    /// Runs until nothing is left to do before `end`.
    pub(crate) fn run(&mut self, span: Span) {
        let end = self.now + span;
        loop {
            let mut next = end;
            for machine in self.machines.values() {
                if let Some(at) = machine.node.as_ref().and_then(Node::deadline) {
                    next = next.min(at);
                }
                if let Some((at, ..)) = machine.writes.front() {
                    next = next.min(*at);
                }
                if let Some((at, _)) = machine.dog {
                    next = next.min(at);
                }
            }
            for at in [
                self.flight.front().map(|f| f.0),
                self.ops.front().map(|o| o.0),
                self.fences.front().map(|f| f.0),
            ]
            .into_iter()
            .flatten()
            {
                next = next.min(at);
            }
            self.now = self.now.max(next);
            if next >= end {
                return;
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        let reset: Vec<NodeId> = self
            .machines
            .iter()
            .filter(|(_, m)| m.dog.is_some_and(|(at, _)| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in reset {
            self.log.push(format!("{now} {name} RESET by its watchdog"));
            self.crash(&name);
        }
        while self.flight.front().is_some_and(|f| f.0 <= now) {
            if let Some((_, _, to, input)) = self.flight.pop_front() {
                self.handle(&to, input);
            }
        }
        let names: Vec<NodeId> = self.machines.keys().cloned().collect();
        for name in &names {
            while let Some(machine) = self.machines.get_mut(name)
                && machine.writes.front().is_some_and(|w| w.0 <= now)
            {
                if let Some((_, write, stored)) = machine.writes.pop_front() {
                    machine.disk = stored;
                    self.handle(name, Input::Written { write });
                }
            }
        }
        while self.ops.front().is_some_and(|o| o.0 <= now) {
            if let Some((_, name, op)) = self.ops.pop_front() {
                let key = thing(&op);
                let Some(machine) = self.machines.get_mut(&name) else { continue };
                let own = (op.group.clone(), key.clone());
                let unseen = self.agents_know_their_own && !machine.begun.contains(&own);
                let outcome = match op.action {
                    _ if self.broken.as_ref() == Some(&name) => OpOutcome::Failed { code: 1 },
                    Action::Start => {
                        self.done.push(format!("start {key} on {name}"));
                        machine.running.insert(key.clone());
                        machine.begun.insert(own);
                        let holders = self.holders(&key);
                        if holders.len() > 1 {
                            self.twice.push(format!("{now} {key} on {holders:?}"));
                        }
                        OpOutcome::Done
                    }
                    Action::Stop if unseen => OpOutcome::Done,
                    Action::Status if unseen => OpOutcome::NotRunning,
                    Action::Stop
                        if machine.stops_fail || self.stop_fails.as_ref() == Some(&name) =>
                    {
                        OpOutcome::Failed { code: 1 }
                    }
                    Action::Stop => {
                        machine.begun.remove(&own);
                        if machine.running.remove(&key) {
                            self.done.push(format!("stop {key} on {name}"));
                        }
                        OpOutcome::Done
                    }
                    _ if machine.running.contains(&key) => OpOutcome::Done,
                    _ => OpOutcome::NotRunning,
                };
                let mut result = OpResult::of(outcome);
                if op.spec.observe_everywhere {
                    let good = !self.without_copy.contains(&name);
                    let word = if good { "yes" } else { "no its disk is Diskless" };
                    result.attributes.insert("eligible".into(), word.into());
                }
                self.handle(&name, Input::Finished { op: op.op, result });
            }
        }
        while self.fences.front().is_some_and(|f| f.0 <= now) {
            if let Some((_, by, target, request)) = self.fences.pop_front() {
                if self.fence_fails {
                    let result = FenceResult::Failed { reason: "no power on the bus".into() };
                    self.handle(&by, Input::Fenced { request, result });
                    continue;
                }
                self.fenced.push(target.clone());
                if !self.fence_lies {
                    self.crash(&target);
                }
                self.handle(&by, Input::Fenced { request, result: FenceResult::Off });
            }
        }
        for name in names {
            let due =
                self.machines.get(&name).and_then(|m| m.node.as_ref()).and_then(Node::deadline);
            if due.is_some_and(|at| at <= now) {
                self.handle(&name, Input::Wake);
            }
        }
    }

    pub(crate) fn status(&self, name: &str) -> crm_core::status::Status {
        let machine = &self.machines[&NodeId::new(name)];
        machine.node.as_ref().map(|n| n.status(self.now)).unwrap_or_default()
    }

    fn disks(&self) -> BTreeMap<NodeId, Stored> {
        self.machines.iter().map(|(name, machine)| (name.clone(), machine.disk.clone())).collect()
    }

    /// Who coordinates, in the eyes of those who run.
    pub(crate) fn coordinators(&self) -> BTreeSet<String> {
        let nodes = self.machines.values().filter_map(|m| m.node.as_ref());
        nodes
            .map(|n| n.status(self.now))
            .map(|s| s.coordinator.map_or("-".to_owned(), |c| c.to_string()))
            .collect()
    }

    pub(crate) fn holders(&self, group: &str) -> Vec<String> {
        let machines = self.machines.iter().filter(|(_, m)| m.running.contains(group));
        machines.map(|(name, _)| name.to_string()).collect()
    }
}
