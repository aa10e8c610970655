//! A service with roles that somebody else manages: which machine is its primary, in truth, and what
//! each daemon has been told (I7).

use crate::clock::{MILLI, Micros, SECOND};
use crate::queue::{Happening, Seat};
use crate::world::World;
use crm_core::Input;
use crm_core::id::ServiceId;
use crm_core::model::Group;
use crm_core::packet::RoleReport;
use crm_core::rules::Rules;
use std::collections::BTreeMap;

/// The one service of a layout with roles.
pub const SERVICE: &str = "pg";
const PRIMARY: &str = "primary";
const STANDBY: &str = "standby";
/// Between two looks of the one who manages the roles.
const TURN: Micros = 500 * MILLI;
/// How long a primary is down before another one is promoted.
const PROMOTES_AFTER: Micros = 2 * SECOND;

#[derive(Clone, Debug, Default)]
pub struct Roles {
    primary: Option<Seat>,
    /// Since when the primary is without power.
    down_since: Option<Micros>,
    /// What each run of a daemon was told last, by seat.
    told: BTreeMap<Seat, (u32, &'static str)>,
}

impl Roles {
    /// The role that this machine really holds.
    #[must_use]
    pub fn of(&self, seat: Seat) -> &'static str {
        if self.primary == Some(seat) { PRIMARY } else { STANDBY }
    }
}

impl<R: Rules> World<R> {
    /// Promotes another one for a primary that is gone, now and then switches over, and tells the
    /// daemons.
    pub(crate) fn roles_turn(&mut self) {
        self.queue.push(self.now + TURN, Happening::RolesTurn);
        let nodes = self.plan.layout.nodes.len();
        let powered: Vec<Seat> = (0..nodes).filter(|seat| self.machines[*seat].powered).collect();
        let alive = self.roles.primary.is_some_and(|seat| powered.contains(&seat));
        let down = if alive { None } else { Some(self.roles.down_since.unwrap_or(self.now)) };
        self.roles.down_since = down;
        let switches = alive && !self.healed && self.random.power.below(40) == 0;
        let promotes = down.is_some_and(|since| self.now >= since + PROMOTES_AFTER);
        if switches || promotes || self.roles.primary.is_none() {
            let others = powered.iter().copied().filter(|seat| Some(*seat) != self.roles.primary);
            if let Some(seat) = others.min_by_key(|seat| (seat + nodes - 1) % nodes) {
                self.roles.primary = Some(seat);
                self.roles.down_since = None;
                let id = self.machines[seat].id.clone();
                self.trace.line(self.now, id.as_str(), "role", format_args!("{SERVICE} {PRIMARY}"));
            }
        }
        for seat in powered {
            let machine = &self.machines[seat];
            let (run, role) = (machine.run, self.roles.of(seat));
            if machine.daemon.is_none() || machine.frozen_until.is_some() {
                continue;
            }
            if self.roles.told.insert(seat, (run, role)) != Some((run, role)) {
                let report =
                    RoleReport { role: Some(role.to_owned()), attributes: BTreeMap::new() };
                self.give(seat, Input::RoleSeen { service: ServiceId::new(SERVICE), report });
            }
        }
    }

    /// What this run of the daemon believes of its own role.
    #[must_use]
    pub(crate) fn told_role(&self, seat: Seat) -> Option<&'static str> {
        let (run, role) = self.roles.told.get(&seat)?;
        (*run == self.machines[seat].run).then_some(*role)
    }

    /// Whether a group that follows a role may be on this machine, by the truth.
    #[must_use]
    pub(crate) fn role_fits(&self, group: &Group, seat: Seat) -> bool {
        let Some(follow) = &group.follow else { return true };
        let nodes = self.plan.layout.nodes.len();
        let role = self.roles.of(seat);
        let held = (0..nodes).any(|other| {
            self.machines[other].daemon.is_some() && self.roles.of(other) == follow.role
        });
        role == follow.role || (!held && follow.otherwise.as_deref() == Some(role))
    }
}
