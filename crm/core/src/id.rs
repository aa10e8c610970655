//! Names and numbers that identify things, each its own type so that two cannot be swapped.

use crate::same::{EPOCHS, VERSIONS};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Longest name of a node, group, resource or service, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// Whether `name` may name a node, group, resource or service: 1 to 63 of `A-Z a-z 0-9 . _ -`,
/// the first one a letter or a digit.
#[must_use]
pub fn is_valid_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            #[must_use]
            pub fn new(name: &str) -> $name {
                $name(Arc::from(name))
            }
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(name: &str) -> $name {
                $name::new(name)
            }
        }
    };
}

name_type!(
    /// A machine of the cluster, or its witness, by the name in the configuration.
    NodeId
);
name_type!(
    /// A group of resources.
    GroupId
);
name_type!(
    /// A resource inside a group; unique in that group only.
    ResourceId
);
name_type!(
    /// A service with roles.
    ServiceId
);

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident($inner:ty) $(hashed by $write:ident)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        $(impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                state.$write(self.0 as _);
            }
        })?
    };
}

number_type!(
    /// Number of an election; at most one coordinator each (I6).
    Epoch(u64)
);
number_type!(
    /// One agent operation of this incarnation of the daemon.
    OpId(u64) hashed by write_i64
);
number_type!(
    /// One request for a fencing device; a reply counts for its own request only (AS3).
    FenceId(u64) hashed by write_i64
);
number_type!(
    /// One command of an operator, as the local shell counts them.
    RequestId(u64) hashed by write_i64
);
number_type!(
    /// One write of the store, in order.
    WriteId(u64) hashed by write_i64
);
number_type!(
    /// Which of a node's links, by position in its `links` list.
    LinkId(u8) hashed by write_u8
);

macro_rules! random_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u128);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:08x}", (self.0 >> 96) as u32)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:08x}", (self.0 >> 96) as u32)
            }
        }
    };
}

random_type!(
    /// One run of a daemon: 128 random bits, fresh at every start.
    Incarnation
);
random_type!(
    /// One store of a voter: random, made with the store; a new disk is a new voter (H22).
    StoreId
);
random_type!(
    /// Digest of a configuration text or of a record, computed by [`crate::digest`].
    Digest
);

/// Place of a record in history: epoch of its proposer, then version. Compared in that order (H1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    pub epoch: Epoch,
    pub version: u64,
}

/// By a method of its own, so that a hasher can tell it from a plain number (see [`crate::same`]).
impl std::hash::Hash for Epoch {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_i128(EPOCHS | i128::from(self.0));
    }
}

/// As [`Epoch`].
impl std::hash::Hash for Stamp {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.epoch.hash(state);
        state.write_i128(VERSIONS | i128::from(self.version));
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_compare_epoch_first() {
        let old = Stamp { epoch: Epoch(1), version: 9 };
        let new = Stamp { epoch: Epoch(2), version: 1 };
        assert!(old < new);
    }

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "db-1", "web.shop_2", "9"] {
            assert!(is_valid_name(good), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "ä", &"x".repeat(64)] {
            assert!(!is_valid_name(bad), "{bad}");
        }
    }
}
