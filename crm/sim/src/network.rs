//! The network between machines: loses, delays, doubles, reorders and damages datagrams, and is cut
//! in one direction or both (AS5).

use crate::clock::{MILLI, Micros};
use crate::queue::{Datagram, Origin, Seat};
use crate::random::Random;
use crm_core::packet::Message;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How the network behaves, all links alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    pub loss_per_mille: u64,
    pub duplicate_per_mille: u64,
    pub damage_per_mille: u64,
    pub delay_min: Micros,
    pub delay_mean: Micros,
}

impl Weather {
    /// A quiet local network.
    pub const FAIR: Weather = Weather {
        loss_per_mille: 0,
        duplicate_per_mille: 0,
        damage_per_mille: 0,
        delay_min: 50,
        delay_mean: 250,
    };

    /// The worse of two in every respect.
    #[must_use]
    pub fn worse(self, other: Weather) -> Weather {
        Weather {
            loss_per_mille: self.loss_per_mille.max(other.loss_per_mille),
            duplicate_per_mille: self.duplicate_per_mille.max(other.duplicate_per_mille),
            damage_per_mille: self.damage_per_mille.max(other.damage_per_mille),
            delay_min: self.delay_min.max(other.delay_min),
            delay_mean: self.delay_mean.max(other.delay_mean),
        }
    }
}

/// One direction of one link between two machines; `link: None` is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    pub from: Seat,
    pub to: Seat,
    pub link: Option<u8>,
}

/// Messages that a network may lose while others pass: long ones, say, or the first of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Heartbeat,
    Report,
    PreVoteReply,
}

impl Sort {
    #[must_use]
    pub fn fits(self, message: &Message) -> bool {
        match self {
            Sort::Heartbeat => matches!(message, Message::Heartbeat(_)),
            Sort::Report => matches!(message, Message::Report(_)),
            Sort::PreVoteReply => matches!(message, Message::PreVoteReply { .. }),
        }
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub sent: u64,
    pub lost: u64,
    pub cut: u64,
    pub doubled: u64,
    pub damaged: u64,
    pub held: u64,
    pub replayed: u64,
    pub forged: u64,
}

/// All links of a cluster.
#[derive(Clone, Debug)]
pub struct Network {
    /// Weather by the fault that brought it.
    weathers: BTreeMap<usize, Weather>,
    weather: Weather,
    cuts: BTreeMap<usize, Vec<Path>>,
    /// What is lost on which way, by fault.
    losses: BTreeMap<usize, (Seat, Seat, Sort)>,
    holds: BTreeMap<(Seat, Seat), Vec<Datagram>>,
    /// What an attacker recorded: heartbeats are many, so other packets have a ring of their own.
    recorded: [VecDeque<Datagram>; 2],
    random: Random,
    pub counters: Counters,
}

impl Network {
    #[must_use]
    pub fn new(random: Random) -> Network {
        Network {
            weathers: BTreeMap::new(),
            weather: Weather::FAIR,
            cuts: BTreeMap::new(),
            losses: BTreeMap::new(),
            holds: BTreeMap::new(),
            recorded: [VecDeque::new(), VecDeque::new()],
            random,
            counters: Counters::default(),
        }
    }

    /// Sends a datagram; returns when it arrives, as often as it does.
    pub fn send(
        &mut self,
        now: Micros,
        mut datagram: Datagram,
        rare: bool,
    ) -> Vec<(Micros, Datagram)> {
        self.counters.sent += 1;
        if datagram.said.is_none() {
            let ring = &mut self.recorded[usize::from(rare)];
            if ring.len() == RECORDED_MAX {
                ring.pop_front();
            }
            ring.push_back(datagram.clone());
        }
        if self.is_cut(datagram.from, datagram.to, datagram.link) {
            self.counters.cut += 1;
            return Vec::new();
        }
        let weather = self.weather;
        if self.random.chance(weather.loss_per_mille) {
            self.counters.lost += 1;
            return Vec::new();
        }
        if let Some(held) = self.holds.get_mut(&(datagram.from, datagram.to)) {
            if held.len() < HELD_MAX {
                held.push(datagram);
                self.counters.held += 1;
            }
            return Vec::new();
        }
        if self.random.chance(weather.damage_per_mille) {
            self.counters.damaged += 1;
            self.damage(&mut datagram);
        }
        let mut arrivals = Vec::with_capacity(1);
        if self.random.chance(weather.duplicate_per_mille) {
            self.counters.doubled += 1;
            arrivals.push((now + self.delay() + 10 * weather.delay_mean, datagram.clone()));
        }
        arrivals.push((now + self.delay(), datagram));
        arrivals
    }

    fn delay(&mut self) -> Micros {
        let spread = self.weather.delay_mean.saturating_sub(self.weather.delay_min) * 2;
        let mut delay = self.weather.delay_min + self.random.below(spread.max(1));
        // The long tail that every network has; it also reorders.
        if self.random.chance(4) {
            delay += self.random.between(MILLI, 30 * MILLI) + 4 * self.weather.delay_mean;
        }
        delay
    }

    /// Flips a few bits, or cuts the datagram short.
    fn damage(&mut self, datagram: &mut Datagram) {
        let mut bytes = datagram.bytes.to_vec();
        if self.random.chance(200) {
            bytes.truncate(self.random.index(bytes.len()));
        }
        for _ in 0..self.random.between(1, 4) {
            if !bytes.is_empty() {
                let at = self.random.index(bytes.len());
                bytes[at] ^= 1 << self.random.below(8);
            }
        }
        datagram.damaged = *bytes != *datagram.bytes;
        datagram.bytes = Arc::from(bytes);
    }

