//! What can go wrong with one configuration, as a value with a name that a token can carry.

use crate::queue::Seat;
use crm_core::id::{GroupId, ResourceId};
use crm_core::model::Cluster;
use std::fmt::Write;

/// One fault. Nodes are seats, in the order of the file; the witness comes after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Dies {
        node: Seat,
    },
    Reboots {
        node: Seat,
    },
    /// The whole machine stands still for a while; its clock goes on.
    Hangs {
        node: Seat,
    },
    /// The same, and its clock stands still too: a virtual machine that is paused.
    Paused {
        node: Seat,
    },
    DaemonDies {
        node: Seat,
    },
    DaemonHangs {
        node: Seat,
    },
    ClockJumps {
        node: Seat,
    },
    DiskFull {
        node: Seat,
    },
    DiskSlow {
        node: Seat,
    },
    /// It neither writes nor fails.
    DiskHangs {
        node: Seat,
    },
    /// In one direction; `link: None` is all links.
    CutOneWay {
        from: Seat,
        to: Seat,
        link: Option<u8>,
    },
    Cut {
        a: Seat,
        b: Seat,
        link: Option<u8>,
    },
    Isolated {
        node: Seat,
    },
    /// A whole network between all machines.
    LinkGone {
        link: u8,
    },
    Blackout,
    WitnessGone,
    PingsFail,
    DeviceGone {
        node: Seat,
    },
    DeviceSlow {
        node: Seat,
    },
    DeviceUnreported {
        node: Seat,
    },
    DeviceLies {
        node: Seat,
    },
    ResourceDies {
        group: GroupId,
        resource: ResourceId,
    },
    /// It dies, and does not start again on that node.
    StartFails {
        group: GroupId,
        resource: ResourceId,
    },
    StartHangs {
        group: GroupId,
        resource: ResourceId,
    },
    /// It dies, and starts nowhere.
    StartsNowhere {
        group: GroupId,
        resource: ResourceId,
    },
    /// An operator moves the group, and it does not stop.
    StopFails {
        group: GroupId,
        resource: ResourceId,
    },
    StopHangs {
        group: GroupId,
        resource: ResourceId,
    },
}

/// What the promises rest on, where a fault takes it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assumption {
    /// AS2: the clock does not stand still, nor jump.
    Clock,
    /// AS3: what the device reports is true.
    Device,
}

impl Assumption {
    /// `AS3: what a device reports is true`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Assumption::Clock => "AS2: a machine's clock does not stand still and does not jump",
            Assumption::Device => "AS3: a machine that its device reports as off is off",
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Assumption::Clock => "AS2",
            Assumption::Device => "AS3",
        }
    }
}

impl Fault {
    /// The assumption that this fault breaks in this cluster.
    #[must_use]
    pub fn breaks(&self, cluster: &Cluster) -> Option<Assumption> {
        match self {
            Fault::ClockJumps { .. } => Some(Assumption::Clock),
            // A device ends the one that was paused; nothing counts on its clock then.
            Fault::Paused { node } => {
                let node = cluster.nodes.get(*node)?;
                let counted_on = node.watchdog.is_some() && !cluster.has_device(&node.id);
                counted_on.then_some(Assumption::Clock)
            }
            Fault::DeviceLies { .. } => Some(Assumption::Device),
            _ => None,
        }
    }

    /// `dies:alpha`, for tokens and programs.
    #[must_use]
    pub fn id(&self, cluster: &Cluster) -> String {
        let name = |seat: &Seat| name(cluster, *seat);
        let mut id = self.kind().replace(' ', "-");
        let mut add = |part: &str| {
            let _ = write!(id, ":{part}");
        };
        match self {
            Fault::Dies { node }
            | Fault::Reboots { node }
            | Fault::Hangs { node }
            | Fault::Paused { node }
            | Fault::DaemonDies { node }
            | Fault::DaemonHangs { node }
            | Fault::ClockJumps { node }
            | Fault::DiskFull { node }
            | Fault::DiskSlow { node }
            | Fault::DiskHangs { node }
            | Fault::Isolated { node }
            | Fault::DeviceGone { node }
            | Fault::DeviceSlow { node }
            | Fault::DeviceUnreported { node }
            | Fault::DeviceLies { node } => add(name(node)),
            Fault::CutOneWay { from: a, to: b, link } | Fault::Cut { a, b, link } => {
                add(name(a));
                add(name(b));
                if let Some(link) = link {
                    add(&(link + 1).to_string());
                }
            }
            Fault::LinkGone { link } => add(&(link + 1).to_string()),
            Fault::Blackout | Fault::WitnessGone | Fault::PingsFail => {}
            Fault::ResourceDies { group, resource }
            | Fault::StartFails { group, resource }
            | Fault::StartHangs { group, resource }
            | Fault::StartsNowhere { group, resource }
            | Fault::StopFails { group, resource }
            | Fault::StopHangs { group, resource } => {
                add(group.as_str());
                add(resource.as_str());
            }
        }
        id
    }

