//! May this node become Primary? (I8, HB20, HB21, HB25)
//!
//! Only a copy that is known to be the newest may: every volume `UpToDate`. Everything else is no,
//! with the reason that the operator is shown; what is not known is unknown, which is no as well.

use std::fmt;

use crate::state::{Disk, Resource, Role, Volume};

/// What the cluster's committed record says about this node's copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordWord {
    /// Nothing: what DRBD itself knows has to do.
    #[default]
    Silent,
    /// No other node can have newer data: `Consistent` is enough, and so is standing alone.
    Freshest,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eligibility {
    /// It may.
    Yes,
    /// It may not, and why.
    No(String),
    /// It is not known whether it may, and why; that counts as no.
    Unknown(String),
}

impl Eligibility {
    /// May it?
    #[must_use]
    pub fn is_yes(&self) -> bool {
        *self == Eligibility::Yes
    }

    /// `yes`, `no`, `unknown`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Eligibility::Yes => "yes",
            Eligibility::No(_) => "no",
            Eligibility::Unknown(_) => "unknown",
        }
    }

    /// Why not; empty for yes.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Eligibility::Yes => "",
            Eligibility::No(reason) | Eligibility::Unknown(reason) => reason,
        }
    }
}

/// `no volume 0 is Inconsistent: ...`, as the attribute `eligible` says it.
impl fmt::Display for Eligibility {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.word(), self.reason())
    }
}

/// Says whether this node may become, or stay, Primary of a resource.
#[must_use]
pub fn eligibility(resource: &Resource, record: RecordWord) -> Eligibility {
    if resource.volumes.is_empty() {
        return Eligibility::Unknown("it has no volume here that is known".to_owned());
    }
    if let Role::Unknown(_) | Role::Unseen = resource.role {
        return Eligibility::Unknown(format!("its role here is {}", resource.role));
    }
    let mut answer = Eligibility::Yes;
    for (number, volume) in &resource.volumes {
        let next = copy(resource, *number, volume, record);
        // A no outweighs what is not known; the first of each is told.
        let weight = |word: &Eligibility| match word {
            Eligibility::Yes => 0,
            Eligibility::Unknown(_) => 1,
            Eligibility::No(_) => 2,
        };
        if weight(&next) > weight(&answer) {
            answer = next;
        }
    }
    if answer.is_yes()
        && resource.role == Role::Secondary
        && resource.stands_alone()
        && record == RecordWord::Silent
    {
        return Eligibility::No(
            "it stands alone: whatever the peer has written since is missing here; \
             `drbdadm connect` joins them again, `crm drbd status` tells whether that is safe"
                .to_owned(),
        );
    }
    answer
}

fn copy(resource: &Resource, number: u32, volume: &Volume, record: RecordWord) -> Eligibility {
    let which = match resource.volumes.len() {
        1 => "its disk".to_owned(),
        _ => format!("the disk of volume {number}"),
    };
    let no = |why: &str| Eligibility::No(format!("{which} is {}: {why}", volume.disk));
    let unknown = |why: &str| Eligibility::Unknown(format!("{which} is {}: {why}", volume.disk));
    let verdict = match &volume.disk {
        Disk::UpToDate => Eligibility::Yes,
        Disk::Consistent if record == RecordWord::Freshest => Eligibility::Yes,
        Disk::Consistent => {
            no("the peer may have newer data; bring the peer back, or `crm promote --stale` \
             here if it is lost for good")
        }
        Disk::Inconsistent => match resource.incoming(number) {
            Some((peer, seen)) => match seen.resync {
                Some(resync) => no(&format!("resync from {peer} is {resync}")),
                None => no(&format!("a resync from {peer} is under way")),
            },
            None => no("it needs a resync from a peer with good data"),
        },
        Disk::Outdated => no("the peer has newer data; connect the peer"),
        Disk::Diskless if volume.client == Some(true) => no("this node has no copy on purpose"),
        Disk::Diskless => no("no copy is attached; look at the disk, then `drbdadm attach`"),
        Disk::Failed | Disk::Detaching => no("the disk failed or is being taken away"),
        Disk::Attaching | Disk::Negotiating => unknown("what it is worth is being found out"),
        Disk::DUnknown => unknown("DRBD does not know"),
        Disk::Unknown(word) if word.is_empty() => {
            Eligibility::Unknown(format!("{which}: DRBD did not say what it is worth"))
        }
        Disk::Unknown(_) => unknown("this word is not known"),
    };
    if verdict.is_yes() && volume.quorum == Some(false) {
        return Eligibility::No(format!("{which} has lost DRBD's quorum"));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Connection, Peer};

    fn resource(disk: &str, role: &str, connection: &str) -> Resource {
        let mut resource = Resource { role: Role::read(role), ..Resource::default() };
        resource.volumes.insert(0, Volume { disk: Disk::read(disk), ..Volume::default() });
        let peer = Peer { connection: Connection::read(connection), ..Peer::default() };
        resource.peers.insert("b".to_owned(), peer);
        resource
    }

    #[test]
    fn i8_only_the_newest_copy_may() {
        for (disk, silent, freshest) in [
            ("UpToDate", "yes", "yes"),
            ("Consistent", "no", "yes"),
            ("Outdated", "no", "no"),
            ("Inconsistent", "no", "no"),
            ("Diskless", "no", "no"),
            ("Failed", "no", "no"),
            ("Detaching", "no", "no"),
            ("Attaching", "unknown", "unknown"),
            ("Negotiating", "unknown", "unknown"),
            ("DUnknown", "unknown", "unknown"),
            ("", "unknown", "unknown"),
            ("Uptodate", "unknown", "unknown"),
        ] {
            let resource = resource(disk, "Secondary", "Connecting");
            assert_eq!(eligibility(&resource, RecordWord::Silent).word(), silent, "{disk}");
            assert_eq!(eligibility(&resource, RecordWord::Freshest).word(), freshest, "{disk}");
        }
    }

    #[test]
    fn i8_a_node_that_cut_itself_off_is_not_eligible() {
        let apart = resource("UpToDate", "Secondary", "StandAlone");
        assert!(eligibility(&apart, RecordWord::Silent).reason().contains("stands alone"));
        assert!(eligibility(&apart, RecordWord::Freshest).is_yes());
        // It serves: to stop it would help nobody.
        let serving = resource("UpToDate", "Primary", "StandAlone");
        assert!(eligibility(&serving, RecordWord::Silent).is_yes());
    }

    #[test]
    fn one_bad_volume_is_enough() {
        let mut two = resource("UpToDate", "Secondary", "Connected");
        two.volumes.insert(1, Volume { disk: Disk::DUnknown, ..Volume::default() });
        assert_eq!(eligibility(&two, RecordWord::Silent).word(), "unknown");
        two.volumes.insert(2, Volume { disk: Disk::Inconsistent, ..Volume::default() });
        let answer = eligibility(&two, RecordWord::Silent);
        assert_eq!(answer.word(), "no");
        assert!(answer.reason().contains("volume 2"), "{answer}");
    }

    #[test]
    fn nothing_known_is_not_eligible() {
        let nothing = Resource::default();
        assert_eq!(eligibility(&nothing, RecordWord::Freshest).word(), "unknown");
        let roleless = resource("UpToDate", "", "Connected");
        assert_eq!(eligibility(&roleless, RecordWord::Freshest).word(), "unknown");
        let mut lost = resource("UpToDate", "Secondary", "Connecting");
        lost.volumes.entry(0).or_default().quorum = Some(false);
        assert_eq!(eligibility(&lost, RecordWord::Freshest).word(), "no");
    }
}
