//! What nodes say to one another. The wire seals these; the core never sees bytes.

use crate::id::{Digest, Epoch, GroupId, NodeId, ResourceId, ServiceId, Stamp, StoreId};
use crate::model::LeaseTimes;
use crate::operator::{Command, Outcome};
use crate::record::Record;
use crate::same::hash_by;
use crate::status::Status;
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lowest and highest minor version this build speaks.
pub const MINOR_LOWEST: u8 = 2;
pub const MINOR_HIGHEST: u8 = 2;

/// One message, addressed. Its sender, the sender's incarnation and a counter that never repeats
/// stand beside it, authenticated by the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    pub to: NodeId,
    /// Counts the sender's packets to this recipient, in the sender's incarnation; taken once.
    pub number: u64,
    /// The incarnation of the recipient that the sender talks to. Only a packet that echoes the
    /// recipient's present incarnation changes anything (H14, H29).
    pub echo: Option<crate::id::Incarnation>,
    /// Highest number the sender has seen of that incarnation: proves the packet is younger than
    /// that one.
    pub seen: u64,
    pub minor_lowest: u8,
    pub minor_highest: u8,
    pub message: Message,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Nothing but its envelope: answers an incarnation that is not live yet (H29).
    Hello,
    Heartbeat(Heartbeat),
    /// R1. May I stand? Changes nothing.
    PreVote {
        epoch: Epoch,
    },
    PreVoteReply {
        epoch: Epoch,
        granted: bool,
        stamp: Stamp,
    },
    /// R2.
    VoteRequest {
        epoch: Epoch,
    },
    Vote {
        epoch: Epoch,
        store: StoreId,
        record: Option<Box<Record>>,
    },
    /// Refused a request, a record or a report: my epoch is higher.
    Behind {
        epoch: Epoch,
    },
    /// R8. Persist this.
    Propose {
        epoch: Epoch,
        record: Box<Record>,
    },
    /// Persisted exactly this stamp, with this store.
    Accepted {
        epoch: Epoch,
        stamp: Stamp,
        store: StoreId,
    },
    /// I lack the configuration text of this stamp.
    ConfigWanted {
        stamp: Stamp,
    },
    /// R10. This stamp is committed; obey it.
    Committed {
        epoch: Epoch,
        stamp: Stamp,
    },
    Report(Box<Report>),
    /// A command from a node that does not coordinate.
    Forward {
        request: u64,
        command: Box<Command>,
    },
    ForwardReply {
        request: u64,
        outcome: Outcome,
    },
    StatusWanted {
        request: u64,
    },
    StatusReply {
        request: u64,
        status: Box<Status>,
    },
    /// A node that is no member yet asks to be told the record.
    Join {
        store: StoreId,
    },
    /// To a node that is no member any more and does not know: the committed record that does not name it (R19).
    Removed {
        record: Box<Record>,
    },
}

/// Sent on every link, every keepalive, to every peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Counts the heartbeats on this link.
    pub beat: u64,
    /// The sender's clock, for the lease (R13) and the round trip.
    pub sent: Time,
    /// The recipient's last `sent` on this link and how long ago it came.
    pub heard: Option<(Time, Span)>,
    /// All durable (H21).
    pub epoch: Epoch,
    pub stamp: Stamp,
    pub obeyed: Stamp,
    pub store: StoreId,
    pub writes: u64,
    pub config: Digest,
    /// Whom the sender takes for the coordinator.
    pub coordinator: Option<NodeId>,
    /// Set by a coordinator.
    pub leading: Option<Leading>,
    /// Number of the sender's newest report.
    pub report: u64,
    /// Newest report of the recipient that the sender (a coordinator) has.
    pub report_seen: u64,
    /// Other nodes that the sender hears: a word that one of them is dead is refused (R20).
    pub hears: Vec<NodeId>,
    /// Groups that the sender took on silence, without a committed grant (H36).
    pub taken: Vec<GroupId>,
}

/// What a coordinator says in its heartbeats.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leading {
    /// Its first record of this epoch is committed, and its lease holds (H19).
    pub lease_holds: bool,
    /// Newest committed stamp of its epoch.
    pub committed: Option<Stamp>,
    /// Renews the recipient's lease: the recipient's send time, and the coordinator's own
    /// remaining lease (R13).
    pub renews: Option<(Time, Span)>,
}

/// What a node tells the coordinator of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Committed record that the sender obeys; proves nothing for a newer one (H13).
    pub obeyed: Stamp,
    /// Number of this report in the sender's incarnation.
    pub number: u64,
    pub groups: BTreeMap<GroupId, GroupReport>,
    pub services: BTreeMap<ServiceId, RoleReport>,
    /// The watchdog of this run is armed, and it stops what it runs when its lease ends: by these
    /// times.
    pub armed: Option<LeaseTimes>,
    /// The sender is shutting down and wants its groups moved (R14).
    pub leaving: bool,
    /// Groups whose data this node could serve, where an agent observes that (design 3.3).
    pub eligible: BTreeMap<GroupId, Eligibility>,
    /// Not yet counted failures, numbered in this incarnation.
    pub failures: Vec<FailureReport>,
}

/// State of one group on one node, as its executor knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupReport {
    pub phase: GroupPhase,
    /// Why it is not simply running or stopped.
    pub reason: Option<String>,
    /// Restart counter that this node has carried out.
    pub restarts_done: u64,
    /// Something of an earlier definition may still run here: the one in force waits for its end.
    pub redefining: bool,
}

/// Phases of a group on one node. Anything but `Stopped` may be running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupPhase {
    /// Not looked at yet in this incarnation, or a status gave no answer.
    Unknown,
    /// Every resource is proved stopped and no operation is open (H15).
    Stopped,
    Starting,
    Running,
    Stopping,
    /// A start failed here; everything is proved stopped again.
    Failed,
    /// A stop failed or hung: may run, nothing more is tried (R21).
    StopFailed,
}

impl GroupPhase {
    /// Proves that nothing of the group runs here.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        matches!(self, GroupPhase::Stopped | GroupPhase::Failed)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RoleReport {
    /// `None`: unknown, which is never a role.
    pub role: Option<String>,
    pub attributes: BTreeMap<String, String>,
}

/// Whether a node could serve a group's data; missing or unknown is no.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Eligibility {
    pub eligible: Option<bool>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FailureReport {
    pub number: u64,
    pub group: GroupId,
    pub resource: ResourceId,
    pub kind: FailureKind,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A start failed, or restarts in place are used up: the group should move.
    Start,
    /// A running resource failed and its group should move.
    Run,
    /// A stop failed or hung.
    Stop,
    /// A running resource failed and is left as it is (`on_fail: block`): the group stays, for the operator.
    Block,
}

hash_by!(Packet: to echo message);
hash_by!(Heartbeat: sent heard epoch stamp obeyed store config coordinator leading hears taken);
hash_by!(Report: obeyed groups services armed leaving eligible failures);
