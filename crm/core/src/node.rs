//! A node: holds the state, takes inputs, hands out duties; the policy is in the files beside it.

use crate::commands::Commands;
use crate::election::Role;
use crate::event::Event;
use crate::execute::Executor;
use crate::fencing::Fences;
use crate::id::{Epoch, Incarnation, NodeId, Stamp, WriteId};
use crate::model::{Cluster, ParseConfig, Timing, WITNESS};
use crate::packet::Report;
use crate::peer::Peers;
use crate::persist::{Durable, Pending};
use crate::record::{Record, Stored};
use crate::rules::{Rule, Rules, Sound};
use crate::silence::Silence;
use crate::stranger::Strangers;
use crate::time::{Span, Time};
use crate::watchdog::Watchdog;
use crate::{Input, Output, Shutdown};
use std::collections::VecDeque;
use std::sync::Arc;

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
    /// An earlier run of the daemon, since this machine booted, armed the watchdog and did not
    /// disarm it: the kernel still counts (H16).
    pub watchdog_left_armed: bool,
    /// This is the first run of the daemon since the machine booted.
    pub first_since_boot: bool,
}

/// One node of the cluster.
#[derive(Clone)]
pub struct Node<R: Rules = Sound> {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) parse: ParseConfig,
    pub(crate) joining: bool,
    pub(crate) random: u64,
    pub(crate) started: Time,
    pub(crate) now: Time,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) halted: bool,
    /// Of the newest record.
    pub(crate) config: Option<Arc<Cluster>>,
    pub(crate) timing: Timing,
    /// What the disk holds once every open write is done.
    pub(crate) stored: Stored,
    pub(crate) durable: Durable,
    pub(crate) writing: VecDeque<Pending>,
    pub(crate) next_write: WriteId,
    /// It was told that the store takes long.
    pub(crate) store_slow: bool,
    /// When this node last stopped leading for that.
    pub(crate) store_gave_way: Option<Time>,
    pub(crate) peers: Peers<R>,
    /// Number of the next packet to anybody, in this run of the daemon.
    pub(crate) next_number: u64,
    pub(crate) next_heartbeat: Time,
    pub(crate) role: Role,
    pub(crate) highest_epoch: Epoch,
    pub(crate) stand_at: Option<Time>,
    /// Coordinator whose lease held when it was last heard.
    pub(crate) leader: Option<Leader>,
    /// The committed record that this incarnation obeys (R10).
    pub(crate) obeyed: Option<Obeyed>,
    /// This incarnation may decide a tie (R6, H6).
    pub(crate) joined: bool,
    /// End of the own lease, as a follower (R13).
    pub(crate) lease_until: Option<Time>,
    /// What a coordinator said is committed, in case the write is still under way.
    pub(crate) committed_hint: Option<(Epoch, Stamp)>,
    pub(crate) fences: Fences,
    pub(crate) executor: Executor<R>,
    pub(crate) executor_touched: bool,
    pub(crate) wants_stale: bool,
    /// A group waits for another one on this node that it starts after.
    pub(crate) waits_for_base: bool,
    pub(crate) report: Report,
    /// Roles that services hold here, as far as the shell has said.
    pub(crate) roles: std::collections::BTreeMap<crate::id::ServiceId, crate::packet::RoleReport>,
    pub(crate) commands: Commands,
    pub(crate) silence: Silence,
    pub(crate) strangers: Strangers,
    pub(crate) shutdown: Option<(Shutdown, Time)>,
    /// When this node last asked for its own leave.
    pub(crate) leave_asked: Option<Time>,
    pub(crate) leave_request: crate::id::RequestId,
    /// Since when nobody coordinates, while this node leaves.
    pub(crate) leaderless_since: Option<Time>,
    pub(crate) draft: crate::view::Draft,
    pub(crate) refused: crate::refused::Refused,
    pub(crate) watchdog: Watchdog,
    pub(crate) fork: Option<String>,
    /// Why the configuration of the newest record is not understood here. Until it is, that record is stored and voted with
    /// like any other, and not obeyed: by an older configuration its grants mean something else (I1).
    pub(crate) misread: Option<String>,
    /// Groups whose failure here the obeyed record knows.
    pub(crate) failures_known: Vec<crate::id::GroupId>,
}

/// A coordinator as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) node: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) heard: Time,
    pub(crate) report_seen: u64,
}

/// A committed record and its configuration.
#[derive(Clone, Debug)]
pub(crate) struct Obeyed {
    pub(crate) record: Arc<Record>,
    pub(crate) cluster: Arc<Cluster>,
    /// It has no place for this node (R19).
    pub(crate) removed: bool,
}

