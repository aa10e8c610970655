//! The world: machines, network, devices, one queue of what happens, one true time.
//!
//! [`World::step`] takes the next happening, lets it act, and has every invariant checked. The
//! same plan gives the same world, whatever the machine it runs on.

use crate::assumptions::Assumption;
use crate::clock::{MILLI, Micros, SECOND};
use crate::diary::{Diary, Entry};
use crate::disk::Disk;
use crate::envelope::{Envelope, new_keys};
use crate::fence::Devices;
use crate::ghost::{Ghost, Violation};
use crate::layouts;
use crate::machine::{Daemon, Machine, Mail};
use crate::network::Network;
use crate::operator::Operator;
use crate::plan::{Begin, Plan, Profile};
use crate::queue::{Happening, Queue, Seat};
use crate::random::Random;
use crate::roles::Roles;
use crate::trace::Trace;
use crm_core::id::{GroupId, Incarnation, Stamp, StoreId};
use crm_core::model::Cluster;
use crm_core::record::{Record, Stored};
use crm_core::rules::Rules;
use crm_core::{Input, Node, Start};
use crm_wire::AuthKeys;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A whole cluster and everything around it.
#[derive(Clone)]
pub struct World<R: Rules> {
    pub plan: Plan,
    pub now: Micros,
    pub queue: Queue,
    pub machines: Vec<Machine<R>>,
    pub network: Network,
    pub devices: Devices,
    pub operator: Operator,
    pub ghost: Ghost,
    pub trace: Trace,
    pub diary: Diary,
    pub figures: Figures,
    /// The configuration that the layout began with.
    pub cluster: Arc<Cluster>,
    /// Links of every machine.
    pub links: u8,
    pub keys: AuthKeys,
    /// The key file that the cluster began with.
    pub key_text: String,
    pub pings_fail: bool,
    pub roles: Roles,
    /// Packets are neither sealed nor opened, machines have the one true clock, and whatever starts
    /// starts in step: for a search, in which equal states must be seen to be equal.
    pub unsealed: bool,
    /// After this nothing goes wrong any more.
    pub healed: bool,
    /// Faults of the kind `When` that wait for their moment, with how many to let pass.
    pub armed: BTreeMap<usize, u32>,
    pub(crate) random: Streams,
    pub(crate) phases: crate::liveness::Phases,
}

/// One stream of randomness for each part, so that parts do not disturb one another.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) disk: Random,
    pub(crate) agents: Random,
    pub(crate) fence: Random,
    pub(crate) power: Random,
    pub(crate) daemon: Random,
    pub(crate) attacker: Random,
}

/// What a run amounted to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub events: u64,
    pub simulated: Micros,
    pub faults: BTreeMap<&'static str, u64>,
    pub datagrams: u64,
    pub elections: u64,
    pub fences: u64,
    pub starts: u64,
    pub moves: u64,
    pub commits: u64,
    pub acknowledged: u64,
    /// I4: seconds from the end of all faults until everything ran and voted again, and in how many runs.
    pub healed: BTreeMap<u64, u64>,
    /// Seconds from the loss of one more machine until its groups ran elsewhere.
    pub survived: BTreeMap<u64, u64>,
}

