//! Every single fault that one configuration can meet.

use super::Subject;
use super::fault::Fault;
use crm_core::model::Fencing;

/// All of them, in the order in which a report shows them.
#[must_use]
pub fn single(subject: &Subject) -> Vec<Fault> {
    let cluster = &subject.cluster;
    let nodes = cluster.nodes.len();
    let mut faults = Vec::new();
    type OfNode = fn(usize) -> Fault;
    let of_each: [OfNode; 10] = [
        |node| Fault::Dies { node },
        |node| Fault::Reboots { node },
        |node| Fault::Hangs { node },
        |node| Fault::Paused { node },
        |node| Fault::DaemonDies { node },
        |node| Fault::DaemonHangs { node },
        |node| Fault::ClockJumps { node },
        |node| Fault::DiskFull { node },
        |node| Fault::DiskSlow { node },
        |node| Fault::DiskHangs { node },
    ];
    for of_node in of_each {
        faults.extend((0..nodes).map(of_node));
    }
    if nodes > 1 {
        faults.push(Fault::Blackout);
        cuts(subject, &mut faults);
    }
    if subject.layout.witness {
        faults.push(Fault::WitnessGone);
    }
    if cluster.tiebreak_ping.is_some() {
        faults.push(Fault::PingsFail);
    }
    if let Fencing::Devices { devices, .. } = &cluster.fencing {
        let have = |node: &usize| devices.contains_key(&cluster.nodes[*node].id);
        let of_each: [OfNode; 4] = [
            |node| Fault::DeviceGone { node },
            |node| Fault::DeviceSlow { node },
            |node| Fault::DeviceUnreported { node },
            |node| Fault::DeviceLies { node },
        ];
        for of_node in of_each {
            faults.extend((0..nodes).filter(have).map(of_node));
        }
    }
    for group in cluster.groups.iter().filter(|group| group.follow.is_none()) {
        for resource in &group.resources {
            let (group, resource) = (|| group.id.clone(), || resource.id.clone());
            faults.extend([
                Fault::ResourceDies { group: group(), resource: resource() },
                Fault::StartFails { group: group(), resource: resource() },
                Fault::StartHangs { group: group(), resource: resource() },
                Fault::StartsNowhere { group: group(), resource: resource() },
                Fault::StopFails { group: group(), resource: resource() },
                Fault::StopHangs { group: group(), resource: resource() },
            ]);
        }
    }
    faults
}

fn cuts(subject: &Subject, faults: &mut Vec<Fault>) {
    let nodes = &subject.cluster.nodes;
    let links = nodes.first().map_or(1, |node| node.links.len()).max(1);
    // With one link, that one and all of them are the same.
    let each = if links > 1 { links as u8 } else { 0 };
    let choices: Vec<Option<u8>> = (0..each).map(Some).chain([None]).collect();
    for a in 0..nodes.len() {
        for b in a + 1..nodes.len() {
            for &link in &choices {
                faults.push(Fault::Cut { a, b, link });
                faults.push(Fault::CutOneWay { from: a, to: b, link });
                faults.push(Fault::CutOneWay { from: b, to: a, link });
            }
        }
    }
    if nodes.len() > 2 || subject.layout.witness {
        faults.extend((0..nodes.len()).map(|node| Fault::Isolated { node }));
        faults.extend((0..each).map(|link| Fault::LinkGone { link }));
    }
}
