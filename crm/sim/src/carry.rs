//! The shell of a simulated node: turns its outputs into what happens, as `crmd` does in earnest.

use crate::agents::Child;
use crate::assumptions::Assumption;
use crate::clock::{MILLI, SECOND};
use crate::diary::Entry;
use crate::envelope::Opened;
use crate::faults::Trigger;
use crate::fence::Device;
use crate::invariants;
use crate::machine::Daemon;
use crate::observe;
use crate::queue::{Datagram, Happening, Origin, Seat};
use crate::world::World;
use crm_core::event::Severity;
use crm_core::model::WITNESS;
use crm_core::operation::{Action, Operation};
use crm_core::packet::{Message, Packet};
use crm_core::record::Stored;
use crm_core::rules::Rules;
use crm_core::{Destination, Output, WatchdogDuty};
use std::sync::Arc;

impl<R: Rules> World<R> {
    pub(crate) fn carry_out(&mut self, seat: Seat, output: Output) {
        if self.machines[seat].daemon.as_ref().is_some_and(|daemon| daemon.write_failed) {
            invariants::nothing_is_said_after_a_failed_write(self, seat, &output);
        }
        match output {
            Output::Send { to, packet } => self.send(seat, &to, &packet),
            Output::Write { write, stored } => self.write(seat, write, *stored),
            Output::Run(operation) => self.begin(seat, &operation),
            Output::Cancel { op } => {
                let machine = &mut self.machines[seat];
                if let Some(child) = machine.agents.child_of(machine.run, op) {
                    if let Some(Child { key, action, .. }) = machine.agents.children().get(&child) {
                        let (who, action) = (machine.id.as_str(), action.as_str());
                        let what = format_args!("{action} {}/{}", key.0, key.1);
                        self.trace.line(self.now, who, "cancels", what);
                    }
                    machine.agents.mark_cancelled(child);
                    let at = self.now + machine.agents.kill_takes(&mut self.random.agents);
                    let boot = machine.boot;
                    self.queue.push(at, Happening::ChildEnds { seat, boot, child, killed: true });
                }
            }
            Output::Fence { request, target, device } => {
                let Some(target) = self.seat_of(&target) else { return };
                self.figures.fences += 1;
                // What it heard when it decided counts, and that was before it froze.
                if !self.machines[seat].says_the_rest {
                    invariants::a_minority_fences_nobody(self, seat, target);
                }
                let run = self.machines[seat].run;
                if self.lacks(Assumption::Fencing) {
                    self.devices.moods.insert(target, Device::Lies);
                }
                let (order, course) = self.devices.take(
                    self.now,
                    &mut self.random.fence,
                    seat,
                    run,
                    request,
                    target,
                    device.timeout,
                );
                if let Some(at) = course.executes {
                    self.queue.push(at, Happening::FenceExecutes { order });
                }
                self.queue.push(course.reports, Happening::FenceReports { order, off: course.off });
                self.trace.note(&[5, seat as u64, target as u64, self.now]);
                let (by, at) = (self.machines[seat].id.clone(), self.machines[target].id.clone());
                self.trace.line(self.now, by.as_str(), "fence", format_args!("{at} {request}"));
                self.moment(Trigger::FenceAsked, seat);
            }
            Output::CancelFence { request } => {
                let run = self.machines[seat].run;
                self.devices.cancel(&mut self.random.fence, seat, run, request);
            }
            Output::Ping { .. } => {
                let run = self.machines[seat].run;
                let answered = !self.pings_fail;
                let at = self.now + if answered { MILLI } else { SECOND };
                self.queue.push(at, Happening::PingEnds { seat, run, answered });
            }
            Output::Reply { request, outcome } => self.answered(seat, request, outcome),
            Output::Event(event) => {
                let level = match event.severity {
                    Severity::Info => "event",
                    Severity::Warning => "warning",
                    Severity::Error => "error",
                };
                let id = self.machines[seat].id.clone();
                self.trace.line(self.now, id.as_str(), level, format_args!("{event}"));
            }
            Output::Watchdog(duty) => self.watchdog(seat, duty),
            Output::Halt { reason, failed } => self.halts(seat, &reason, failed),
            Output::Unwatch { .. } | Output::Status { .. } | Output::Configured { .. } => {}
        }
    }

