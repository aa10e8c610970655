//! Draws a plan of faults and operator commands from a seed. A profile says which kinds are likely.

use crate::agents::Mood;
use crate::assumptions::Assumption;
use crate::clock::{MILLI, Micros, SECOND};
use crate::faults::{Act, Blow, Fault, Kind, Trigger, Wish};
use crate::fence::Device;
use crate::layouts::{FEWER_VOTERS, Layout};
use crate::network::{Path, Weather};
use crate::queue::Seat;
use crate::random::Random;
use crm_core::operation::Action;

/// Everything that happens to a cluster from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub layout: Layout,
    pub profile: Profile,
    pub faults: Vec<Fault>,
    pub acts: Vec<Act>,
    /// When everything heals.
    pub heals: Micros,
    /// How the cluster begins.
    pub begin: Begin,
    /// A machine that is lost for good after everything had healed and run.
    pub last_blow: Option<Seat>,
    /// The assumption that does not hold, to see what then happens.
    pub breaks: Option<Assumption>,
}

/// How a cluster begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// All voters know the first record.
    Founded,
    /// One node is founded, the others join it.
    Joined,
    /// As founded, and the first group is banned from a machine (H24).
    Banned { node: Seat },
    /// The same for every group.
    AllBanned { node: Seat },
}

/// Which faults are likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Everything, a few at a time.
    Mixed,
    /// Cuts, devices that misbehave, fast boots, blows around fencing.
    Fencing,
    /// Elections one after the other: cuts, crashes, holds, slow disks.
    Elections,
    /// Agents that fail, hang, die slowly; daemons that restart.
    Agents,
    /// Old packets and foreign ones, across restarts.
    Replays,
    /// Operators who change their minds, and clusters that live long.
    Operators,
    /// No faults: only time.
    Calm,
}

/// Every profile, with its name.
pub const PROFILES: &[(&str, Profile)] = &[
    ("mixed", Profile::Mixed),
    ("fencing", Profile::Fencing),
    ("elections", Profile::Elections),
    ("agents", Profile::Agents),
    ("replays", Profile::Replays),
    ("operators", Profile::Operators),
    ("calm", Profile::Calm),
];

impl Profile {
    #[must_use]
    pub fn find(name: &str) -> Option<Profile> {
        PROFILES.iter().find(|(known, _)| *known == name).map(|(_, profile)| *profile)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        PROFILES.iter().find(|(_, profile)| *profile == self).map_or("mixed", |(name, _)| name)
    }
}