    #[must_use]
    pub fn is_cut(&self, from: Seat, to: Seat, link: u8) -> bool {
        self.cuts.values().flatten().any(|path| {
            path.from == from && path.to == to && path.link.is_none_or(|cut| cut == link)
        })
    }

    /// Whether a cut or a storm of this fault goes on.
    #[must_use]
    pub fn is_troubled_by(&self, fault: usize) -> bool {
        self.cuts.contains_key(&fault) || self.weathers.contains_key(&fault)
    }

    /// How many packets are held back on a path, if they are.
    #[must_use]
    pub fn holds_back(&self, from: Seat, to: Seat) -> Option<usize> {
        self.holds.get(&(from, to)).map(Vec::len)
    }

    pub fn cut(&mut self, fault: usize, paths: Vec<Path>) {
        self.cuts.insert(fault, paths);
    }

    /// Messages of this sort are lost on this way.
    pub fn lose(&mut self, fault: usize, from: Seat, to: Seat, sort: Sort) {
        self.losses.insert(fault, (from, to, sort));
    }

    /// Whether this message is lost on its way.
    pub fn loses(&mut self, from: Seat, to: Seat, message: &Message) -> bool {
        let lost = self
            .losses
            .values()
            .any(|(by, at, sort)| (*by, *at) == (from, to) && sort.fits(message));
        self.counters.lost += u64::from(lost);
        lost
    }

    pub fn mend(&mut self, fault: usize) {
        self.cuts.remove(&fault);
        self.losses.remove(&fault);
        self.weathers.remove(&fault);
        self.mix();
    }

    pub fn blow(&mut self, fault: usize, weather: Weather) {
        self.weathers.insert(fault, weather);
        self.mix();
    }

    fn mix(&mut self) {
        self.weather = self.weathers.values().fold(Weather::FAIR, |all, one| all.worse(*one));
    }

    pub fn hold(&mut self, from: Seat, to: Seat) {
        self.holds.entry((from, to)).or_default();
    }

    /// Ends a hold: everything held arrives soon, in any order.
    pub fn let_go(&mut self, now: Micros, from: Seat, to: Seat) -> Vec<(Micros, Datagram)> {
        let held = self.holds.remove(&(from, to)).unwrap_or_default();
        held.into_iter().map(|d| (now + self.random.between(50, 20 * MILLI), d)).collect()
    }

    /// Ends every cut, storm and hold.
    pub fn heal(&mut self, now: Micros) -> Vec<(Micros, Datagram)> {
        self.cuts.clear();
        self.losses.clear();
        self.weathers.clear();
        self.mix();
        let paths: Vec<_> = self.holds.keys().copied().collect();
        paths.into_iter().flat_map(|(from, to)| self.let_go(now, from, to)).collect()
    }

    /// A recorded datagram for `to`, to be sent again.
    pub fn replay(&mut self, to: Seat, rare: bool) -> Option<Datagram> {
        let ring = &self.recorded[usize::from(rare)];
        let candidates: Vec<_> = ring.iter().filter(|d| d.to == to).collect();
        let chosen = candidates.get(self.random.index(candidates.len()))?;
        self.counters.replayed += 1;
        Some(Datagram { origin: Origin::Replayed, ..(*chosen).clone() })
    }
}

/// Datagrams of one kind that an attacker remembers.
const RECORDED_MAX: usize = 512;
/// Datagrams held back on one path; a real queue is finite too.
const HELD_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(from: Seat, to: Seat, link: u8) -> Datagram {
        let bytes = Arc::from(vec![0u8; 64]);
        Datagram { from, to, link, bytes, origin: Origin::Genuine, damaged: false, said: None }
    }

    #[test]
    fn a_one_way_cut_of_one_link_cuts_nothing_else() {
        let mut network = Network::new(Random::new(1));
        network.cut(0, vec![Path { from: 0, to: 1, link: Some(1) }]);
        assert!(network.send(0, datagram(0, 1, 1), false).is_empty());
        assert_eq!(network.send(0, datagram(0, 1, 0), false).len(), 1);
        assert_eq!(network.send(0, datagram(1, 0, 1), false).len(), 1);
        network.mend(0);
        assert_eq!(network.send(0, datagram(0, 1, 1), false).len(), 1);
    }

    #[test]
    fn weather_loses_doubles_and_damages() {
        let mut network = Network::new(Random::new(2));
        let storm = Weather {
            loss_per_mille: 300,
            duplicate_per_mille: 300,
            damage_per_mille: 300,
            ..Weather::FAIR
        };
        network.blow(4, storm);
        let arrived: Vec<_> =
            (0..1000).flat_map(|_| network.send(0, datagram(0, 1, 0), false)).collect();
        let damaged = arrived.iter().filter(|(_, d)| d.damaged).count();
        assert!((600..1000).contains(&arrived.len()), "{}", arrived.len());
        assert!(damaged > 150, "{damaged}");
        assert!(network.counters.lost > 200 && network.counters.doubled > 100);
    }

    #[test]
    fn held_packets_all_come_later() {
        let mut network = Network::new(Random::new(3));
        network.hold(0, 1);
        assert!(network.send(5, datagram(0, 1, 0), true).is_empty());
        assert_eq!(network.send(5, datagram(1, 0, 0), true).len(), 1);
        let released = network.let_go(1_000_000, 0, 1);
        assert_eq!(released.len(), 1);
        assert!(released[0].0 > 1_000_000);
        assert!(network.replay(1, true).is_some_and(|d| d.origin == Origin::Replayed));
    }
}
