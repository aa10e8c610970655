//! Lets a fault strike a world, and takes it back.

use super::fault::Fault;
use super::{Subject, pace};
use crate::agents::{Key, Mood};
use crate::clock::{MILLI, Micros, SECOND};
use crate::faults::Wish;
use crate::fence::Device;
use crate::network::Path;
use crate::queue::{Happening, Seat};
use crate::random::Random;
use crate::story::both;
use crate::world::World;
use crm_core::id::{GroupId, ResourceId};
use crm_core::operation::Action;
use crm_core::rules::Sound;

/// Lets a fault strike now. `number` names it for [`lift`]; `random` draws how long it lasts where
/// it ends by itself.
pub(super) fn strike(
    world: &mut World<Sound>,
    subject: &Subject,
    number: usize,
    fault: &Fault,
    random: &mut Random,
) {
    let words = fault.words(&world.cluster);
    world.trace.line(world.now, "*", "fault", format_args!("{words}"));
    match fault {
        Fault::Dies { node } => world.power_off(*node, "it dies"),
        Fault::Reboots { node } => {
            world.power_off(*node, "it reboots");
            let back = world.now + random.between(10 * SECOND, 60 * SECOND);
            world.queue.push(back, Happening::PowerOn { seat: *node });
        }
        Fault::Hangs { node } => {
            let until = world.now + while_it_lasts(subject, random);
            world.pauses(*node, until, false);
        }
        Fault::Paused { node } => {
            let until = world.now + while_it_lasts(subject, random);
            world.pauses(*node, until, true);
        }
        Fault::DaemonDies { node } => {
            let back = world.now + random.between(100 * MILLI, 2 * SECOND);
            world.daemon_crash(*node, back);
        }
        Fault::DaemonHangs { node } => {
            let until = world.now + while_it_lasts(subject, random);
            world.freezes(*node, until);
        }
        Fault::ClockJumps { node } => {
            let by = random.spread(200 * MILLI, 3600 * SECOND);
            world.machines[*node].clock.step(by);
            world.give(*node, crm_core::Input::Wake);
        }
        Fault::DiskFull { node } => world.machines[*node].disk.full = true,
        Fault::DiskSlow { node } => {
            world.machines[*node].disk.slowness = random.spread(100 * MILLI, 5 * SECOND);
        }
        Fault::DiskHangs { node } => world.machines[*node].disk.hangs = true,
        Fault::CutOneWay { from, to, link } => {
            world.network.cut(number, vec![Path { from: *from, to: *to, link: *link }]);
        }
        Fault::Cut { a, b, link } => world.network.cut(number, both(*a, *b, *link)),
        Fault::Isolated { node } => {
            let others = (0..world.machines.len()).filter(|other| other != node);
            let paths = others.flat_map(|other| both(*node, other, None)).collect();
            world.network.cut(number, paths);
        }
        Fault::LinkGone { link } => {
            let all = world.machines.len();
            let pairs = (0..all).flat_map(|a| (a + 1..all).map(move |b| (a, b)));
            let paths = pairs.flat_map(|(a, b)| both(a, b, Some(*link))).collect();
            world.network.cut(number, paths);
        }
        Fault::Blackout => {
            for seat in 0..world.machines.len() {
                world.power_off(seat, "no power");
            }
        }
        Fault::WitnessGone => {
            if let Some(seat) = world.machines.len().checked_sub(1) {
                world.power_off(seat, "it is gone");
            }
        }
        Fault::PingsFail => world.pings_fail = true,
        Fault::DeviceGone { node } => device(world, *node, Device::Loses),
        Fault::DeviceSlow { node } => device(world, *node, Device::Slow),
        Fault::DeviceUnreported { node } => device(world, *node, Device::Unreported),
        Fault::DeviceLies { node } => device(world, *node, Device::Lies),
        Fault::ResourceDies { group, resource } => dies(world, group, resource, random),
        Fault::StartFails { group, resource } => {
            let here = host(world, group).into_iter().collect::<Vec<_>>();
            trouble(world, &here, group, resource, fails(Action::Start));
            dies(world, group, resource, random);
        }
        Fault::StartHangs { group, resource } => {
            let here = host(world, group).into_iter().collect::<Vec<_>>();
            trouble(world, &here, group, resource, hangs(Action::Start));
            dies(world, group, resource, random);
        }
        Fault::StartsNowhere { group, resource } => {
            let all: Vec<Seat> = (0..world.machines.len()).collect();
            trouble(world, &all, group, resource, fails(Action::Start));
            dies(world, group, resource, random);
        }
        Fault::StopFails { group, resource } => {
            let here = host(world, group).into_iter().collect::<Vec<_>>();
            trouble(world, &here, group, resource, fails(Action::Stop));
            moves(world, group);
        }
        Fault::StopHangs { group, resource } => {
            let here = host(world, group).into_iter().collect::<Vec<_>>();
            trouble(world, &here, group, resource, hangs(Action::Stop));
            moves(world, group);
        }
    }
}

