//! Lets the plan's faults strike, and takes them back.

use crate::agents::{Key, Mood};
use crate::assumptions::Assumption;
use crate::clock::{MILLI, Micros, SECOND};
use crate::disk::Disk;
use crate::envelope::{Envelope, new_keys};
use crate::faults::{Blow, Kind, Trigger};
use crate::fence::Device;
use crate::network::Path;
use crate::queue::{Datagram, Happening, Origin, Seat};
use crate::world::World;
use crm_core::id::{Incarnation, StoreId};
use crm_core::packet::{MINOR_HIGHEST, MINOR_LOWEST, Message, Packet};
use crm_core::record::Stored;
use crm_core::rules::Rules;
use crm_core::{Input, Shutdown};

impl<R: Rules> World<R> {
    pub(crate) fn strikes(&mut self, number: usize) {
        if self.healed {
            return;
        }
        let Some(fault) = self.plan.faults.get(number).cloned() else { return };
        let end = (self.now + fault.lasts).min(self.plan.heals);
        self.trace.note(&[12, number as u64, self.now]);
        self.trace.line(self.now, "*", "fault", format_args!("{:?}", fault.kind));
        if !matches!(fault.kind, Kind::When { .. }) {
            *self.figures.faults.entry(fault.kind.name()).or_default() += 1;
        }
        match fault.kind {
            Kind::Weather(weather) => self.network.blow(number, weather),
            Kind::Cut(paths) => self.network.cut(number, paths),
            Kind::Hold { from, to } => {
                self.network.hold(from, to);
                self.queue.push(end, Happening::LetGo { from, to });
            }
            Kind::Lose { from, to, sort } => self.network.lose(number, from, to, sort),
            Kind::Crash { seat } => {
                self.power_off(seat, "crash");
                self.queue.push(end, Happening::PowerOn { seat });
            }
            Kind::Blackout => {
                for seat in 0..self.machines.len() {
                    self.power_off(seat, "blackout");
                    let at = end + self.random.power.below(20 * SECOND);
                    self.queue.push(at, Happening::PowerOn { seat });
                }
            }
            Kind::DaemonCrash { seat } => self.daemon_crash(seat, end),
            Kind::Upgrade { seat } => {
                self.shuts_down(seat, Shutdown::Keep, 10 * SECOND);
                let boot = self.machines[seat].boot;
                self.queue.push(end + 10 * SECOND, Happening::DaemonStarts { seat, boot });
            }
            Kind::Leave { seat } => self.shuts_down(seat, Shutdown::Leave, 90 * SECOND),
            Kind::Freeze { seat } => self.freezes(seat, end),
            Kind::Pause { seat, ticks } => self.mostly_pauses(seat, end, ticks),
            Kind::SlowDisk { seat, slowness } => self.machines[seat].disk.slowness = slowness,
            Kind::HangingDisk { seat } => self.machines[seat].disk.hangs = true,
            Kind::BrokenDisk { seat } => self.machines[seat].disk.fails = true,
            Kind::EmptyDisk { seat } => {
                self.power_off(seat, "crash with the loss of its disk");
                let store = StoreId(self.random.power.next_u128());
                self.machines[seat].disk = Disk::new(Stored::new(store));
                // What the old one said binds no new store, and nobody counts its votes for the old one's (R18).
                self.ghost.epochs.remove(&seat);
                self.queue.push(end, Happening::PowerOn { seat });
            }
            Kind::Agents { seat, mood } => self.machines[seat].agents.mood = mood,
            Kind::Death { seat, which, told } => self.death(seat, which, told),
            Kind::Rumour { seat, which } => {
                let boot = self.machines[seat].boot;
                if let Some((group, resource)) = self.key(which) {
                    let at = self.now + MILLI;
                    self.queue.push(at, Happening::Changed { seat, boot, group, resource });
                }
            }
            Kind::Device { target, device } => {
                self.devices.moods.insert(target, device);
            }
            Kind::BootsFast { seat } => self.machines[seat].boots_fast = true,
            Kind::Replay { to, count, rare } => self.replays(to, count, rare),
            Kind::Forge { to, count } => self.forges(to, count),
            Kind::Stranger { seat, which } => self.somebody_starts(seat, which),
            Kind::PingsFail => self.pings_fail = true,
            Kind::When { skip, .. } => {
                self.armed.insert(number, skip);
            }
        }
        self.queue.push(end, Happening::FaultEnds { fault: number });
    }

