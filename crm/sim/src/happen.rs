//! What each happening does to the world.

use crate::assumptions::Assumption;
use crate::clock::{MILLI, SECOND};
use crate::diary::Entry;
use crate::envelope::Opened;
use crate::faults::Trigger;
use crate::ghost::Belief;
use crate::invariants;
use crate::machine::Mail;
use crate::observe;
use crate::queue::{Datagram, Happening, Origin, Seat};
use crate::world::World;
use crm_core::id::LinkId;
use crm_core::operation::{Action, OpOutcome};
use crm_core::rules::Rules;
use crm_core::{FenceResult, Input};

impl<R: Rules> World<R> {
    pub(crate) fn happen(&mut self, what: Happening) {
        if let Some(later) = self.stands_still(&what) {
            self.queue.push(later, what);
            return;
        }
        if let Happening::Synced { seat, .. } | Happening::DaemonStarts { seat, .. } = &what {
            let disk = &mut self.machines[*seat].disk;
            if disk.hangs {
                disk.waiting.push(what);
                return;
            }
        }
        match what {
            Happening::Wake { seat, run } => {
                let machine = &mut self.machines[seat];
                if machine.run != run || machine.frozen_until.is_some() {
                    return;
                }
                let Some(daemon) = &mut machine.daemon else { return };
                if daemon.wakes_at == Some(self.now) {
                    daemon.wakes_at = None;
                    self.give(seat, Input::Wake);
                }
            }
            Happening::Arrives(datagram) => self.arrives(datagram),
            Happening::Synced { seat, run, write, failed } => {
                if !self.machines[seat].runs(run) {
                    return;
                }
                if failed {
                    self.give(seat, Input::WriteFailed { reason: "no space left".to_owned() });
                    return;
                }
                self.machines[seat].disk.synced(write);
                self.diary.note(seat, || Entry::Synced(write));
                observe::durable(self, seat);
                self.give(seat, Input::Written { write });
            }
            Happening::ChildEnds { seat, boot, child, killed } => {
                self.child_ends(seat, boot, child, killed)
            }
            Happening::ChildTimesOut { seat, boot, child } => {
                let machine = &mut self.machines[seat];
                if machine.boot == boot && machine.powered && machine.agents.mark_timed_out(child) {
                    let at = self.now + machine.agents.kill_takes(&mut self.random.agents);
                    self.queue.push(at, Happening::ChildEnds { seat, boot, child, killed: true });
                }
            }
            Happening::Changed { seat, boot, group, resource } => {
                if self.machines[seat].boot == boot {
                    let what = "changed".to_owned();
                    self.give(seat, Input::Changed { group, resource, what });
                }
            }
            Happening::FenceExecutes { order } => self.fence_executes(order),
            Happening::FenceReports { order, off } => self.fence_reports(order, off),
            Happening::PingEnds { seat, run, answered } => {
                if self.machines[seat].runs(run) {
                    self.give(seat, Input::Pinged { answered });
                }
            }
            Happening::WatchdogBites { seat, boot } => {
                let machine = &self.machines[seat];
                if machine.boot != boot || !machine.powered || self.lacks(Assumption::Watchdog) {
                    return;
                }
                match machine.watchdog {
                    Some(at) if at <= self.now => {
                        self.power_off(seat, "the watchdog bites");
                        self.queue.push(self.now + 4 * SECOND, Happening::PowerOn { seat });
                    }
                    Some(at) => self.queue.push(at, Happening::WatchdogBites { seat, boot }),
                    None => {}
                }
            }
            Happening::RolesTurn => self.roles_turn(),
            Happening::PowerOn { seat } => self.boot(seat),
            Happening::DaemonStarts { seat, boot } => {
                if self.machines[seat].boot == boot {
                    self.start_daemon(seat);
                }
            }
            Happening::DaemonDies { seat, run } => {
                if self.machines[seat].runs(run) {
                    self.end_daemon(seat, "killed: it did not end in time");
                    self.machines[seat].daemon_ended = true;
                }
            }
            Happening::Thaws { seat } => self.thaws(seat),
            Happening::Resumes { seat } => self.resumes(seat),
            Happening::Strikes { fault } => self.strikes(fault),
            Happening::FaultEnds { fault } => self.fault_ends(fault),
            Happening::OperatorActs { act } => self.operator_acts(act),
            Happening::LetGo { from, to } => {
                for (at, datagram) in self.network.let_go(self.now, from, to) {
                    self.queue.push(at, Happening::Arrives(datagram));
                }
            }
            Happening::Heals => self.heals(),
            Happening::TidiesUp => self.tidies_up(),
            Happening::Phase => self.phase(),
            Happening::Weighs => {
                invariants::memory_is_bounded(self);
                self.devices.forget_old(self.now);
                self.ghost.forget_old();
                self.queue.push(self.now + 20 * SECOND, Happening::Weighs);
            }
        }
    }

