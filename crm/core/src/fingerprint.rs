//! One number for the content of a record, the same from every version of the program (H35).
//!
//! What is hashed is written down here, field by field, and depends on no derived text or format: a field is its tag and its
//! value; a number is eight or sixteen bytes, least first; a text, a list or a map is its length and its parts in order; what
//! may be missing is a byte, 0 or 1, before it. A field that a later version adds is hashed only where it is not empty, so
//! that two versions agree on records that do without it.

use crate::id::Stamp;
use crate::record::{Failures, Grant, GrantState, Intents, Maintenance, Record, RoleGrant, Voters};
use std::collections::{BTreeMap, BTreeSet};

impl Record {
    /// Of everything that operators and placement decide; not of its history, of what is counted or armed, nor of what
    /// follows from earlier configurations.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        // Named one by one: who adds a field decides here what becomes of it.
        let Record {
            stamp,
            voters,
            old_voters,
            config,
            intents,
            failures,
            failures_counted: _,
            bans,
            grants,
            roles,
            armed: _,
            retired: _,
            history: _,
        } = self;
        let mut all = Fnv::default();
        all.tag(1).stamp(*stamp);
        all.tag(2).voters(voters);
        all.tag(3).voters(old_voters);
        all.tag(4).wide(config.digest.0);
        all.tag(5).intents(intents);
        all.tag(6).map(failures, |all, nodes| all.map(nodes, Fnv::failures));
        all.tag(7).map(bans, |all, nodes| all.map(nodes, |all, reason| all.text(reason)));
        all.tag(8).map(grants, Fnv::grant);
        all.tag(9).map(roles, |all, nodes| all.map(nodes, Fnv::role));
        all.0
    }
}

/// 64-bit FNV-1a.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn tag(&mut self, tag: u8) -> &mut Fnv {
        self.bytes(&[tag]);
        self
    }

    fn flag(&mut self, flag: bool) {
        self.bytes(&[u8::from(flag)]);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn wide(&mut self, number: u128) {
        self.bytes(&number.to_le_bytes());
    }

    fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    fn stamp(&mut self, stamp: Stamp) {
        self.number(stamp.epoch.0);
        self.number(stamp.version);
    }

    fn map<K: AsName, V>(&mut self, map: &BTreeMap<K, V>, mut value: impl FnMut(&mut Fnv, &V)) {
        self.length(map.len());
        for (key, of) in map {
            self.text(key.name());
            value(self, of);
        }
    }

    fn names<K: AsName>(&mut self, names: &BTreeSet<K>) {
        self.length(names.len());
        names.iter().for_each(|name| self.text(name.name()));
    }

    fn voters(&mut self, voters: &Voters) {
        self.map(voters, |all, store| all.wide(store.0));
    }

    fn intents(&mut self, intents: &Intents) {
        let Intents { stopped, standby, maintenance, pins, leaving, cluster_stopped, restarts } =
            intents;
        self.names(stopped);
        self.names(standby);
        self.flag(maintenance.is_some());
        if let Some(Maintenance { lasts }) = maintenance {
            self.flag(lasts.is_some());
            self.number(lasts.map_or(0, |lasts| lasts.0));
        }
        self.map(pins, |all, node| all.text(node.as_str()));
        self.names(leaving);
        self.flag(*cluster_stopped);
        self.map(restarts, |all, count| all.number(*count));
    }

    fn failures(&mut self, failures: &Failures) {
        let Failures { count, reason, stop_failed } = failures;
        self.number(u64::from(*count));
        self.text(reason);
        self.flag(*stop_failed);
    }

    fn state(&mut self, state: GrantState) {
        let number = match state {
            GrantState::Held => 0,
            GrantState::Ending => 1,
        };
        self.bytes(&[number]);
    }

    fn grant(&mut self, grant: &Grant) {
        let Grant { owner, state, since, deaths } = grant;
        self.text(owner.as_str());
        self.state(*state);
        self.stamp(*since);
        self.map(deaths, |all, run| all.wide(run.0));
    }

    fn role(&mut self, grant: &RoleGrant) {
        let RoleGrant { role, state, since } = grant;
        self.text(role);
        self.state(*state);
        self.stamp(*since);
    }
}