impl Figures {
    /// Those of another run, on top.
    pub fn add(&mut self, one: Figures) {
        // Taken apart, so that a new figure is not forgotten here.
        let Figures {
            events,
            simulated,
            faults,
            datagrams,
            elections,
            fences,
            starts,
            moves,
            commits,
            acknowledged,
            healed,
            survived,
        } = one;
        self.events += events;
        self.simulated += simulated;
        self.datagrams += datagrams;
        self.elections += elections;
        self.fences += fences;
        self.starts += starts;
        self.moves += moves;
        self.commits += commits;
        self.acknowledged += acknowledged;
        for (sum, more) in [(&mut self.healed, healed), (&mut self.survived, survived)] {
            for (seconds, count) in more {
                *sum.entry(seconds).or_default() += count;
            }
        }
        for (kind, count) in faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

impl<R: Rules> World<R> {
    /// # Errors
    /// A layout whose text the parser refuses, which is a mistake in the layout.
    pub fn new(plan: Plan, trace: Trace) -> Result<World<R>, String> {
        let root = Random::new(plan.seed).fork(plan.layout.name);
        World::with(plan, trace, root, false)
    }

    /// A world in which nothing is left to chance.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn without_chance(plan: Plan, trace: Trace) -> Result<World<R>, String> {
        World::with(plan, trace, Random::least(), true)
    }

    fn with(plan: Plan, trace: Trace, root: Random, unsealed: bool) -> Result<World<R>, String> {
        let text = plan.layout.text();
        let cluster = Arc::new(layouts::parse(&text)?);
        let (key_text, keys) = new_keys(&mut root.fork("keys"))?;
        let mut stores = root.fork("stores");
        let ids = plan.layout.machines();
        let store_ids: BTreeMap<_, _> =
            ids.iter().map(|id| (id.clone(), StoreId(stores.next_u128()))).collect();
        let mut voters = store_ids.clone();
        voters.retain(|id, _| cluster.node(id).is_none_or(|node| node.voter));
        let mut record = Record::founding(&text, &ids[0], StoreId(0));
        record.voters.clone_from(&voters);
        record.old_voters.clone_from(&voters);
        let (node, count) = match plan.begin {
            Begin::Banned { node } => (node, 1),
            Begin::AllBanned { node } => (node, plan.layout.groups.len()),
            Begin::Founded | Begin::Joined => (0, 0),
        };
        for group in plan.layout.groups.iter().take(count) {
            let ban = [(ids[node].clone(), "lacks acknowledged writes".to_owned())].into();
            record.bans.insert(GroupId::new(group.name), ban);
        }
        if plan.begin == Begin::Joined {
            record.voters.retain(|id, _| *id == ids[0]);
            record.old_voters.clone_from(&record.voters);
        }
        let machines = ids
            .iter()
            .enumerate()
            .map(|(seat, id)| {
                let mut stored = Stored::new(store_ids.get(id).copied().unwrap_or_default());
                if plan.begin != Begin::Joined || seat == 0 {
                    stored.record = Some(record.clone());
                }
                Machine::new(id.clone(), Disk::new(stored))
            })
            .collect();
        let mut world = World {
            now: 0,
            queue: Queue::default(),
            machines,
            network: Network::new(root.fork("network")),
            devices: Devices::default(),
            operator: Operator::default(),
            ghost: Ghost::default(),
            trace,
            diary: Diary::default(),
            figures: Figures::default(),
            links: cluster.nodes.first().map_or(1, |node| node.links.len() as u8),
            cluster,
            keys,
            key_text,
            pings_fail: false,
            roles: Roles::default(),
            unsealed,
            healed: false,
            armed: BTreeMap::new(),
            random: Streams {
                disk: root.fork("disk"),
                agents: root.fork("agents"),
                fence: root.fork("fence"),
                power: root.fork("power"),
                daemon: root.fork("daemon"),
                attacker: root.fork("attacker"),
            },
            phases: crate::liveness::Phases::default(),
            plan,
        };
        world.prepare();
        Ok(world)
    }

    fn prepare(&mut self) {
        for seat in 0..self.machines.len() {
            let drawn = self.random.power.below(2 * SECOND);
            let calm = self.plan.profile == Profile::Calm;
            let at = if calm { seat as u64 * 20 * MILLI } else { drawn };
            self.queue.push(at, Happening::PowerOn { seat });
        }
        for fault in 0..self.plan.faults.len() {
            self.queue.push(self.plan.faults[fault].at, Happening::Strikes { fault });
        }
        for act in 0..self.plan.acts.len() {
            self.queue.push(self.plan.acts[act].at, Happening::OperatorActs { act });
        }
        self.queue.push(self.plan.heals, Happening::Heals);
        self.queue.push(30 * SECOND, Happening::Weighs);
        if self.plan.layout.roles {
            self.queue.push(SECOND, Happening::RolesTurn);
        }
    }

    /// Lets the next thing happen. False when nothing is left, or a promise is broken.
    pub fn step(&mut self) -> bool {
        if self.ghost.violation.is_some() {
            return false;
        }
        let Some((at, what)) = self.queue.pop() else { return false };
        self.now = at;
        self.figures.events += 1;
        self.figures.simulated = at;
        self.happen(what);
        crate::invariants::check(self);
        true
    }

    /// Runs until this time, or until a promise is broken.
    pub fn run_until(&mut self, until: Micros) -> Option<&Violation> {
        while self.queue.next_at().is_some_and(|at| at <= until) && self.step() {}
        self.now = self.now.max(until);
        self.ghost.violation.as_ref()
    }

    pub(crate) fn boot(&mut self, seat: Seat) {
        let machine = &mut self.machines[seat];
        if machine.powered || machine.lost {
            return;
        }
        machine.powered = true;
        machine.boot += 1;
        machine.daemon_ended = false;
        let boot = machine.boot;
        self.machines[seat].clock = self.new_clock();
        let machine = &self.machines[seat];
        self.trace.note(&[1, seat as u64, self.now]);
        self.trace.line(self.now, machine.id.as_str(), "power-on", format_args!("boot {boot}"));
        let drawn = self.random.power.between(50 * MILLI, 800 * MILLI);
        let calm = self.plan.profile == Profile::Calm;
        let at = self.in_step(self.now + if calm { 100 * MILLI } else { drawn }, seat);
        self.queue.push(at, Happening::DaemonStarts { seat, boot });
    }

    /// When something that is due at `at` on this machine starts.
    pub(crate) fn in_step(&self, at: Micros, seat: Seat) -> Micros {
        if !self.unsealed {
            return at;
        }
        let step = self.cluster.timing.keepalive.as_micros();
        at.next_multiple_of(step) + seat as u64 * 20 * MILLI
    }

    /// The plug is pulled.
    pub(crate) fn power_off(&mut self, seat: Seat, why: &str) {
        let machine = &mut self.machines[seat];
        if !machine.powered {
            return;
        }
        self.trace.note(&[2, seat as u64, self.now]);
        self.trace.line(self.now, machine.id.as_str(), "power-off", format_args!("{why}"));
        machine.powered = false;
        machine.daemon = None;
        machine.frozen_until = None;
        machine.pause = None;
        machine.backlog.clear();
        machine.watchdog = None;
        machine.daemon_ran = false;
        machine.disk.crash(&mut self.random.disk);
        if self.plan.breaks == Some(Assumption::Disk) {
            machine.disk.forgets(&mut self.random.disk);
        }
        machine.agents.power_off();
        self.ghost.resources_moved = true;
        self.ghost.beliefs.retain(|(at, _, _), _| *at != seat);
    }

    /// The daemon is gone; the machine and its resources go on.
    pub(crate) fn end_daemon(&mut self, seat: Seat, why: &str) {
        let machine = &mut self.machines[seat];
        if machine.daemon.take().is_none() {
            return;
        }
        self.trace.note(&[3, seat as u64, self.now]);
        self.trace.line(self.now, machine.id.as_str(), "ends", format_args!("{why}"));
        machine.frozen_until = None;
        machine.backlog.clear();
        machine.disk.crash(&mut self.random.disk);
        self.ghost.beliefs.retain(|(at, _, _), _| *at != seat);
    }

    /// systemd starts the daemon. Open calls of an earlier one are killed first, and waited for
    /// (H15).
    pub(crate) fn start_daemon(&mut self, seat: Seat) {
        let boot = self.machines[seat].boot;
        let machine = &mut self.machines[seat];
        if !machine.powered || machine.daemon.is_some() {
            return;
        }
        let children: Vec<u64> = machine.agents.children().keys().copied().collect();
        if !children.is_empty() {
            let mut gone = self.now;
            for child in children {
                machine.agents.mark_cancelled(child);
                let at = self.now + machine.agents.kill_takes(&mut self.random.agents);
                gone = gone.max(at);
                self.queue.push(at, Happening::ChildEnds { seat, boot, child, killed: true });
            }
            self.queue.push(gone + MILLI, Happening::DaemonStarts { seat, boot });
            return;
        }
        machine.run += 1;
        machine.daemon_ended = false;
        let incarnation = Incarnation(self.random.daemon.next_u128());
        let seed = match self.unsealed {
            true => incarnation.0 as u64 ^ (seat as u64 * 2 + 2),
            false => self.random.daemon.next(),
        };
        let keys = self.keys.clone();
        let Ok(envelope) = Envelope::new(keys, &self.cluster.name, &machine.id, incarnation) else {
            return;
        };
        let stored = machine.disk.durable().clone();
        self.diary.note(seat, || Entry::Starts(Box::new(stored.clone())));
        let (epoch, stamp) = (stored.epoch, stored.stamp());
        let left_armed = machine.watchdog.is_some();
        let start = Start {
            watchdog_left_armed: left_armed,
            first_since_boot: !std::mem::replace(&mut machine.daemon_ran, true),
            id: machine.id.clone(),
            incarnation,
            seed,
            joining: stored.record.is_none(),
            stored,
            parse: layouts::parse,
        };
        let node = Node::new(machine.clock.read(self.now), start);
        machine.daemon = Some(Daemon {
            node,
            incarnation,
            envelope,
            wakes_at: None,
            write_failed: false,
            ending: false,
            watchdog_open: false,
            later: std::collections::VecDeque::new(),
        });
        self.trace.note(&[4, seat as u64, self.now, incarnation.0 as u64]);
        let (id, run) = (machine.id.clone(), machine.run);
        self.trace.line(
            self.now,
            id.as_str(),
            "starts",
            format_args!("run {run} incarnation {incarnation} epoch {epoch} record {stamp}"),
        );
        self.ghost.told.retain(|(at, _), _| *at != seat);
        if let Some(lost) = self.ghost.lost.as_mut().filter(|lost| lost.node == seat) {
            lost.met = false;
        }
        self.give(seat, Input::Wake);
    }

    /// Gives a daemon an input, and carries out everything it asks for.
    pub(crate) fn give(&mut self, seat: Seat, input: Input) {
        let machine = &mut self.machines[seat];
        if machine.frozen_until.is_some() {
            machine.keep(Mail::Input(input));
            return;
        }
        let Some(daemon) = &mut machine.daemon else { return };
        // Once it knows: what a frozen daemon had decided before comes out first when it thaws.
        daemon.write_failed |= matches!(input, Input::WriteFailed { .. });
        let local = machine.clock.read(self.now);
        daemon.node.handle(local, input);
        self.drain(seat);
    }

    /// Carries out a daemon's outputs in order, then sets its alarm.
    pub(crate) fn drain(&mut self, seat: Seat) {
        let run = self.machines[seat].run;
        loop {
            let machine = &mut self.machines[seat];
            if machine.run != run || machine.frozen_until.is_some() {
                return;
            }
            let Some(daemon) = &mut machine.daemon else { return };
            if let Some(output) = daemon.node.poll_output() {
                self.carry_out(seat, output);
            } else if let Some(input) = daemon.later.pop_front() {
                machine.says_the_rest = false;
                daemon.node.handle(machine.clock.read(self.now), input);
            } else {
                break;
            }
        }
        let machine = &mut self.machines[seat];
        let Some(daemon) = &mut machine.daemon else { return };
        let Some(deadline) = daemon.node.deadline() else { return };
        let at = machine.clock.when(deadline).max(self.now + ALARM_MIN);
        if daemon.wakes_at.is_none_or(|set| at < set || set <= self.now) {
            daemon.wakes_at = Some(at);
            self.queue.push(at, Happening::Wake { seat, run });
        }
    }

    /// The seat of a machine by its name.
    pub(crate) fn seat_of(&self, id: &crm_core::id::NodeId) -> Option<Seat> {
        self.machines.iter().position(|machine| &machine.id == id)
    }

    /// The newest record that is known to be committed.
    #[must_use]
    pub fn newest_committed(&self) -> Option<(Stamp, &Record)> {
        let (stamp, _) = self.ghost.committed.last_key_value()?;
        Some((*stamp, &self.ghost.records.get(stamp)?.record))
    }
}

/// No alarm rings sooner than this: a node that wants to be woken at once still lets time pass.
const ALARM_MIN: Micros = 20;
/// What the one clock of a world without chance reads at its beginning.
pub(crate) const CLOCK_OFFSET: u64 = 1_000_000;
