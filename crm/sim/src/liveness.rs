//! After healing: everything that can run runs, within bounds, and then nothing moves (I4).

use crate::agents::{Mood, State};
use crate::clock::{Micros, SECOND};
use crate::faults::Wish;
use crate::plan::Begin;
use crate::queue::{Happening, Seat};
use crate::world::World;
use crm_core::id::{GroupId, RequestId};
use crm_core::model::Group;
use crm_core::operation::Action;
use crm_core::operator::Outcome;
use crm_core::packet::GroupPhase;
use crm_core::rules::Rules;

/// How far the end of a run is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phases {
    stage: Stage,
    deadline: Micros,
    since: Micros,
    wishes: Vec<(Wish, Option<RequestId>, bool)>,
    /// Commands from before the healing were still open when the wishes were told.
    overtaken: bool,
    starts: usize,
    pub(crate) done: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Faults,
    Converging,
    Quiet,
    Surviving,
}

impl<R: Rules> World<R> {
    /// Ends every fault. Machines get power, daemons are started, devices and agents are good.
    pub(crate) fn heals(&mut self) {
        self.healed = true;
        self.operator_heals();
        self.trace.line(self.now, "*", "heals", format_args!(""));
        self.armed.clear();
        for (at, datagram) in self.network.heal(self.now) {
            self.queue.push(at, Happening::Arrives(datagram));
        }
        self.devices.moods.clear();
        self.pings_fail = false;
        for seat in 0..self.machines.len() {
            self.disk_answers(seat);
            let machine = &mut self.machines[seat];
            machine.disk.slowness = 0;
            machine.disk.fails = false;
            machine.agents.mood = Mood::default();
            machine.boots_fast = false;
            if machine.frozen_until.is_some() {
                machine.frozen_until = Some(self.now);
                self.queue.push(self.now, Happening::Thaws { seat });
            }
            let at = self.now + self.random.power.between(SECOND, 5 * SECOND);
            self.queue.push(at, Happening::PowerOn { seat });
            let boot = self.machines[seat].boot;
            self.queue.push(at, Happening::DaemonStarts { seat, boot });
        }
        let nodes = self.plan.layout.nodes.len();
        let groups = self.plan.layout.groups.len();
        let mut wishes = vec![Wish::StartCluster, Wish::Maintenance { on: false }];
        wishes.push(Wish::Apply { revision: 0 });
        wishes.extend((0..nodes).map(|node| Wish::Online { node }));
        wishes.extend((0..groups).map(|group| Wish::Start { group }));
        wishes.push(Wish::Clear);
        self.phases.wishes = wishes.into_iter().map(|wish| (wish, None, false)).collect();
        self.phases.stage = Stage::Converging;
        self.phases.deadline = self.now + HEAL_MAX;
        self.queue.push(self.now + 6 * SECOND, Happening::TidiesUp);
        self.queue.push(self.now + SECOND, Happening::Phase);
    }

    /// The operator asks for what a healed cluster should do, until it is answered.
    pub(crate) fn tidies_up(&mut self) {
        if self.phases.stage != Stage::Converging {
            return;
        }
        // Every daemon runs: one that ended on purpose is started by the operator.
        for seat in 0..self.machines.len() {
            self.boot(seat);
            if self.machines[seat].daemon.is_none() {
                let boot = self.machines[seat].boot;
                self.queue.push(self.now + SECOND, Happening::DaemonStarts { seat, boot });
            }
        }
        let mut wishes = std::mem::take(&mut self.phases.wishes);
        // A call that hung before the healing may fail after the first `clear`.
        let again = self.lacking().is_some() || self.a_stop_failed();
        if again && wishes.iter().all(|(_, _, done)| *done) {
            let clear = wishes.iter_mut().filter(|(wish, _, _)| *wish == Wish::Clear);
            clear.for_each(|(_, request, done)| (*request, *done) = (None, false));
        }
        let waits = self.an_earlier_command_waits();
        if std::mem::replace(&mut self.phases.overtaken, waits) && !waits {
            wishes.iter_mut().for_each(|(_, request, done)| (*request, *done) = (None, false));
        }
        for (wish, request, done) in &mut wishes {
            let answer = request.and_then(|request| self.operator.answer(request));
            *done = *done || matches!(answer, Some(Outcome::Done { .. }));
            if !*done {
                let seat = self.random.power.index(self.plan.layout.nodes.len());
                *request = self.wish(seat, *wish);
            }
        }
        self.phases.wishes = wishes;
        self.queue.push(self.now + 5 * SECOND, Happening::TidiesUp);
    }

