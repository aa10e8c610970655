//! What goes on in a cluster while the search lets things go wrong: each story is a run of its own
//! without any fault, and every placement of a few faults in it is tried.

use crate::clock::{MILLI, Micros, SECOND};
use crate::faults::{Act, Fault, Kind, Wish};
use crate::layouts::Layout;
use crate::network::Path;
use crate::plan::{Begin, Plan, Profile};
use crate::queue::Happening;
use crate::trace::Trace;
use crate::world::World;
use crm_core::Shutdown;
use crm_core::rules::Rules;

/// What goes on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// Nothing: everything runs.
    Calm,
    /// All machines get power at once: the handshake, the first election, the first grants.
    Boots,
    /// One node is founded, the others join it.
    Joins,
    /// The machine that runs the first group loses power.
    OwnerDies,
    /// The same, while the first group is banned from the second node (H24).
    Banned,
    /// The same, and every group is.
    AllBanned,
    /// The daemon of the machine that runs the first group dies; what runs goes on (H15, H16).
    DaemonRestarts,
    /// The first two machines do not hear one another for a while.
    Cut,
    /// The machine that runs the first group hears nobody for a while.
    Isolated,
    /// An operator moves the first group.
    Migrates,
    /// The machine that runs the first group leaves in order, and comes back (R14).
    Leaves,
    /// An operator stops everything, and starts it again (R15).
    StopsAll,
    /// One of two dies, and later the other, which went on alone; an operator lets the first go on without
    /// what only the other knew, and then that one is back (R20, H23, H35).
    Parts,
    /// The same, and the one that is back does not hear the other at first, so that it has it fenced and goes on, too.
    PartsCut,
}

/// Every story, with its name.
pub const STORIES: &[(&str, Story)] = &[
    ("calm", Story::Calm),
    ("boots", Story::Boots),
    ("joins", Story::Joins),
    ("owner-dies", Story::OwnerDies),
    ("banned", Story::Banned),
    ("all-banned", Story::AllBanned),
    ("daemon-restarts", Story::DaemonRestarts),
    ("cut", Story::Cut),
    ("isolated", Story::Isolated),
    ("migrates", Story::Migrates),
    ("leaves", Story::Leaves),
    ("stops-all", Story::StopsAll),
    ("parts", Story::Parts),
    ("parts-cut", Story::PartsCut),
];

impl Story {
    #[must_use]
    pub fn find(name: &str) -> Option<Story> {
        STORIES.iter().find(|(known, _)| *known == name).map(|(_, story)| *story)
    }

    /// Whether something of it can happen in this layout.
    #[must_use]
    pub fn suits(self, layout: &Layout) -> bool {
        !self.parts() || (layout.machines().len() == 2 && layout.device)
    }

    /// Whether two histories may go on in it.
    #[must_use]
    pub fn parts(self) -> bool {
        matches!(self, Story::Parts | Story::PartsCut)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        STORIES.iter().find(|(_, story)| *story == self).map_or("calm", |(name, _)| name)
    }

    /// The world at the moment from which on things may go wrong.
    ///
    /// # Errors
    /// A layout that cannot be parsed, or one that does not come up by itself.
    pub fn begin<R: Rules>(self, layout: Layout, trace: Trace) -> Result<World<R>, String> {
        let begin = match self {
            Story::Joins => Begin::Joined,
            Story::Banned => Begin::Banned { node: 1 },
            Story::AllBanned => Begin::AllBanned { node: 1 },
            _ => Begin::Founded,
        };
        let act = |at, wish| Act { at, seat: 0, wish };
        let acts = match self {
            Story::Migrates => vec![act(START, Wish::Migrate { group: 0, to: Some(1) })],
            Story::StopsAll => {
                vec![act(START, Wish::StopCluster), act(START + 10 * SECOND, Wish::StartCluster)]
            }
            Story::Parts | Story::PartsCut => {
                vec![Act { at: START + 26 * SECOND, seat: 1, wish: Wish::AcceptLoss { node: 0 } }]
            }
            _ => Vec::new(),
        };
        let dies = |seat, at, lasts| Fault { at, lasts, kind: Kind::Crash { seat } };
        let mut faults = Vec::new();
        if self.parts() {
            faults.extend([dies(1, START, 22 * SECOND), dies(0, START + 20 * SECOND, 16 * SECOND)]);
        }
        if self == Story::PartsCut {
            let paths = [(0, 1), (1, 0)].map(|(from, to)| Path { from, to, link: None });
            let kind = Kind::Cut(paths.to_vec());
            faults.push(Fault { at: START + 23 * SECOND, lasts: LONG + SECOND, kind });
        }
        let plan = Plan {
            seed: 0,
            layout,
            profile: Profile::Calm,
            faults,
            acts,
            heals: Micros::MAX / 2,
            begin,
            last_blow: None,
            breaks: None,
        };
        let mut world = World::without_chance(plan, trace)?;
        if matches!(self, Story::Boots | Story::Joins) {
            return Ok(world);
        }
        if let Some(violation) = world.run_until(START - 1) {
            return Err(format!("{}: {}", violation.invariant, violation.detail));
        }
        let owner = 0;
        let first = &world.cluster.groups[0].id.clone();
        if !world.machines[owner].agents.holds_group(first) {
            return Err(format!("{} does not come up by itself", layout.name));
        }
        match self {
            Story::OwnerDies | Story::Banned | Story::AllBanned => {
                world.power_off(owner, "crash");
                world.queue.push(START + 5 * SECOND, Happening::PowerOn { seat: owner });
            }
            Story::DaemonRestarts => {
                let back = world.in_step(START + 200 * MILLI, owner);
                world.daemon_crash(owner, back);
            }
            Story::Cut => {
                let paths = [(0, 1), (1, 0)].map(|(from, to)| Path { from, to, link: None });
                world.network.cut(usize::MAX, paths.to_vec());
                world.queue.push(START + LONG, Happening::FaultEnds { fault: usize::MAX });
            }
            Story::Isolated => {
                let all = 0..world.machines.len();
                let paths = all.filter(|seat| *seat != owner).flat_map(|seat| {
                    [(owner, seat), (seat, owner)].map(|(from, to)| Path { from, to, link: None })
                });
                world.network.cut(usize::MAX, paths.collect());
                world.queue.push(START + LONG, Happening::FaultEnds { fault: usize::MAX });
            }
            Story::Leaves => {
                world.shuts_down(owner, Shutdown::Leave, 60 * SECOND);
                let boot = world.machines[owner].boot;
                let back = world.in_step(START + 8 * SECOND, owner);
                world.queue.push(back, Happening::DaemonStarts { seat: owner, boot });
            }
            _ => {}
        }
        Ok(world)
    }
}

/// By then every searched layout has come up.
pub(crate) const START: Micros = 12 * SECOND;
/// Longer than T_out of the searched layouts.
pub(crate) const LONG: Micros = 16 * SECOND;