    fn send(&mut self, from: Seat, to: &Destination, packet: &Packet) {
        observe::packet(self, from, packet);
        self.diary.says(from, &self.machines[from].id, packet);
        let (target, link) = match to {
            Destination::Link { node, link } => (self.seat_of(node), Some(link.0)),
            Destination::Node(node) => (self.seat_of(node), None),
            Destination::Contact => ((0..self.machines.len()).find(|seat| *seat != from), None),
        };
        let Some(target) = target else { return };
        let rare = !matches!(packet.message, Message::Heartbeat(_) | Message::Hello);
        let id = self.machines[from].id.clone();
        let Some(daemon) = &mut self.machines[from].daemon else { return };
        let said = self.unsealed.then(|| {
            let (from, counter) = (id.clone(), packet.number);
            let incarnation = daemon.incarnation;
            Arc::new(Opened { from, incarnation, counter, packet: packet.clone() })
        });
        let sheets = match &said {
            Some(_) => vec![Arc::from([])],
            None => daemon.envelope.seal(packet),
        };
        self.trace.note(&[6, from as u64, target as u64, self.now, sheets.len() as u64]);
        if rare && self.trace.wanted() {
            let (by, at) = (self.machines[from].id.clone(), self.machines[target].id.clone());
            let text = brief(&packet.message);
            self.trace.line(self.now, by.as_str(), "says", format_args!("to {at}: {text}"));
        }
        // Between a node and the witness every packet takes every path, as it does with `crmd`.
        let witness = self.machines[target].id.as_str() == WITNESS
            || self.machines[from].id.as_str() == WITNESS;
        let links = match link {
            Some(link) if !witness => link..link + 1,
            _ => 0..self.links,
        };
        let lost = self.network.loses(from, target, &packet.message);
        for link in links.filter(|_| !lost) {
            for bytes in &sheets {
                let bytes = bytes.clone();
                let origin = Origin::Genuine;
                let said = said.clone();
                let datagram =
                    Datagram { from, to: target, link, bytes, origin, damaged: false, said };
                self.figures.datagrams += 1;
                for (at, datagram) in self.network.send(self.now, datagram, rare) {
                    self.queue.push(at, Happening::Arrives(datagram));
                }
            }
        }
        match &packet.message {
            Message::Vote { .. } => self.moment(Trigger::Votes, from),
            Message::Propose { .. } => self.moment(Trigger::Proposes, from),
            Message::Accepted { .. } => self.moment(Trigger::Accepts, from),
            Message::Committed { .. } => self.moment(Trigger::Commits, from),
            Message::VoteRequest { .. } => self.moment(Trigger::Stands, from),
            Message::Report(_) => self.moment(Trigger::Reports, from),
            _ => {}
        }
    }

    fn write(&mut self, seat: Seat, write: crm_core::id::WriteId, stored: Stored) {
        observe::write(self, seat, &stored);
        self.diary.note(seat, || Entry::Writes(write, Box::new(stored.clone())));
        let machine = &mut self.machines[seat];
        let run = machine.run;
        let failed = std::mem::take(&mut machine.disk.fails) || machine.disk.full;
        self.trace.note(&[7, seat as u64, self.now, stored.writes]);
        self.trace.line(
            self.now,
            machine.id.as_str(),
            "writes",
            format_args!("epoch {} vote {:?} record {}", stored.epoch, stored.vote, stored.stamp()),
        );
        let at = machine.disk.write(self.now, &mut self.random.disk, write, stored);
        self.queue.push(at, Happening::Synced { seat, run, write, failed });
        self.moment(Trigger::Writes, seat);
    }