impl Plan {
    /// The plan of this seed; without a profile the seed picks one.
    #[must_use]
    pub fn draw(seed: u64, layout: Layout, profile: Option<Profile>) -> Plan {
        let mut random = Random::new(seed).fork("plan").fork(layout.name);
        let profile = profile.unwrap_or_else(|| match random.below(10) {
            0..=3 => Profile::Mixed,
            4 | 5 => Profile::Fencing,
            6 => Profile::Elections,
            7 => Profile::Agents,
            8 => Profile::Replays,
            _ => Profile::Operators,
        });
        let machines = layout.machines().len();
        let heals = START + random.spread(20 * SECOND, 120 * SECOND);
        let mut drawing =
            Drawing { random: random.fork("faults"), layout, machines, profile, heals };
        let mut faults = Vec::new();
        if profile != Profile::Calm {
            for _ in 0..drawing.random.between(1, 12) {
                drawing.fault(&mut faults);
            }
        }
        if profile == Profile::Agents {
            // Calls that take long to start and to kill, for the whole time (H15).
            let mood = Mood {
                slowness: drawing.random.spread(SECOND, 6 * SECOND),
                kill_slowness: drawing.random.spread(100 * MILLI, 10 * SECOND),
                ..Mood::default()
            };
            let seat = drawing.seat();
            faults.push(Fault { at: START / 2, lasts: heals, kind: Kind::Agents { seat, mood } });
        }
        let mut empties = random.fork("empty-disk");
        if layout.witness && profile != Profile::Calm && empties.chance(300) {
            // Of its own dice, so that all else is drawn as it was.
            let at = START + empties.below(heals - START);
            let kind = Kind::EmptyDisk { seat: machines - 1 };
            faults.push(Fault { at, lasts: empties.spread(100 * MILLI, 20 * SECOND), kind });
        }
        if profile != Profile::Calm {
            crash_loop(&mut random.fork("crash-loop"), machines, heals, &mut faults);
        }
        let mut hangs = random.fork("hanging-disk");
        if matches!(profile, Profile::Mixed | Profile::Elections) && hangs.chance(150) {
            let kind = Kind::HangingDisk { seat: hangs.index(machines) };
            let at = START + hangs.below(heals - START);
            faults.push(Fault { at, lasts: hangs.spread(SECOND, 120 * SECOND), kind });
        }
        let mut acts: Vec<Act> = Vec::new();
        let busy = match profile {
            Profile::Operators => 80,
            Profile::Agents => 30,
            Profile::Calm => 4,
            _ => 8,
        };
        for _ in 0..drawing.random.below(busy) {
            let mut act = drawing.act();
            // Often at once after another: a change of mind while the first is under way.
            if let Some(last) = acts.last()
                && drawing.random.chance(400)
            {
                act.at = (last.at + drawing.random.spread(5 * MILLI, 2 * SECOND)).min(heals - 1);
            }
            acts.push(act);
        }
        let begin = match random.below(8) {
            0 => Begin::Joined,
            1 | 2 if layout.nodes.len() > 1 && !layout.roles && layout.file.is_none() => {
                Begin::Banned { node: random.index(layout.nodes.len()) }
            }
            _ => Begin::Founded,
        };
        let survives = layout.survives_one && random.chance(600);
        let last_blow = survives.then(|| random.index(layout.nodes.len()));
        Plan { seed, layout, profile, faults, acts, heals, begin, last_blow, breaks: None }
    }

    /// The same plan in a world in which this assumption does not hold.
    #[must_use]
    pub fn lacking(mut self, assumption: Assumption) -> Plan {
        let mut random = Random::new(self.seed).fork("assumption").fork(self.layout.name);
        let machines = self.layout.machines().len();
        for _ in 0..6 {
            let seat = random.index(machines);
            let kind = match assumption {
                Assumption::Network => Kind::Forge { to: seat, count: 20 },
                Assumption::Starter => Kind::Stranger { seat, which: random.index(8) },
                _ => break,
            };
            let at = START + random.below(self.heals.saturating_sub(START).max(1));
            self.faults.push(Fault { at, lasts: SECOND, kind });
        }
        self.breaks = Some(assumption);
        self
    }
}

/// Now and then a daemon that systemd starts again and again, and that dies each time (H16), until the
/// watchdog bites or the daemon recovers; at times the machine freezes or dies in the middle of it. Of its own dice.
fn crash_loop(random: &mut Random, machines: usize, heals: Micros, faults: &mut Vec<Fault>) {
    if !random.chance(150) {
        return;
    }
    let seat = random.index(machines);
    let every = random.spread(80 * MILLI, 3 * SECOND);
    let down = random.below(every / 2).max(MILLI);
    let begins = START + random.below(heals - START);
    let ends = (begins + random.spread(5 * SECOND, 30 * SECOND)).min(heals);
    let mut at = begins;
    while at < ends {
        faults.push(Fault { at, lasts: down, kind: Kind::DaemonCrash { seat } });
        at += every;
    }
    if random.chance(400) {
        let at = begins + random.below((ends - begins).max(1));
        let kind = if random.chance(500) { Kind::Freeze { seat } } else { Kind::Crash { seat } };
        faults.push(Fault { at, lasts: random.spread(SECOND, 60 * SECOND), kind });
    }
}

struct Drawing {
    random: Random,
    layout: Layout,
    machines: usize,
    profile: Profile,
    heals: Micros,
}

impl Drawing {
    fn seat(&mut self) -> Seat {
        self.random.index(self.machines)
    }