    /// Looks every second how far things are.
    pub(crate) fn phase(&mut self) {
        match self.phases.stage {
            Stage::Faults => return,
            Stage::Converging => {
                let tidy = !self.phases.overtaken
                    && !self.an_earlier_command_waits()
                    && self.phases.wishes.iter().all(|(_, _, done)| *done);
                let lacking = self.lacking();
                if tidy
                    && lacking.is_none()
                    && self.all_vote()
                    && self.all_serve()
                    && !self.devices.are_busy()
                    && !self.anything_changes()
                    && !self.a_stop_failed()
                {
                    let took = (self.now + HEAL_MAX - self.phases.deadline) / SECOND;
                    *self.figures.healed.entry(took).or_default() += 1;
                    self.enter(Stage::Quiet, QUIET + SETTLE);
                } else if self.now >= self.phases.deadline {
                    let detail = match lacking {
                        Some(lacking) => lacking,
                        None if !tidy => {
                            let last = self.operator.answers.last();
                            self.blame(
                                "an_operator_is_answered_within_bounds",
                                format!("{last:?}"),
                            );
                            return;
                        }
                        None if self.all_vote() => {
                            "all groups run, but not everything is at rest: a call that changes something, a failed stop, a device or a daemon".to_owned()
                        }
                        None => {
                            let voters = self.newest_committed().map(|(_, r)| r.voters.clone());
                            self.blame(
                                "every_node_votes_again_within_bounds",
                                format!("{voters:?}"),
                            );
                            return;
                        }
                    };
                    self.blame("every_group_that_can_run_runs_within_bounds", detail);
                    return;
                }
            }
            Stage::Quiet => {
                let settled = self.now >= self.phases.since + SETTLE;
                let starts = self.starts_so_far();
                if !settled {
                    self.phases.starts = starts;
                } else if starts > self.phases.starts {
                    self.blame("no_ping_pong", "a healed cluster starts things again".to_owned());
                    return;
                } else if let Some(lacking) = self.lacking() {
                    self.blame("no_ping_pong", format!("a healed cluster falls back: {lacking}"));
                    return;
                }
                if self.now >= self.phases.deadline {
                    let Some(seat) = self.plan.last_blow else {
                        self.phases.done = true;
                        return;
                    };
                    self.machines[seat].lost = true;
                    self.power_off(seat, "lost for good");
                    self.enter(Stage::Surviving, SURVIVE_MAX);
                }
            }
            Stage::Surviving => {
                let lacking = self.lacking();
                if lacking.is_none() {
                    let took = (self.now - self.phases.since) / SECOND;
                    *self.figures.survived.entry(took).or_default() += 1;
                    self.phases.done = true;
                    return;
                }
                // A start that hung before the healing may fail only now, with a long timeout.
                let waits =
                    lacking.as_ref().is_some_and(|scene| scene.contains("lets it try again"));
                if waits && self.now == self.phases.deadline - SURVIVE_MAX / 2 {
                    let survivor =
                        (0..self.plan.layout.nodes.len()).find(|seat| !self.machines[*seat].lost);
                    self.wish(survivor.unwrap_or_default(), Wish::Clear);
                }
                if self.now >= self.phases.deadline {
                    let detail = lacking.unwrap_or_default();
                    self.blame("the_loss_of_one_machine_is_survived_within_bounds", detail);
                    return;
                }
            }
        }
        self.queue.push(self.now + SECOND, Happening::Phase);
    }

    fn enter(&mut self, stage: Stage, lasts: Micros) {
        self.trace.line(self.now, "*", "phase", format_args!("{stage:?}"));
        self.phases.stage = stage;
        self.phases.since = self.now;
        self.phases.deadline = self.now + lasts;
        self.phases.starts = self.starts_so_far();
    }

    fn starts_so_far(&self) -> usize {
        self.ghost.starts.values().map(Vec::len).sum()
    }

