//! Everything that can happen to a node. The shell makes these; the core has no other senses.

use crate::id::{
    Digest, FenceId, GroupId, Incarnation, LinkId, NodeId, OpId, RequestId, ResourceId, ServiceId,
    WriteId,
};
use crate::operation::OpResult;
use crate::operator::Command;
use crate::packet::{Packet, RoleReport};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The deadline passed, or nothing happened at all.
    Wake,
    /// An authenticated message (I9 is proved by the wire, freshness by the core).
    Packet { link: LinkId, from: NodeId, incarnation: Incarnation, counter: u64, packet: Packet },
    /// Everything up to this write is on the disk.
    Written { write: WriteId },
    /// A write failed. The daemon answers nothing more and exits (AS1).
    WriteFailed { reason: String },
    /// An agent operation ended and none of its processes is left over.
    Finished { op: OpId, result: OpResult },
    /// The kernel or systemd says that something about this resource changed. A hint to look.
    Changed { group: GroupId, resource: ResourceId, what: String },
    /// What a service with roles says of itself on this node.
    RoleSeen { service: ServiceId, report: RoleReport },
    /// A fencing request ended.
    Fenced { request: FenceId, result: FenceResult },
    /// The address of `tiebreak` answered, or did not.
    Pinged { answered: bool },
    /// An operator wants something.
    Operator { request: RequestId, command: Command },
    /// Somebody wants the fullest status to be had; answered by [`crate::Output::Status`].
    StatusWanted { request: RequestId },
    /// The configuration file on this node has this digest; `None`: it cannot be read.
    DraftSeen { digest: Option<Digest> },
    /// The watchdog of this node is armed now, or is not.
    WatchdogArmed { armed: bool },
    /// End of the daemon.
    Shutdown { how: Shutdown },
}

/// How a daemon is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// The machine goes down: move or stop the groups in order, leave, then halt (R14).
    Leave,
    /// The package is upgraded: leave everything running and halt (design 3.3).
    Keep,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FenceResult {
    /// The target had no running CPU and no I/O at some instant after the request (AS3).
    Off,
    Failed {
        reason: String,
    },
}