    pub(crate) fn fault_ends(&mut self, number: usize) {
        self.network.mend(number);
        self.armed.remove(&number);
        let Some(fault) = self.plan.faults.get(number) else { return };
        match fault.kind {
            Kind::SlowDisk { seat, .. } => self.machines[seat].disk.slowness = 0,
            Kind::HangingDisk { seat } => self.disk_answers(seat),
            Kind::BrokenDisk { seat } => self.machines[seat].disk.fails = false,
            Kind::Agents { seat, .. } => self.machines[seat].agents.mood = Mood::default(),
            Kind::Device { target, .. } => {
                self.devices.moods.insert(target, Device::Good);
            }
            Kind::BootsFast { seat } => self.machines[seat].boots_fast = false,
            Kind::PingsFail => self.pings_fail = false,
            Kind::Leave { seat } if self.machines[seat].daemon_ended => {
                self.power_off(seat, "shut down");
                self.queue.push(self.now + SECOND, Happening::PowerOn { seat });
            }
            _ => {}
        }
    }

    /// What waited for a disk goes on.
    pub(crate) fn disk_answers(&mut self, seat: Seat) {
        let disk = &mut self.machines[seat].disk;
        disk.hangs = false;
        for what in std::mem::take(&mut disk.waiting) {
            self.queue.push(self.now + MILLI, what);
        }
    }

    pub(crate) fn daemon_crash(&mut self, seat: Seat, back: Micros) {
        self.end_daemon(seat, "daemon crash");
        let boot = self.machines[seat].boot;
        self.queue.push(back, Happening::DaemonStarts { seat, boot });
    }

    pub(crate) fn freezes(&mut self, seat: Seat, until: Micros) {
        let machine = &mut self.machines[seat];
        if machine.daemon.is_some() {
            let until = machine.frozen_until.unwrap_or(0).max(until);
            machine.frozen_until = Some(until);
            self.trace.line(self.now, machine.id.as_str(), "freezes", format_args!(""));
            self.queue.push(until, Happening::Thaws { seat });
        }
    }

    /// systemd stops the service, and kills it after a while.
    pub(crate) fn shuts_down(&mut self, seat: Seat, how: Shutdown, patience: Micros) {
        let machine = &mut self.machines[seat];
        let run = machine.run;
        let Some(daemon) = &mut machine.daemon else { return };
        daemon.ending = true;
        self.queue.push(self.now + patience, Happening::DaemonDies { seat, run });
        self.give(seat, Input::Shutdown { how });
    }

    pub(crate) fn key(&self, which: usize) -> Option<Key> {
        let keys: Vec<Key> = self
            .cluster
            .groups
            .iter()
            .flat_map(|group| group.resources.iter().map(|r| (group.id.clone(), r.id.clone())))
            .collect();
        keys.get(which % keys.len().max(1)).cloned()
    }

    fn death(&mut self, seat: Seat, which: usize, told: bool) {
        let Some(key) = self.key(which) else { return };
        let machine = &mut self.machines[seat];
        if !machine.agents.dies(&key) {
            return;
        }
        self.trace.line(self.now, machine.id.as_str(), "dies", format_args!("{}/{}", key.0, key.1));
        let boot = machine.boot;
        if told {
            let at = self.now + self.random.agents.between(MILLI, 50 * MILLI);
            let (group, resource) = key;
            self.queue.push(at, Happening::Changed { seat, boot, group, resource });
        }
    }

    fn replays(&mut self, to: Seat, count: u32, rare: bool) {
        for _ in 0..count {
            let Some(datagram) = self.network.replay(to, rare) else { return };
            let at = self.now + self.random.attacker.below(4 * SECOND);
            self.queue.push(at, Happening::Arrives(datagram));
        }
    }