    /// No daemon is gone or about to end.
    fn all_serve(&self) -> bool {
        self.machines.iter().all(|m| m.daemon.as_ref().is_some_and(|daemon| !daemon.ending))
    }

    /// A call that hung before the healing may still fail, and take a group that runs with it.
    fn anything_changes(&self) -> bool {
        let mut calls = self.machines.iter().flat_map(|machine| machine.agents.children().values());
        calls.any(|call| call.action != Action::Status)
    }

    /// What could not be stopped may still run. A watchdog is about to end it, or it is looked at again by a word.
    fn a_stop_failed(&self) -> bool {
        self.machines.iter().any(|machine| {
            machine.daemon.as_ref().is_some_and(|daemon| {
                let status = daemon.node.status(machine.clock.read(self.now));
                // Of others it may know what was long ago.
                status.groups.iter().any(|group| {
                    group.phase == GroupPhase::StopFailed
                        && group.owner.as_ref() == Some(&machine.id)
                })
            })
        })
    }

    fn all_vote(&self) -> bool {
        let Some((_, record)) = self.newest_committed() else { return self.machines.len() == 1 };
        record.voters.len() == self.machines.len() && record.old_voters == record.voters
    }

    /// The first group that could run and does not, with where its resources are.
    pub(crate) fn lacking(&self) -> Option<String> {
        let groups = self.cluster.groups.iter();
        groups.filter(|group| self.can_run(group)).find_map(|group| {
            let holders: Vec<Seat> = (0..self.machines.len())
                .filter(|seat| self.machines[*seat].powered)
                .filter(|seat| self.machines[*seat].agents.holds_group(&group.id))
                .collect();
            let runs = holders.len() == 1 && self.runs_whole(holders[0], group);
            // I7: an address is where its role is.
            let runs = runs && self.role_fits(group, holders[0]);
            (!runs).then(|| format!("group {} does not run: {}", group.id, self.scene(&group.id)))
        })
    }

    pub(crate) fn runs_whole(&self, seat: Seat, group: &Group) -> bool {
        group.resources.iter().all(|resource| {
            let key = (group.id.clone(), resource.id.clone());
            self.machines[seat].agents.state(&key) == State::Running
        })
    }

    fn can_run(&self, group: &Group) -> bool {
        let first = self.cluster.groups.first().is_some_and(|first| first.id == group.id);
        (0..self.plan.layout.nodes.len()).any(|seat| {
            let banned = (first && self.plan.begin == Begin::Banned { node: seat })
                || self.plan.begin == Begin::AllBanned { node: seat };
            !self.machines[seat].lost && !banned
        })
    }

    /// Where everything stands, in one line for each node.
    #[must_use]
    pub fn scene(&self, group: &GroupId) -> String {
        let mut lines = Vec::new();
        for machine in &self.machines {
            let holds: Vec<String> = machine
                .agents
                .holding()
                .filter(|(key, _)| &key.0 == group)
                .map(|(key, state)| format!("{}={state:?}", key.1))
                .collect();
            let view = machine.daemon.as_ref().map(|daemon| {
                let status = daemon.node.status(machine.clock.read(self.now));
                let here = status.groups.iter().find(|g| &g.id == group);
                format!(
                    "coordinator {:?} epoch {} record {} obeys {}: {}",
                    status.coordinator,
                    status.epoch,
                    status.stamp,
                    status.obeyed,
                    here.map(|g| format!("owner {:?} {:?}, {}", g.owner, g.phase, g.reason))
                        .unwrap_or_default()
                )
            });
            let view = view.unwrap_or_else(|| "no daemon".to_owned());
            lines.push(format!("{} [{}] {view}", machine.id, holds.join(" ")));
        }
        lines.join(" | ")
    }
}

/// From the last fault until every group runs and every node votes.
pub(crate) const HEAL_MAX: Micros = 180 * SECOND;
/// A group that just came up may still be looked at.
const SETTLE: Micros = 10 * SECOND;
/// How long nothing may move after that.
const QUIET: Micros = 20 * SECOND;
/// From the loss of a machine until its groups run elsewhere.
pub(crate) const SURVIVE_MAX: Micros = 120 * SECOND;

impl std::fmt::Display for Phases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} until {}", self.stage, self.deadline / SECOND)
    }
}
