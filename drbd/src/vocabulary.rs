//! DRBD's words. The vocabularies of all versions are joined: `WFConnection` is `Connecting`.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! vocabulary {
    ($(#[$about:meta])* $name:ident {
        $($(#[$what:meta])* $variant:ident = $word:literal $(| $other:literal)*,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$what])* $variant,)*
            /// A word that is none of these, as it was found; empty if nothing was said.
            Unknown(String),
        }

        impl $name {
            /// Every variant that has a word.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// Reads a word; never fails, since what is not known stays [`Self::Unknown`].
            #[must_use]
            pub fn read(word: &str) -> $name {
                match word {
                    $($word $(| $other)* => $name::$variant,)*
                    other => $name::Unknown(crate::clip(other)),
                }
            }

            /// The word, as the newest DRBD writes it.
            #[must_use]
            pub fn word(&self) -> &str {
                match self {
                    $($name::$variant => $word,)*
                    $name::Unknown(word) if word.is_empty() => "(not said)",
                    $name::Unknown(word) => word,
                }
            }

            /// Is this a word that is not known, or none at all?
            #[must_use]
            pub fn is_unknown(&self) -> bool {
                matches!(self, $name::Unknown(_))
            }
        }

        /// Nothing was said.
        impl Default for $name {
            fn default() -> $name {
                $name::Unknown(String::new())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.word())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }
    };
}

vocabulary! {
    /// Who may write.
    Role {
        /// The device may be used here.
        Primary = "Primary",
        /// It receives what the Primary writes.
        Secondary = "Secondary",
        /// DRBD's own `Unknown`: a peer that is not connected.
        Unseen = "Unknown",
    }
}

vocabulary! {
    /// How a connection to a peer stands.
    Connection {
        /// No connection, and none is tried.
        StandAlone = "StandAlone",
        /// On the way to `StandAlone`.
        Disconnecting = "Disconnecting",
        /// About to try again.
        Unconnected = "Unconnected",
        /// Lost: no answer in time.
        Timeout = "Timeout",
        /// Lost: the peer closed.
        BrokenPipe = "BrokenPipe",
        /// Lost.
        NetworkFailure = "NetworkFailure",
        /// Lost: not understood.
        ProtocolError = "ProtocolError",
        /// The peer is closing.
        TearDown = "TearDown",
        /// Waiting for the peer; 8.x and older say `WFConnection`.
        Connecting = "Connecting" | "WFConnection" | "WfConnection",
        /// The link stands, the handshake is under way (8.x).
        Handshake = "WFReportParams" | "WfReportParams",
        /// Connected.
        Connected = "Connected",
    }
}

vocabulary! {
    /// What flows on a connection, for one volume.
    Replication {
        /// Nothing: not connected.
        Off = "Off",
        /// Writes are mirrored.
        Established = "Established",
        /// A full resync from here begins.
        StartingSyncS = "StartingSyncS" | "SkippedSyncS",
        /// A full resync to here begins.
        StartingSyncT = "StartingSyncT" | "SkippedSyncT",
        /// Exchange of bitmaps; this node will be the source.
        WFBitMapS = "WFBitMapS" | "WfBitMapS",
        /// Exchange of bitmaps; this node will be the target.
        WFBitMapT = "WFBitMapT" | "WfBitMapT",
        /// About to be the target.
        WFSyncUUID = "WFSyncUUID",
        /// Resync from here.
        SyncSource = "SyncSource",
        /// Resync to here.
        SyncTarget = "SyncTarget",
        /// Online verify, this node asks.
        VerifyS = "VerifyS",
        /// Online verify, the peer asks.
        VerifyT = "VerifyT",
        /// Resync from here, paused.
        PausedSyncS = "PausedSyncS",
        /// Resync to here, paused.
        PausedSyncT = "PausedSyncT",
        /// The peer is too slow and lags on purpose.
        Ahead = "Ahead",
        /// This node lags on purpose.
        Behind = "Behind",
    }
}

vocabulary! {
    /// The state of one copy of the data.
    Disk {
        /// No disk is attached: all I/O goes through a peer.
        Diskless = "Diskless",
        /// Being attached.
        Attaching = "Attaching",
        /// Being detached.
        Detaching = "Detaching",
        /// It failed and is about to be detached.
        Failed = "Failed",
        /// Attached; what it is worth is being agreed upon.
        Negotiating = "Negotiating",
        /// Some blocks are new, some are old: a resync is needed.
        Inconsistent = "Inconsistent",
        /// Consistent, and known to be old.
        Outdated = "Outdated",
        /// DRBD's own word for a peer that is not connected.
        DUnknown = "DUnknown",
        /// Consistent; whether it is the newest is not known. 0.7 knows no better word.
        Consistent = "Consistent",
        /// The newest, as far as this node knows.
        UpToDate = "UpToDate",
    }
}

impl Replication {
    /// Data is being copied to this node, or is about to be.
    #[must_use]
    pub fn is_target(&self) -> bool {
        use Replication::{PausedSyncT, StartingSyncT, SyncTarget, WFBitMapT, WFSyncUUID};
        matches!(self, StartingSyncT | WFBitMapT | WFSyncUUID | SyncTarget | PausedSyncT)
    }

    /// Data is being copied from this node, or is about to be.
    #[must_use]
    pub fn is_source(&self) -> bool {
        use Replication::{PausedSyncS, StartingSyncS, SyncSource, WFBitMapS};
        matches!(self, StartingSyncS | WFBitMapS | SyncSource | PausedSyncS)
    }
}

/// Takes the `cs:` of `/proc/drbd` and `drbdadm cstate` apart: up to 8.4 one word told both how the
/// connection stands and what flows on it.
#[must_use]
pub fn split_connection(word: &str) -> (Connection, Replication) {
    match Connection::read(word) {
        Connection::Connected => (Connection::Connected, Replication::Established),
        Connection::Unknown(unknown) => match Replication::read(word) {
            // `Off` is no word of a connection; nobody has said how that stands.
            Replication::Unknown(_) | Replication::Off => {
                (Connection::Unknown(unknown.clone()), Replication::Unknown(unknown))
            }
            flowing => (Connection::Connected, flowing),
        },
        apart => (apart, Replication::Off),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for role in Role::ALL {
            assert_eq!(&Role::read(role.word()), role);
        }
        for connection in Connection::ALL {
            assert_eq!(&Connection::read(connection.word()), connection);
        }
        for replication in Replication::ALL {
            assert_eq!(&Replication::read(replication.word()), replication);
        }
        for disk in Disk::ALL {
            assert_eq!(&Disk::read(disk.word()), disk);
        }
    }

    #[test]
    fn unknown_words_stay_what_they_are() {
        for word in ["uptodate", "UpToDate ", "UpToDat", "", "Primary/Unknown", "\u{0}", "최신"] {
            assert!(Disk::read(word).is_unknown(), "{word:?}");
            assert!(Role::read(word).is_unknown(), "{word:?}");
        }
        let long = Disk::read(&"x".repeat(100_000));
        assert!(long.word().len() < 200);
    }

    #[test]
    fn the_old_word_tells_two_things() {
        use Connection as C;
        use Replication as R;
        for (word, connection, replication) in [
            ("WFConnection", C::Connecting, R::Off),
            ("WfConnection", C::Connecting, R::Off),
            ("StandAlone", C::StandAlone, R::Off),
            ("Connected", C::Connected, R::Established),
            ("Established", C::Connected, R::Established),
            ("SyncTarget", C::Connected, R::SyncTarget),
            ("WFBitMapS", C::Connected, R::WFBitMapS),
        ] {
            assert_eq!(split_connection(word), (connection, replication), "{word}");
        }
        for word in ["Off", "Dancing", ""] {
            let (connection, replication) = split_connection(word);
            assert!(connection.is_unknown() && replication.is_unknown(), "{word}");
        }
    }
}