    fn lasts(&mut self) -> Micros {
        self.random.spread(50 * MILLI, 40 * SECOND)
    }

    fn fault(&mut self, faults: &mut Vec<Fault>) {
        let at = START / 2 + self.random.below(self.heals - START / 2);
        let lasts = self.lasts();
        let kind = self.kind();
        faults.push(Fault { at, lasts, kind });
    }

    fn kind(&mut self) -> Kind {
        let seat = self.seat();
        // A weight for each family, by profile.
        let weights: [u64; 8] = match self.profile {
            // network, power, daemon, disk, agents, fencing, attackers, moments
            Profile::Mixed | Profile::Calm => [4, 3, 3, 2, 3, 2, 2, 4],
            Profile::Fencing => [5, 2, 1, 0, 1, 8, 0, 8],
            Profile::Elections => [5, 4, 2, 2, 0, 1, 0, 9],
            Profile::Agents => [1, 1, 5, 0, 9, 1, 0, 5],
            Profile::Replays => [3, 3, 3, 0, 0, 1, 9, 2],
            Profile::Operators => [4, 1, 1, 0, 1, 0, 0, 1],
        };
        let mut roll = self.random.below(weights.iter().sum());
        let mut family = 0;
        for (number, weight) in weights.iter().enumerate() {
            if roll < *weight {
                family = number;
                break;
            }
            roll -= weight;
        }
        match family {
            0 => self.network(),
            1 => match self.random.below(8) {
                0 => Kind::Blackout,
                1 => Kind::BootsFast { seat },
                2 | 3 => Kind::Leave { seat },
                _ => Kind::Crash { seat },
            },
            2 => match self.random.below(3) {
                0 => Kind::Upgrade { seat },
                1 => Kind::DaemonCrash { seat },
                _ => Kind::Freeze { seat },
            },
            3 if self.random.chance(200) => Kind::BrokenDisk { seat },
            3 => Kind::SlowDisk { seat, slowness: self.random.spread(10 * MILLI, 2 * SECOND) },
            4 => self.agents(seat),
            5 => self.device(seat),
            6 if self.random.chance(400) => Kind::Forge { to: seat, count: 20 },
            6 => Kind::Replay { to: seat, count: 60, rare: self.random.chance(700) },
            _ => self.moment(),
        }
    }

    fn network(&mut self) -> Kind {
        let (a, b) = (self.seat(), self.seat());
        let b = if a == b { (b + 1) % self.machines } else { b };
        let link = self.random.chance(250).then(|| self.random.below(2) as u8);
        match self.random.below(7) {
            0 => Kind::Weather(Weather {
                loss_per_mille: self.random.spread(5, 600),
                duplicate_per_mille: self.random.below(200),
                damage_per_mille: self.random.below(100),
                delay_min: 100,
                delay_mean: self.random.spread(200, 400 * MILLI),
            }),
            1 => Kind::Cut(vec![Path { from: a, to: b, link }]),
            2 | 3 => Kind::Cut(both(a, b, link)),
            4 | 5 => Kind::Cut(
                (0..self.machines).filter(|c| *c != a).flat_map(|c| both(a, c, link)).collect(),
            ),
            _ => Kind::Hold { from: a, to: b },
        }
    }

    fn agents(&mut self, seat: Seat) -> Kind {
        let which = self.random.index(8);
        match self.random.below(6) {
            0 => Kind::Death { seat, which, told: true },
            1 => Kind::Death { seat, which, told: false },
            2 => Kind::Rumour { seat, which },
            _ => {
                let only = [None, Some(Action::Start), Some(Action::Stop), Some(Action::Status)];
                let only = only[self.random.index(4)];
                let rate = self.random.spread(50, 1000);
                let mood = match self.random.below(4) {
                    0 => Mood { fail_per_mille: rate, ..Mood::default() },
                    1 => Mood { hang_per_mille: rate, ..Mood::default() },
                    2 => {
                        Mood { slowness: self.random.spread(SECOND, 9 * SECOND), ..Mood::default() }
                    }
                    _ => Mood {
                        slowness: 5 * SECOND,
                        kill_slowness: self.random.spread(100 * MILLI, 15 * SECOND),
                        hang_per_mille: rate / 4,
                        ..Mood::default()
                    },
                };
                Kind::Agents { seat, mood: Mood { only, ..mood } }
            }
        }
    }