/// A key of the record's maps.
trait AsName {
    fn name(&self) -> &str;
}

macro_rules! as_name {
    ($($key:ty)+) => {
        $(impl AsName for $key {
            fn name(&self) -> &str {
                self.as_str()
            }
        })+
    };
}
as_name!(crate::id::NodeId crate::id::GroupId crate::id::ServiceId);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Epoch, GroupId, Incarnation, NodeId, StoreId};
    use crate::time::Span;

    fn full() -> Record {
        let (a, b) = (NodeId::new("alpha"), NodeId::new("beta"));
        let db = GroupId::new("db");
        let mut record = Record::founding("cluster: shop\n", &a, StoreId(7));
        record.stamp = Stamp { epoch: Epoch(3), version: 14 };
        record.old_voters.insert(b.clone(), StoreId(u128::MAX));
        record.intents.stopped.insert("web".into());
        record.intents.standby.insert(b.clone());
        record.intents.maintenance = Some(Maintenance { lasts: Some(Span::secs(60)) });
        record.intents.pins.insert(db.clone(), b.clone());
        record.intents.leaving.insert(b.clone());
        record.intents.restarts.insert(db.clone(), 2);
        let failures = Failures { count: 1, reason: "ü".into(), stop_failed: true };
        record.failures.insert(db.clone(), [(b.clone(), failures)].into());
        record.bans.insert(db.clone(), [(b.clone(), "stale".into())].into());
        let since = Stamp { epoch: Epoch(2), version: 9 };
        let mut grant = Grant::held(a.clone(), since);
        grant.deaths.insert(b, Incarnation(5));
        record.grants.insert(db, grant);
        let role = RoleGrant { role: "primary".into(), state: GrantState::Ending, since };
        record.roles.insert("pg".into(), [(a, role)].into());
        record
    }

    /// Written down: another number here is another encoding, and nodes of both would see forks that are none.
    #[test]
    fn h35_a_fingerprint_is_the_same_in_every_version() {
        assert_eq!(Record::default().fingerprint(), 17_634_353_354_294_409_100);
        assert_eq!(full().fingerprint(), 6_300_843_676_418_758_027);
    }

    #[test]
    fn h35_every_part_of_a_record_counts() {
        let changes: [fn(&mut Record); 18] = [
            |r| r.stamp.epoch.0 += 1,
            |r| r.stamp.version += 1,
            |r| r.voters.clear(),
            |r| r.old_voters.clear(),
            |r| r.config.digest.0 += 1,
            |r| r.intents.stopped.clear(),
            |r| r.intents.standby.clear(),
            |r| r.intents.maintenance = None,
            |r| r.intents.maintenance = Some(Maintenance { lasts: None }),
            |r| r.intents.pins.clear(),
            |r| r.intents.leaving.clear(),
            |r| r.intents.cluster_stopped = true,
            |r| r.intents.restarts.clear(),
            |r| r.failures.clear(),
            |r| r.bans.clear(),
            |r| r.grants.values_mut().for_each(|grant| grant.state = GrantState::Ending),
            |r| r.grants.values_mut().for_each(|grant| grant.deaths.clear()),
            |r| r.roles.clear(),
        ];
        let mut seen = BTreeSet::from([full().fingerprint()]);
        for change in changes {
            let mut record = full();
            change(&mut record);
            assert!(seen.insert(record.fingerprint()), "{record:?}");
        }
        // Who is moved from one set to the other changes it, too.
        let mut record = full();
        let (stopped, leaving) = (BTreeSet::from(["x".into()]), BTreeSet::new());
        (record.intents.stopped, record.intents.leaving) = (stopped, leaving);
        assert!(seen.insert(record.fingerprint()));
    }
}