impl<R: Rules> Node<R> {
    #[must_use]
    pub fn new(now: Time, start: Start) -> Node<R> {
        let heard_of = start.stored.company.values().map(|stamp| stamp.epoch);
        let highest_epoch = heard_of.fold(start.stored.epoch, Epoch::max);
        let mut node = Node {
            id: start.id,
            incarnation: start.incarnation,
            parse: start.parse,
            joining: start.joining,
            random: start.seed ^ (start.incarnation.0 as u64) | 1,
            started: now,
            now,
            outputs: VecDeque::new(),
            halted: false,
            config: None,
            timing: Timing::default(),
            highest_epoch,
            stored: start.stored,
            durable: Durable::default(),
            writing: VecDeque::new(),
            next_write: WriteId(1),
            store_slow: false,
            store_gave_way: None,
            peers: Peers::new(),
            next_number: 1,
            next_heartbeat: now,
            role: Role::Follower,
            stand_at: None,
            leader: None,
            obeyed: None,
            joined: false,
            lease_until: None,
            committed_hint: None,
            fences: Fences::default(),
            executor: Executor::new(),
            executor_touched: false,
            wants_stale: true,
            waits_for_base: false,
            report: Report { number: 1, ..Report::default() },
            roles: Default::default(),
            commands: Commands::default(),
            silence: Silence::default(),
            strangers: Strangers::default(),
            shutdown: None,
            leave_asked: None,
            leave_request: crate::leave::LEAVE,
            leaderless_since: None,
            draft: Default::default(),
            refused: Default::default(),
            watchdog: Watchdog::new(start.watchdog_left_armed),
            fork: None,
            misread: None,
            failures_known: Vec::new(),
        };
        if start.first_since_boot {
            node.executor.is_first_since_boot();
        }
        // What was read at the start may have been renamed into place and not synced (AS1): it is
        // written once more before anything of it is told to others.
        node.persist(crate::persist::After::Nothing);
        node.use_newest_config();
        node.look_at_what_runs();
        if let Some(record) = &node.stored.record {
            // A restart that was asked for while no daemon ran here is still to be made (I5).
            node.executor.restarts(now, &record.intents.restarts);
        }
        node.stand_at = Some(now + node.timing.keepalive * 2 + node.standing_delay());
        node.resume_candidacy();
        node
    }

    /// Authentic packets that nothing was done for.
    #[must_use]
    pub fn refused(&self) -> crate::refused::Refused {
        self.refused
    }

    /// Takes one input. Drain [`Node::poll_output`] after each call.
    pub fn handle(&mut self, now: Time, input: Input) {
        if self.halted {
            return;
        }
        let now = now.max(self.now);
        self.notice_stall(now);
        self.now = now;
        match input {
            Input::Wake => {}
            Input::Packet { link, from, incarnation, counter: _, packet } => {
                self.on_packet(link, &from, incarnation, packet);
            }
            Input::Written { write } => self.on_written(write),
            Input::WriteFailed { reason } => {
                self.halt(format!("the store could not be written: {reason}"), true);
            }
            Input::Finished { op, result } => {
                let input = crate::execute::ExecuteInput::Finished { op, result };
                self.executor.handle(now, input);
                self.executor_touched = true;
            }
            Input::Changed { group, resource, what } => {
                let input = crate::execute::ExecuteInput::Changed { group, resource, what };
                self.executor.handle(now, input);
                self.executor_touched = true;
            }
            Input::RoleSeen { service, report } => self.on_role(service, report),
            Input::Fenced { request, result } => self.on_fenced(request, result),
            Input::Pinged { answered } => self.on_pinged(answered),
            Input::Operator { request, command } => self.on_operator(request, command),
            Input::StatusWanted { request } => self.on_status_wanted(request),
            Input::DraftSeen { digest } => self.on_draft(digest),
            Input::WatchdogArmed { armed } => {
                // What an earlier run left ticking does so also where this one cannot open it.
                self.watchdog.armed = armed;
                self.executor_touched = true;
                self.wants_stale = true;
            }
            Input::Shutdown { how } => self.on_shutdown(how),
        }
        self.pass();
    }

    /// One level pass: compares what should be with what is. Cheap when nothing is due.
    fn pass(&mut self) {
        if self.halted {
            return;
        }
        self.watch_store();
        if self.halted {
            return;
        }
        self.detect();
        self.expire_fences();
        self.send_heartbeats();
        self.stand_if_due();
        self.coordinate();
        self.take_on_silence();
        self.execute();
        self.tend_watchdog();
        self.settle_commands();
        self.leave_if_done();
    }