    fn arrives(&mut self, datagram: Datagram) {
        let machine = &mut self.machines[datagram.to];
        if machine.daemon.is_none() {
            return;
        }
        if machine.frozen_until.is_some() {
            machine.keep(Mail::Datagram(datagram));
            return;
        }
        self.reads(datagram);
    }

    /// The daemon takes a datagram from its socket.
    fn reads(&mut self, datagram: Datagram) {
        let seat = datagram.to;
        let Some(daemon) = &mut self.machines[seat].daemon else { return };
        let opened = match &datagram.said {
            Some(said) => Some(Opened::clone(said)),
            None => daemon.envelope.open(self.now, &datagram.bytes),
        };
        let Some(opened) = opened else { return };
        self.trace.note(&[9, seat as u64, self.now, opened.counter]);
        if datagram.origin == Origin::Forged || datagram.damaged {
            invariants::no_forged_packet_is_opened(self, &datagram);
            return;
        }
        let input = Input::Packet {
            link: LinkId(datagram.link),
            from: opened.from,
            incarnation: opened.incarnation,
            counter: opened.counter,
            packet: opened.packet,
        };
        // An attacker who delivers what had been lost only delays it.
        if datagram.origin == Origin::Replayed && observe::came_before(self, seat, &input) {
            self.give_replayed(seat, input);
            return;
        }
        observe::arrival(self, seat, &input);
        if let Input::Packet { packet, .. } = &input {
            observe::delivery(self, seat, datagram.from, packet);
        }
        self.give(seat, input);
    }

    /// I9: a replayed packet must change nothing. What time alone would do is done before.
    fn give_replayed(&mut self, seat: Seat, input: Input) {
        for _ in 0..3 {
            self.give(seat, Input::Wake);
        }
        let machine = &mut self.machines[seat];
        let Some(daemon) = &mut machine.daemon else { return };
        let local = machine.clock.read(self.now);
        let before = daemon.node.status(local);
        let text = format!("{input:?}");
        daemon.node.handle(local, input);
        let after = daemon.node.status(local);
        let mut outputs = Vec::new();
        while let Some(output) = daemon.node.poll_output() {
            outputs.push(output);
        }
        invariants::no_replayed_packet_changes_state(self, seat, &before, &after, &outputs, &text);
        for output in outputs {
            self.carry_out(seat, output);
        }
        self.drain(seat);
    }

