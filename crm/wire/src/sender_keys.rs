//! The packet keys of the senders heard from, so that each packet does not
//! cost a derivation. Bounded, and only authentic packets get a place in it:
//! a flood of forged headers cannot fill it or push anybody out.

use std::{collections::BTreeMap, sync::Arc};

use ring::aead::LessSafeKey;

use crate::{authkeys::AuthKeys, cluster_id::ClusterId, header::Header, keyfile::KeyId};

#[derive(Default)]
pub(crate) struct SenderKeys {
    entries: Vec<Entry>,
    /// Counts uses; the entry with the smallest mark was used longest ago.
    clock: u64,
}

pub(crate) struct Entry {
    key_id: KeyId,
    cluster: ClusterId,
    incarnation: u128,
    pub(crate) sender: Arc<str>,
    used: u64,
    // Boxed: a search walks over the entries, not over the keys.
    pub(crate) key: Box<LessSafeKey>,
}

impl Entry {
    pub(crate) fn new(header: &Header<'_>, key: LessSafeKey) -> Entry {
        Entry {
            key_id: header.key_id,
            cluster: header.cluster,
            incarnation: header.incarnation,
            sender: Arc::from(header.sender),
            used: 0,
            key: Box::new(key),
        }
    }

    fn is_for(&self, header: &Header<'_>) -> bool {
        self.incarnation == header.incarnation
            && self.key_id == header.key_id
            && self.cluster == header.cluster
            && *self.sender == *header.sender
    }
}

impl SenderKeys {
    /// The key for this header, if one is kept.
    pub(crate) fn find(&mut self, header: &Header<'_>) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.is_for(header))
    }

    /// Marks an entry as used just now; only after an authentic packet.
    pub(crate) fn touch(&mut self, header: &Header<'_>) {
        self.clock += 1;
        let clock = self.clock;
        if let Some(entry) = self.find(header) {
            entry.used = clock;
        }
    }

    /// Keeps a key that has just opened a packet.
    pub(crate) fn insert(&mut self, mut entry: Entry) {
        self.make_room(&entry.sender);
        self.clock += 1;
        entry.used = self.clock;
        self.entries.push(entry);
    }

    /// Forgets the keys made from group keys that are no longer there.
    pub(crate) fn retain(&mut self, old: &AuthKeys, new: &AuthKeys) {
        self.entries.retain(|entry| match (old.find(entry.key_id), new.find(entry.key_id)) {
            (Some(old), Some(new)) => old.secret().bytes() == new.secret().bytes(),
            _ => false,
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn make_room(&mut self, sender: &str) {
        let own = self.entries.iter().filter(|entry| *entry.sender == *sender);
        let count = own.clone().count();
        if count >= MAX_INCARNATIONS_PER_SENDER {
            let oldest = own.map(|entry| entry.used).min();
            self.entries.retain(|entry| Some(entry.used) != oldest);
        } else if count == 0 {
            let mut last_use: BTreeMap<&str, u64> = BTreeMap::new();
            for entry in &self.entries {
                let used = last_use.entry(&entry.sender).or_default();
                *used = entry.used.max(*used);
            }
            if last_use.len() >= MAX_SENDERS {
                let idle = last_use.into_iter().min_by_key(|(_, used)| *used);
                let idle: Option<Arc<str>> = idle.map(|(sender, _)| Arc::from(sender));
                self.entries.retain(|entry| Some(&entry.sender) != idle.as_ref());
            }
        }
    }
}

/// Senders whose keys are kept. A cluster has at most 32 nodes and a witness.
pub const MAX_SENDERS: usize = 64;

/// Keys kept for one sender: the live incarnation and four that knock (H29).
pub const MAX_INCARNATIONS_PER_SENDER: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn header(sender: &str, incarnation: u128) -> Header<'_> {
        let cluster = ClusterId::of("shop");
        Header { key_id: KeyId(1), cluster, incarnation, counter: 1, sender }
    }

    fn insert(keys: &mut SenderKeys, sender: &str, incarnation: u128) {
        let secret = Secret::new(&mut [1; 32]);
        let header = header(sender, incarnation);
        let key = secret.packet_key(header.cluster, sender, incarnation).unwrap();
        keys.insert(Entry::new(&header, key));
    }

    #[test]
    fn i10_bounded_per_sender_and_in_all() {
        let mut keys = SenderKeys::default();
        for sender in 0..2 * MAX_SENDERS {
            for incarnation in 0..12 {
                insert(&mut keys, &format!("node{sender}"), incarnation);
                assert!(keys.len() <= MAX_SENDERS * MAX_INCARNATIONS_PER_SENDER);
            }
        }
        assert_eq!(keys.len(), MAX_SENDERS * MAX_INCARNATIONS_PER_SENDER);
        assert!(keys.find(&header("node0", 11)).is_none());
        assert!(keys.find(&header("node127", 6)).is_none());
        assert!(keys.find(&header("node127", 7)).is_some());
    }

    #[test]
    fn the_incarnation_in_use_outlives_those_that_only_knock() {
        let mut keys = SenderKeys::default();
        insert(&mut keys, "alpha", 1);
        for knocking in 2..50 {
            keys.touch(&header("alpha", 1));
            insert(&mut keys, "alpha", knocking);
        }
        assert!(keys.find(&header("alpha", 1)).is_some());
        assert_eq!(keys.len(), MAX_INCARNATIONS_PER_SENDER);
    }
}