    /// Packets sealed with another key, or with this key for another cluster.
    fn forges(&mut self, to: Seat, count: u32) {
        let from = (to + 1) % self.machines.len();
        let has_the_key = self.lacks(Assumption::Network);
        let random = &mut self.random.attacker;
        let other_cluster = random.chance(500) && !has_the_key;
        let keys = if other_cluster || has_the_key {
            Ok(self.keys.clone())
        } else {
            new_keys(random).map(|k| k.1)
        };
        let name = if other_cluster { "another" } else { self.cluster.name.as_str() };
        let incarnation = Incarnation(random.next_u128());
        let Ok(keys) = keys else { return };
        let sender = self.machines[from].id.clone();
        let Ok(mut envelope) = Envelope::new(keys, name, &sender, incarnation) else { return };
        let epoch = crm_core::id::Epoch(random.spread(1, 1_000_000));
        let echo = self.machines[to].daemon.as_ref().map(|daemon| daemon.incarnation);
        for number in 1..=u64::from(count) {
            let packet = Packet {
                to: self.machines[to].id.clone(),
                number,
                echo,
                seen: u64::MAX,
                minor_lowest: MINOR_LOWEST,
                minor_highest: MINOR_HIGHEST,
                message: Message::VoteRequest { epoch },
            };
            for bytes in envelope.seal(&packet) {
                self.network.counters.forged += 1;
                let origin = Origin::Forged;
                let datagram =
                    Datagram { from, to, link: 0, bytes, origin, damaged: false, said: None };
                let at = self.now + number * 10 * MILLI;
                self.queue.push(at, Happening::Arrives(datagram));
            }
        }
    }

    /// Something happened that an armed fault waited for.
    pub(crate) fn moment(&mut self, moment: Trigger, seat: Seat) {
        if self.armed.is_empty() || self.healed {
            return;
        }
        let waiting: Vec<usize> = self.armed.keys().copied().collect();
        for number in waiting {
            let Some(fault) = self.plan.faults.get(number) else { continue };
            let Kind::When { trigger, blow, .. } = fault.kind else { continue };
            if trigger != moment {
                continue;
            }
            match self.armed.get_mut(&number) {
                Some(0) => {
                    self.armed.remove(&number);
                    *self.figures.faults.entry("when").or_default() += 1;
                    self.strike_blow(number, seat, blow);
                }
                Some(left) => *left -= 1,
                None => {}
            }
        }
    }

    fn strike_blow(&mut self, number: usize, seat: Seat, blow: Blow) {
        let machines = self.machines.len();
        self.trace.line(
            self.now,
            "*",
            "blow",
            format_args!("{blow:?} at {}", self.machines[seat].id),
        );
        let mut whom = |other: bool| {
            if !other || machines < 2 {
                return seat;
            }
            (seat + 1 + self.random.power.index(machines - 1)) % machines
        };
        match blow {
            Blow::Crash { other, back_after } => {
                let seat = whom(other);
                self.power_off(seat, "crash");
                self.queue.push(self.now + back_after, Happening::PowerOn { seat });
            }
            Blow::DaemonCrash { other, back_after } => {
                let seat = whom(other);
                self.daemon_crash(seat, self.now + back_after);
            }
            Blow::Freeze { other, lasts } => {
                let seat = whom(other);
                self.freezes(seat, self.now + lasts);
            }
            Blow::Isolate { one_way, lasts } => {
                let others = (0..machines).filter(|other| *other != seat);
                let mut paths = Vec::new();
                for other in others {
                    paths.push(Path { from: seat, to: other, link: None });
                    if !one_way {
                        paths.push(Path { from: other, to: seat, link: None });
                    }
                }
                self.network.cut(number, paths);
                self.queue.push(self.now + lasts, Happening::FaultEnds { fault: number });
            }
            Blow::Hold { lasts } => {
                for to in (0..machines).filter(|other| *other != seat) {
                    self.network.hold(seat, to);
                    self.queue.push(self.now + lasts, Happening::LetGo { from: seat, to });
                }
            }
        }
    }
}