    fn device(&mut self, target: Seat) -> Kind {
        let device = match self.random.below(7) {
            0 => Device::Slow,
            1 => Device::Loses,
            2 | 3 => Device::Late,
            4 => Device::Unreported,
            5 => Device::Fails,
            _ => return Kind::BootsFast { seat: target },
        };
        Kind::Device { target, device }
    }

    fn moment(&mut self) -> Kind {
        let trigger = match self.profile {
            Profile::Fencing => {
                let all = [
                    Trigger::FenceAsked,
                    Trigger::FenceExecuted,
                    Trigger::FenceReported,
                    Trigger::Stands,
                ];
                all[self.random.index(all.len())]
            }
            Profile::Agents => {
                let all = [Trigger::Starts, Trigger::Stops, Trigger::Reports];
                all[self.random.index(all.len())]
            }
            _ => {
                let all = [
                    Trigger::FenceAsked,
                    Trigger::Stands,
                    Trigger::Votes,
                    Trigger::Proposes,
                    Trigger::Accepts,
                    Trigger::Commits,
                    Trigger::Starts,
                    Trigger::Stops,
                    Trigger::Reports,
                    Trigger::Writes,
                ];
                all[self.random.index(all.len())]
            }
        };
        let other = self.random.chance(400);
        let lasts = self.random.spread(20 * MILLI, 20 * SECOND);
        let blow = match self.random.below(6) {
            0 | 1 => Blow::Crash { other, back_after: lasts },
            2 => Blow::DaemonCrash { other, back_after: lasts },
            3 => Blow::Freeze { other, lasts },
            4 => Blow::Isolate { one_way: self.random.chance(400), lasts },
            _ => Blow::Hold { lasts },
        };
        Kind::When { trigger, skip: self.random.below(4) as u32, blow }
    }

    fn act(&mut self) -> Act {
        let at = START + self.random.below(self.heals - START);
        let seat = self.random.index(self.layout.nodes.len());
        let group = self.random.index(self.layout.groups.len());
        let node = self.random.index(self.layout.nodes.len());
        let wish = match self.random.below(26) {
            0 | 1 => Wish::Stop { group },
            2..=4 => Wish::Start { group },
            5 => Wish::Restart { group },
            6..=9 => Wish::Migrate { group, to: self.random.chance(700).then_some(node) },
            10 | 11 => Wish::Standby { node },
            12..=14 => Wish::Online { node },
            15 => Wish::Maintenance { on: true },
            16 | 17 => Wish::Maintenance { on: false },
            18 => Wish::Clear,
            19 if self.layout.device => Wish::Fence { node },
            20 if self.random.chance(300) => Wish::StopCluster,
            21 => Wish::StartCluster,
            22 => Wish::Status,
            23 => Wish::ConfirmDead { node },
            _ => Wish::Apply { revision: self.random.between(1, FEWER_VOTERS + 1) },
        };
        Act { at, seat, wish }
    }
}

fn both(a: Seat, b: Seat, link: Option<u8>) -> Vec<Path> {
    vec![Path { from: a, to: b, link }, Path { from: b, to: a, link }]
}

/// Faults may strike from half of this on; operators come after it.
pub const START: Micros = 12 * SECOND;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::LAYOUTS;

    #[test]
    fn the_same_seed_draws_the_same_plan_and_every_kind_is_drawn() {
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..600 {
            let layout = LAYOUTS[seed as usize % LAYOUTS.len()];
            let plan = Plan::draw(seed, layout, None);
            assert_eq!(plan, Plan::draw(seed, layout, None));
            kinds.extend(plan.faults.iter().map(|fault| fault.kind.name()));
        }
        assert!(kinds.len() >= 18, "{kinds:?}");
    }
}