    /// The next duty, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Node::handle`] with [`Input::Wake`] if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        if self.halted {
            return None;
        }
        let peers = self.peers.values().filter_map(|peer| {
            let dead = peer.dead_at(self.timing.deadtime);
            let late = peer.late_at(self.timing.warntime);
            [dead, late].into_iter().flatten().min()
        });
        let fixed = [
            Some(self.next_heartbeat),
            self.election_deadline(),
            self.coordinator_deadline(),
            self.fences.deadline(self.now),
            self.executor.deadline(),
            self.commands.deadline(),
            self.lease_until.filter(|until| *until > self.now),
            self.shutdown_deadline(),
            self.watchdog_deadline(),
            self.store_deadline(),
        ];
        peers.chain(fixed.into_iter().flatten()).min().map(|at| at.max(self.now))
    }

    /// R4: this voter is the witness, which runs nothing, stands for nothing and looks at nothing.
    pub(crate) fn is_witness(&self) -> bool {
        self.id.as_str() == WITNESS
    }

    /// The newest record, which may not be committed yet.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.stored.record.as_ref()
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.stored.stamp()
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Ends the daemon; nothing is answered after this.
    pub(crate) fn halt(&mut self, reason: String, failed: bool) {
        self.halted = true;
        self.disarm_at_the_end();
        self.outputs.push_back(Output::Halt { reason, failed });
    }

    /// A number below `bound` from the node's own generator (xorshift), to spread timers.
    pub(crate) fn spread(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.checked_rem(bound).unwrap_or(0)
    }

    /// R13: a gap in the own timer of more than three keepalives means that this node did not run:
    /// its lease has lapsed, and it does not judge its peers before it has listened again.
    fn notice_stall(&mut self, now: Time) {
        let allowed = self.next_heartbeat + self.timing.keepalive * 3;
        if now <= allowed {
            return;
        }
        let gap = now.since(self.next_heartbeat);
        if R::holds(Rule::StallLapsesLease) {
            self.lapse_lease();
        }
        for peer in self.peers.values_mut().filter(|peer| peer.alive) {
            peer.heard = Some(now);
        }
        if let Some(stand) = &mut self.stand_at {
            *stand = (*stand).max(now + self.timing.deadtime);
        }
        self.silence_after_stall(now, gap);
        self.store_after_stall(now, gap);
        self.wants_stale = true;
        self.event(Event::warning(
            "stalled",
            format!("this node did not run for {}; it listens before it judges others", whole(gap)),
        ));
    }

    /// Makes the newest record's configuration the one in use for addresses and timing.
    pub(crate) fn use_newest_config(&mut self) {
        let Some(record) = &self.stored.record else { return };
        let text = record.config.text.clone();
        match (self.parse)(&text) {
            Ok(cluster) => {
                let cluster = Arc::new(cluster);
                self.timing = cluster.timing;
                self.misread = None;
                self.config = Some(cluster.clone());
                self.keep_configured_peers();
                self.forget_company();
                self.judge_draft();
                self.outputs.push_back(Output::Configured { cluster, text });
            }
            Err(reason) => {
                let reason = format!(
                    "the configuration in record {} is not understood here: {reason}. This node starts and stops nothing by it, and does not lead; is this an older version of crm?",
                    record.stamp
                );
                self.event(Event::error("configuration", reason.clone()));
                // A witness has no use for what the text says of groups.
                self.misread = (!self.is_witness()).then_some(reason);
            }
        }
    }

    /// Peers are the nodes of the configuration, every voter, every owner, and, before there is a
    /// configuration, whoever spoke with the key.
    pub(crate) fn keep_configured_peers(&mut self) {
        let (Some(cluster), Some(record)) = (self.config.clone(), &self.stored.record) else {
            return;
        };
        // Between a node and the witness all paths count as one link: every packet takes each.
        let links =
            |node: &crate::model::NodeSpec| if self.is_witness() { 1 } else { node.links.len() };
        let mut wanted: std::collections::BTreeMap<NodeId, usize> =
            cluster.nodes.iter().map(|node| (node.id.clone(), links(node))).collect();
        if cluster.witness.is_some() {
            wanted.insert(NodeId::new(WITNESS), 1);
        }
        let owners = record.grants.values().map(|grant| &grant.owner);
        for name in record.voters.keys().chain(record.old_voters.keys()).chain(owners) {
            wanted.entry(name.clone()).or_insert(1);
        }
        wanted.remove(&self.id);
        self.peers.retain(|id, _| wanted.contains_key(id));
        for (id, links) in wanted {
            let now = self.now;
            let peer = self.peers.entry(id).or_insert_with(|| crate::peer::Peer::new(now, links));
            peer.links.resize(links, Default::default());
        }
    }
}

/// A span for people: milliseconds are enough.
pub(crate) fn whole(span: Span) -> Span {
    Span::millis(span.as_millis())
}