    fn child_ends(&mut self, seat: Seat, boot: u32, child: u64, killed: bool) {
        let machine = &mut self.machines[seat];
        if machine.boot != boot || !machine.powered {
            return;
        }
        let Some((child, result)) = machine.agents.end(&mut self.random.agents, child, killed)
        else {
            return;
        };
        self.ghost.resources_moved = true;
        let state = machine.agents.state(&child.key);
        let (group, resource) = child.key.clone();
        self.trace.note(&[10, seat as u64, self.now, state as u64, child.action as u64]);
        if child.action != Action::Status || result.outcome != OpOutcome::Done {
            self.trace.line(
                self.now,
                machine.id.as_str(),
                "ended",
                format_args!(
                    "{} {group}/{resource}: {:?}, is {state:?}",
                    child.action.as_str(),
                    result.outcome
                ),
            );
        }
        if machine.run != child.run || machine.daemon.is_none() {
            return;
        }
        let belief = match (child.action, result.outcome) {
            (Action::Start, OpOutcome::Done) => Belief::Running,
            (Action::Stop, OpOutcome::Done) => Belief::Stopped,
            (Action::Status, OpOutcome::Done | OpOutcome::RunningPromoted) => Belief::Running,
            (Action::Status, OpOutcome::NotRunning) => Belief::Stopped,
            // AS6: what nobody started since the boot does not run, whatever a failed look says.
            (Action::Status, _) if !machine.agents.was_started(&child.key) => Belief::Stopped,
            // A look that was cut off says nothing new.
            (Action::Status, OpOutcome::TimedOut | OpOutcome::Cancelled) => {
                let key = (seat, group.clone(), resource.clone());
                self.ghost.beliefs.get(&key).copied().unwrap_or(Belief::Unknown)
            }
            _ => Belief::Doubtful,
        };
        self.ghost.beliefs.insert((seat, group, resource), belief);
        self.give(seat, Input::Finished { op: child.op, result });
    }

    fn fence_executes(&mut self, order: u64) {
        let Some(request) = self.devices.requests.get_mut(&order) else { return };
        if request.cancelled {
            return;
        }
        request.executed = Some(self.now);
        let (target, by) = (request.target, request.by);
        let was_on = self.machines[target].powered;
        self.power_off(target, "fenced");
        let machine = &self.machines[target];
        if was_on && !machine.lost {
            let wait = if machine.boots_fast {
                self.random.power.between(MILLI, 300 * MILLI)
            } else {
                self.random.power.spread(4 * SECOND, 40 * SECOND)
            };
            self.queue.push(self.now + wait, Happening::PowerOn { seat: target });
        }
        self.moment(Trigger::FenceExecuted, by);
    }

    fn fence_reports(&mut self, order: u64, off: bool) {
        let Some(request) = self.devices.requests.get_mut(&order) else { return };
        if std::mem::replace(&mut request.reported, true) {
            return;
        }
        let (by, run, id) = (request.by, request.run, request.id);
        let off = off && (request.executed.is_some() || request.lie);
        let result = if off {
            FenceResult::Off
        } else {
            FenceResult::Failed { reason: "no answer from the device".to_owned() }
        };
        self.trace.note(&[11, by as u64, self.now, u64::from(off)]);
        if self.machines[by].runs(run) {
            let name = self.machines[by].id.clone();
            self.trace.line(self.now, name.as_str(), "fenced", format_args!("{id}: {result:?}"));
            self.give(by, Input::Fenced { request: id, result });
            self.moment(Trigger::FenceReported, by);
        }
    }

    fn thaws(&mut self, seat: Seat) {
        let machine = &mut self.machines[seat];
        if machine.frozen_until.is_none_or(|until| until > self.now) {
            return;
        }
        machine.frozen_until = None;
        self.trace.line(self.now, machine.id.as_str(), "thaws", format_args!(""));
        let backlog = std::mem::take(&mut machine.backlog);
        let clock_first = self.random.daemon.chance(500);
        self.machines[seat].says_the_rest = true;
        self.drain(seat);
        self.machines[seat].says_the_rest = false;
        if clock_first {
            self.give(seat, Input::Wake);
        }
        for mail in backlog {
            match mail {
                Mail::Input(input) => self.give(seat, input),
                Mail::Datagram(datagram) => self.arrives(datagram),
            }
        }
        self.give(seat, Input::Wake);
    }
}