    /// For people: `node alpha dies`.
    #[must_use]
    pub fn words(&self, cluster: &Cluster) -> String {
        let name = |seat: &Seat| name(cluster, *seat);
        let on = |link: &Option<u8>| match link {
            None => "every link".to_owned(),
            Some(link) => format!("link {}", link + 1),
        };
        match self {
            Fault::Dies { node } => format!("node {} dies", name(node)),
            Fault::Reboots { node } => format!("node {} reboots", name(node)),
            Fault::Hangs { node } => format!("node {} freezes for a while", name(node)),
            Fault::Paused { node } => format!("virtual machine {} is paused", name(node)),
            Fault::DaemonDies { node } => format!("crmd on {} dies", name(node)),
            Fault::DaemonHangs { node } => format!("crmd on {} hangs for a while", name(node)),
            Fault::ClockJumps { node } => format!("boot clock of {} jumps", name(node)),
            Fault::DiskFull { node } => format!("disk of {} takes no write", name(node)),
            Fault::DiskSlow { node } => format!("disk of {} is slow", name(node)),
            Fault::DiskHangs { node } => format!("disk of {} hangs", name(node)),
            Fault::CutOneWay { from, to, link } => {
                format!("{} cut, {} to {} only", on(link), name(from), name(to))
            }
            Fault::Cut { a, b, link } => {
                format!("{} cut between {} and {}", on(link), name(a), name(b))
            }
            Fault::Isolated { node } => format!("node {} is cut off from all", name(node)),
            Fault::LinkGone { link } => format!("link {} is gone everywhere", link + 1),
            Fault::Blackout => "every machine loses power".to_owned(),
            Fault::WitnessGone => "the witness is gone".to_owned(),
            Fault::PingsFail => "the tie-break address does not answer".to_owned(),
            Fault::DeviceGone { node } => format!("device of {} does not answer", name(node)),
            Fault::DeviceSlow { node } => format!("device of {} is slow", name(node)),
            Fault::DeviceUnreported { node } => {
                format!("device of {} works and says it failed", name(node))
            }
            Fault::DeviceLies { node } => {
                format!("device of {} says off and does nothing", name(node))
            }
            Fault::ResourceDies { group, resource } => format!("{group}/{resource} dies"),
            Fault::StartFails { group, resource } => {
                format!("{group}/{resource} dies, does not start there")
            }
            Fault::StartHangs { group, resource } => {
                format!("{group}/{resource} dies, its start there hangs")
            }
            Fault::StartsNowhere { group, resource } => {
                format!("{group}/{resource} dies, starts nowhere")
            }
            Fault::StopFails { group, resource } => {
                format!("{group}/{resource} does not stop for a move")
            }
            Fault::StopHangs { group, resource } => {
                format!("{group}/{resource} hangs when stopped for a move")
            }
        }
    }

    /// The group whose resource it strikes.
    pub(super) fn group(&self) -> Option<&GroupId> {
        match self {
            Fault::ResourceDies { group, .. }
            | Fault::StartFails { group, .. }
            | Fault::StartHangs { group, .. }
            | Fault::StartsNowhere { group, .. }
            | Fault::StopFails { group, .. }
            | Fault::StopHangs { group, .. } => Some(group),
            _ => None,
        }
    }

    /// The kind, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Dies { .. } => "dies",
            Fault::Reboots { .. } => "reboots",
            Fault::Hangs { .. } => "freezes",
            Fault::Paused { .. } => "paused",
            Fault::DaemonDies { .. } => "crmd dies",
            Fault::DaemonHangs { .. } => "crmd hangs",
            Fault::ClockJumps { .. } => "clock jumps",
            Fault::DiskFull { .. } => "disk full",
            Fault::DiskSlow { .. } => "disk slow",
            Fault::DiskHangs { .. } => "disk hangs",
            Fault::CutOneWay { .. } => "cut one way",
            Fault::Cut { .. } => "cut",
            Fault::Isolated { .. } => "isolated",
            Fault::LinkGone { .. } => "link gone",
            Fault::Blackout => "blackout",
            Fault::WitnessGone => "witness gone",
            Fault::PingsFail => "no ping",
            Fault::DeviceGone { .. } => "device gone",
            Fault::DeviceSlow { .. } => "device slow",
            Fault::DeviceUnreported { .. } => "device unreported",
            Fault::DeviceLies { .. } => "device lies",
            Fault::ResourceDies { .. } => "resource dies",
            Fault::StartFails { .. } => "start fails",
            Fault::StartHangs { .. } => "start hangs",
            Fault::StartsNowhere { .. } => "starts nowhere",
            Fault::StopFails { .. } => "stop fails",
            Fault::StopHangs { .. } => "stop hangs",
        }
    }
}

fn name(cluster: &Cluster, seat: Seat) -> &str {
    cluster.nodes.get(seat).map_or("witness", |node| node.id.as_str())
}
