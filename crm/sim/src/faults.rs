//! Every kind of fault, and every command an operator may give, as plain values: a plan is a list
//! of them, so that it can be printed, shortened and replayed.

use crate::agents::Mood;
use crate::clock::Micros;
use crate::fence::Device;
use crate::network::{Path, Sort, Weather};
use crate::queue::Seat;

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: Micros,
    /// For faults that last; ends with the plan at the latest.
    pub lasts: Micros,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Weather(Weather),
    Cut(Vec<Path>),
    /// Packets on this path wait, and come all at once when the fault ends.
    Hold {
        from: Seat,
        to: Seat,
    },
    /// Messages of one sort are lost on this way, and all others pass.
    Lose {
        from: Seat,
        to: Seat,
        sort: Sort,
    },
    /// The machine loses power, and boots when the fault ends.
    Crash {
        seat: Seat,
    },
    /// Every machine loses power at once.
    Blackout,
    /// Only the daemon dies; resources and open calls go on. Restarted when the fault ends.
    DaemonCrash {
        seat: Seat,
    },
    /// The package is upgraded: stopped with `Keep`, started when the fault ends.
    Upgrade {
        seat: Seat,
    },
    /// The machine is shut down in order, and booted when the fault ends.
    Leave {
        seat: Seat,
    },
    /// The daemon gets nothing; its clock goes on.
    Freeze {
        seat: Seat,
    },
    /// The machine stands still, and its clock shows only so much of it (AS2 is broken).
    Pause {
        seat: Seat,
        ticks: Micros,
    },
    SlowDisk {
        seat: Seat,
        slowness: Micros,
    },
    /// No write ends, and no daemon can read its store, before the fault does.
    HangingDisk {
        seat: Seat,
    },
    BrokenDisk {
        seat: Seat,
    },
    /// The machine loses power and its disk, and boots with an empty one when the fault ends: for the
    /// witness, which is created anew and never restored (R18).
    EmptyDisk {
        seat: Seat,
    },
    Agents {
        seat: Seat,
        mood: Mood,
    },
    /// A running resource dies; the kernel tells the daemon, or nobody does.
    Death {
        seat: Seat,
        which: usize,
        told: bool,
    },
    /// The kernel tells of a change that is none.
    Rumour {
        seat: Seat,
        which: usize,
    },
    Device {
        target: Seat,
        device: Device,
    },
    /// A machine that is switched off boots again within milliseconds.
    BootsFast {
        seat: Seat,
    },
    /// Recorded packets are sent again, `count` of them.
    Replay {
        to: Seat,
        count: u32,
        rare: bool,
    },
    /// Packets of somebody without this cluster's key, or of another cluster.
    Forge {
        to: Seat,
        count: u32,
    },
    /// Somebody else than crm starts a resource (AS6 is broken).
    Stranger {
        seat: Seat,
        which: usize,
    },
    /// The tie-break address does not answer.
    PingsFail,
    /// Once, when something particular happens while the fault lasts.
    When {
        trigger: Trigger,
        skip: u32,
        blow: Blow,
    },
}

/// Moments at which things go wrong most easily.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    FenceAsked,
    FenceExecuted,
    FenceReported,
    Stands,
    Votes,
    Proposes,
    Accepts,
    Commits,
    Starts,
    Stops,
    Reports,
    Writes,
}

/// What goes wrong at such a moment, to the machine that it happens to or to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    Crash {
        other: bool,
        back_after: Micros,
    },
    DaemonCrash {
        other: bool,
        back_after: Micros,
    },
    Freeze {
        other: bool,
        lasts: Micros,
    },
    /// Nothing gets out of it, or nothing gets in or out.
    Isolate {
        one_way: bool,
        lasts: Micros,
    },
    /// What it sends is held back.
    Hold {
        lasts: Micros,
    },
}

impl Kind {
    /// A short name, for figures.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Weather(_) => "weather",
            Kind::Cut(_) => "cut",
            Kind::Hold { .. } => "hold",
            Kind::Lose { .. } => "lose",
            Kind::Crash { .. } => "crash",
            Kind::Blackout => "blackout",
            Kind::DaemonCrash { .. } => "daemon-crash",
            Kind::Upgrade { .. } => "upgrade",
            Kind::Leave { .. } => "leave",
            Kind::Freeze { .. } => "freeze",
            Kind::Pause { .. } => "pause",
            Kind::SlowDisk { .. } => "slow-disk",
            Kind::HangingDisk { .. } => "hanging-disk",
            Kind::BrokenDisk { .. } => "broken-disk",
            Kind::EmptyDisk { .. } => "empty-disk",
            Kind::Agents { .. } => "agents",
            Kind::Death { .. } => "death",
            Kind::Rumour { .. } => "rumour",
            Kind::Device { .. } => "device",
            Kind::BootsFast { .. } => "boots-fast",
            Kind::Replay { .. } => "replay",
            Kind::Forge { .. } => "forge",
            Kind::Stranger { .. } => "stranger",
            Kind::PingsFail => "pings-fail",
            Kind::When { .. } => "when",
        }
    }
}

/// One command of an operator, given to the daemon of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub at: Micros,
    pub seat: Seat,
    pub wish: Wish,
}

/// What the operator wants, by positions in the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Start {
        group: usize,
    },
    Stop {
        group: usize,
    },
    Restart {
        group: usize,
    },
    Migrate {
        group: usize,
        to: Option<Seat>,
    },
    Standby {
        node: Seat,
    },
    Online {
        node: Seat,
    },
    Maintenance {
        on: bool,
    },
    Clear,
    Fence {
        node: Seat,
    },
    Apply {
        revision: u64,
    },
    /// Given only of a machine that is off and knows no newer record, as a careful operator does (H23).
    ConfirmDead {
        node: Seat,
    },
    /// Given of a machine that is off, whatever it knew: what was committed there only is given up (H23, H35).
    AcceptLoss {
        node: Seat,
    },
    StopCluster,
    StartCluster,
    Status,
}
