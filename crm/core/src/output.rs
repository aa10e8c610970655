//! Everything a node asks its shell to do, in order.
//!
//! The order is a contract: outputs are carried out as they come, except that a [`Output::Write`]
//! need not be finished before later outputs; whatever depends on it is held back by the core
//! itself until [`crate::Input::Written`].

use crate::event::Event;
use crate::id::{FenceId, GroupId, LinkId, NodeId, OpId, RequestId, ResourceId, WriteId};
use crate::model::{Cluster, FenceDevice};
use crate::operation::Operation;
use crate::operator::Outcome;
use crate::packet::Packet;
use crate::record::Stored;
use crate::status::Status;
use crate::time::Span;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Seal and send. Loss is expected and repaired by the core.
    Send {
        to: Destination,
        packet: Box<Packet>,
    },
    /// Make this durable, then answer `Written` (AS1). Later writes replace earlier ones.
    Write {
        write: WriteId,
        stored: Box<Stored>,
    },
    /// Call an agent.
    Run(Box<Operation>),
    /// Kill the whole tree of a call; it still ends with `Finished`.
    Cancel {
        op: OpId,
    },
    /// Forget the watches of a resource that was stopped.
    Unwatch {
        group: GroupId,
        resource: ResourceId,
    },
    /// Prove `target` dead by `device`.
    Fence {
        request: FenceId,
        target: NodeId,
        device: Box<FenceDevice>,
    },
    /// The request is no longer wanted; a late success is dropped by the core anyway (H27).
    CancelFence {
        request: FenceId,
    },
    /// Ask the tie-break address for an answer.
    Ping {
        address: String,
    },
    Reply {
        request: RequestId,
        outcome: Outcome,
    },
    /// Answers `StatusWanted`: the coordinator's view, or this node's own when that is out of reach.
    Status {
        request: RequestId,
        status: Box<Status>,
    },
    Event(Event),
    /// The configuration in use changed: addresses of peers, files to rewrite.
    Configured {
        cluster: Arc<Cluster>,
        text: Arc<str>,
    },
    Watchdog(WatchdogDuty),
    /// Stop the daemon now.
    Halt {
        reason: String,
        failed: bool,
    },
}

/// Where a packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Over this link of that node.
    Link { node: NodeId, link: LinkId },
    /// Over every link of that node.
    Node(NodeId),
    /// To the address given to a daemon that is to join.
    Contact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogDuty {
    /// Open it if need be, with this margin (W), and feed it.
    Feed { margin: Span },
    /// Close it with the magic character: everything is stopped.
    Disarm,
}