/// Takes every fault back, as people who repair things do: power, daemons, cables, devices.
pub(super) fn lift(world: &mut World<Sound>) {
    world.trace.line(world.now, "*", "repaired", format_args!("every fault is over"));
    for (at, datagram) in world.network.heal(world.now) {
        world.queue.push(at, Happening::Arrives(datagram));
    }
    world.devices.moods.clear();
    world.pings_fail = false;
    for seat in 0..world.machines.len() {
        world.disk_answers(seat);
        let machine = &mut world.machines[seat];
        machine.disk.slowness = 0;
        machine.disk.full = false;
        machine.agents.troubles.clear();
        let boot = machine.boot;
        let at = world.now + SECOND + seat as u64 * 300 * MILLI;
        world.queue.push(at, Happening::PowerOn { seat });
        world.queue.push(at, Happening::DaemonStarts { seat, boot });
    }
}

/// The operator's hand after the repair: forgets failures. False while there is nobody to talk to.
pub(super) fn clear(world: &mut World<Sound>) -> bool {
    (0..world.plan.layout.nodes.len()).any(|seat| world.wish(seat, Wish::Clear).is_some())
}

fn device(world: &mut World<Sound>, node: Seat, device: Device) {
    world.devices.moods.insert(node, device);
}

/// How long something stands still: hardly noticed, or beyond the longest failover.
fn while_it_lasts(subject: &Subject, random: &mut Random) -> Micros {
    if random.chance(500) {
        random.spread(200 * MILLI, subject.failover.max(SECOND))
    } else {
        random.between(subject.failover, subject.failover * 2 + 30 * SECOND)
    }
}

/// Where something of this group runs.
fn host(world: &World<Sound>, group: &GroupId) -> Option<Seat> {
    world.machines.iter().position(|machine| machine.powered && machine.agents.holds_group(group))
}

fn fails(only: Action) -> Mood {
    Mood { fail_per_mille: 1000, only: Some(only), ..Mood::default() }
}

fn hangs(only: Action) -> Mood {
    Mood { hang_per_mille: 1000, only: Some(only), ..Mood::default() }
}

fn trouble(
    world: &mut World<Sound>,
    seats: &[Seat],
    group: &GroupId,
    resource: &ResourceId,
    mood: Mood,
) {
    for seat in seats {
        let key = (group.clone(), resource.clone());
        world.machines[*seat].agents.troubles.push((key, mood.clone()));
    }
}

/// A resource dies where it runs. The kernel tells of some; the next look finds the others.
fn dies(world: &mut World<Sound>, group: &GroupId, resource: &ResourceId, random: &mut Random) {
    let key: Key = (group.clone(), resource.clone());
    let spec = world
        .cluster
        .group(group)
        .and_then(|group| group.resources.iter().find(|spec| &spec.id == resource).cloned());
    for seat in 0..world.machines.len() {
        let machine = &mut world.machines[seat];
        if !machine.agents.dies(&key) {
            continue;
        }
        world.ghost.resources_moved = true;
        let boot = machine.boot;
        if spec.as_ref().is_some_and(pace::is_told) {
            let at = world.now + random.between(MILLI, 50 * MILLI);
            let (group, resource) = key.clone();
            world.queue.push(at, Happening::Changed { seat, boot, group, resource });
        }
    }
}

/// An operator moves a group; where it cannot move it is restarted.
fn moves(world: &mut World<Sound>, group: &GroupId) {
    let Some(number) = world.cluster.groups.iter().position(|g| &g.id == group) else { return };
    let from = host(world, group);
    let others = (0..world.plan.layout.nodes.len()).filter(|seat| Some(*seat) != from);
    let to = others.clone().find(|seat| world.machines[*seat].daemon.is_some());
    let alone = world.cluster.groups[number].only_preferred
        && world.cluster.groups[number].prefer.len() < 2;
    let wish = match to {
        Some(_) if !alone => Wish::Migrate { group: number, to: None },
        _ => Wish::Restart { group: number },
    };
    for seat in from.into_iter().chain(others) {
        if world.wish(seat, wish).is_some() {
            return;
        }
    }
}