    fn begin(&mut self, seat: Seat, operation: &Operation) {
        observe::call(self, seat, operation);
        let machine = &mut self.machines[seat];
        let (boot, run) = (machine.boot, machine.run);
        let course = machine.agents.begin(self.now, &mut self.random.agents, run, operation);
        let child = course.child;
        if let Some(at) = course.ends {
            self.queue.push(at, Happening::ChildEnds { seat, boot, child, killed: false });
        }
        self.queue.push(course.times_out, Happening::ChildTimesOut { seat, boot, child });
        self.ghost.resources_moved = true;
        let Operation { group, resource, action, .. } = operation;
        self.trace.note(&[8, seat as u64, self.now, *action as u64]);
        if *action != Action::Status {
            self.trace.line(
                self.now,
                machine.id.as_str(),
                action.as_str(),
                format_args!("{group}/{resource}"),
            );
        }
        match action {
            Action::Start => {
                self.figures.starts += 1;
                self.moment(Trigger::Starts, seat);
            }
            Action::Stop => self.moment(Trigger::Stops, seat),
            _ => {}
        }
    }

    fn watchdog(&mut self, seat: Seat, duty: WatchdogDuty) {
        let machine = &mut self.machines[seat];
        let boot = machine.boot;
        match duty {
            WatchdogDuty::Feed { margin } => {
                let margin = margin.as_micros();
                if machine.watchdog.is_none() {
                    self.trace.line(
                        self.now,
                        machine.id.as_str(),
                        "watchdog",
                        format_args!("armed"),
                    );
                }
                if machine.watchdog.replace(self.now + margin).is_none() {
                    self.queue.push(self.now + margin, Happening::WatchdogBites { seat, boot });
                }
                let daemon = machine.daemon.as_mut();
                if daemon.is_some_and(|daemon| !std::mem::replace(&mut daemon.watchdog_open, true))
                {
                    self.give_later(seat, crm_core::Input::WatchdogArmed { armed: true });
                }
            }
            WatchdogDuty::Disarm => {
                self.trace.line(
                    self.now,
                    machine.id.as_str(),
                    "watchdog",
                    format_args!("disarmed"),
                );
                machine.watchdog = None;
                if let Some(daemon) = &mut machine.daemon {
                    daemon.watchdog_open = false;
                }
                self.give_later(seat, crm_core::Input::WatchdogArmed { armed: false });
            }
        }
    }

    /// An input that a duty causes is given after the duties at hand.
    fn give_later(&mut self, seat: Seat, input: crm_core::Input) {
        if let Some(daemon) = &mut self.machines[seat].daemon {
            daemon.later.push_back(input);
        }
    }

    fn halts(&mut self, seat: Seat, reason: &str, failed: bool) {
        let machine = &mut self.machines[seat];
        let told = machine.daemon.as_ref().is_some_and(|daemon: &Daemon<R>| daemon.ending);
        machine.daemon_ended = told;
        let boot = machine.boot;
        let text = format!("halts: {reason}");
        self.end_daemon(seat, &text);
        if failed || !told {
            // systemd: Restart=on-failure.
            let at = self.now + self.random.power.between(SECOND, 3 * SECOND);
            let at = self.in_step(at, seat);
            self.queue.push(at, Happening::DaemonStarts { seat, boot });
        }
    }
}

/// One line about a message.
fn brief(message: &Message) -> String {
    match message {
        Message::Propose { epoch, record } => {
            let grants: Vec<String> = record
                .grants
                .iter()
                .map(|(group, grant)| format!("{group}={}:{:?}", grant.owner, grant.state))
                .collect();
            let voters: Vec<_> = record.voters.keys().map(|id| id.as_str()).collect();
            format!("propose {} in {epoch} voters {voters:?} {}", record.stamp, grants.join(" "))
        }
        Message::Vote { epoch, record, .. } => {
            let stamp = record.as_ref().map(|r| r.stamp).unwrap_or_default();
            format!("vote {epoch} with record {stamp}")
        }
        Message::Report(report) => {
            let groups: Vec<String> =
                report.groups.iter().map(|(id, g)| format!("{id}={:?}", g.phase)).collect();
            format!("report {} obeys {} {}", report.number, report.obeyed, groups.join(" "))
        }
        Message::Forward { request, command } => format!("forward {request} {command:?}"),
        Message::StatusReply { .. } => "status".to_owned(),
        other => format!("{other:?}"),
    }
}
