//! `crm fence-drill`: proves a fencing device before it is needed. It asks; only `--cycle` acts.

use super::change::agreed;
use crate::draw;
use crate::output::{Failure, Output};
use crate::session::Session;
use crm_api::{DeviceCheck, Exit, Reply, Request};
use crm_core::id::NodeId;
use crm_core::operator::Command;
use crm_core::status::{NodeState, Status};

pub(super) fn run(
    session: &mut Session,
    node: &str,
    cycle: bool,
    yes: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let status = session.status()?;
    let target = NodeId::new(node);
    if cycle {
        may_be_cycled(&status, &target)?;
    }
    let checks = ask(session, &status, &target, false)?;
    output.text(&draw::devices::draw(&checks, output))?;
    if let Some(failed) = checks.iter().find(|check| check.problem.is_some()) {
        let problem = failed.problem.clone().unwrap_or_default();
        return Err(Failure::failed(format!(
            "device {} of node {node} cannot be used from here: {problem}",
            failed.level
        )));
    }
    let asked: Vec<&DeviceCheck> = checks.iter().filter(|check| check.checkable).collect();
    if asked.is_empty() {
        return Err(Failure::refused(
            format!("the device of node {node} cannot be asked without being told to power off"),
            "give the `command` a `check` beside it: exit 0 says on, 2 says off",
        ));
    }
    let heard = status.nodes.iter().any(|n| n.id == target && n.state == NodeState::Online);
    if heard && asked.iter().any(|check| check.on == Some(false)) {
        return Err(Failure::failed(format!(
            "a device says that node {node} is off, and it is heard: that device powers another machine"
        )));
    }
    if !cycle {
        return Ok(Exit::Done);
    }
    if !yes && !agreed(&format!("power node {node}, which runs nothing, off and on again?"))? {
        return Err(Failure::refused("not confirmed", "--yes answers the question beforehand"));
    }
    // Nothing may have moved there while the question stood.
    may_be_cycled(&session.status()?, &target)?;
    let said = session.change(Command::Fence { node: target.clone() })?;
    output.line(said)?;
    let checks = ask(session, &status, &target, true)?;
    if checks.iter().any(|check| check.on == Some(true) && check.problem.is_none()) {
        output.line(format!("node {node} is switched on; `crm online {node}` when it is back"))?;
        return Ok(Exit::Done);
    }
    output.text(&draw::devices::draw(&checks, output))?;
    Err(Failure::failed(format!("node {node} was proved off, and no device has switched it on")))
}

/// Only of a node from which nothing can be taken.
fn may_be_cycled(status: &Status, node: &NodeId) -> Result<(), Failure> {
    let Some(found) = status.nodes.iter().find(|found| found.id == *node) else {
        return Err(Failure::refused(format!("there is no node {node}"), "see `crm status`"));
    };
    if !found.standby {
        return Err(Failure::refused(
            format!("node {node} is not in standby, so groups may run there or come"),
            format!("`crm standby {node}` first"),
        ));
    }
    if let Some(group) = status.groups.iter().find(|group| group.owner.as_ref() == Some(node)) {
        return Err(Failure::refused(
            format!("group {} is not proved stopped on node {node}", group.id),
            "wait until `crm status` shows none there",
        ));
    }
    Ok(())
}

fn ask(
    session: &mut Session,
    status: &Status,
    node: &NodeId,
    on: bool,
) -> Result<Vec<DeviceCheck>, Failure> {
    let Reply::Devices(report) = session.ask(Request::FenceDrill { node: node.clone(), on })?
    else {
        return Err(Failure::failed("the daemon did not answer what its devices did"));
    };
    let checks: Vec<DeviceCheck> =
        report.devices.into_iter().filter(|check| check.node == *node).collect();
    if !checks.is_empty() {
        return Ok(checks);
    }
    if status.node.as_ref() == Some(node) {
        return Err(Failure::refused(
            format!("this is node {node}, and no node fences itself"),
            "ask on another node",
        ));
    }
    Err(Failure::refused(
        format!("node {node} has no fencing device"),
        "the nodes and their devices stand under `nodes` and `fencing` in the configuration",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::status::NodeStatus;

    #[test]
    fn only_a_standby_node_that_owns_nothing_is_cycled() {
        let node = |standby| NodeStatus {
            id: NodeId::new("beta"),
            state: NodeState::Online,
            voter: true,
            standby,
            leaving: false,
            silent_for: None,
            incarnation: None,
            obeyed: None,
            armed: None,
            fencing: None,
            links: Vec::new(),
        };
        let start = crm_core::Start {
            id: NodeId::new("alpha"),
            incarnation: crm_core::id::Incarnation(1),
            seed: 1,
            stored: crm_core::record::Stored::new(crm_core::id::StoreId(1)),
            parse: crm_config::parse_for_core,
            joining: true,
            watchdog_left_armed: false,
            first_since_boot: true,
        };
        let now = crm_core::time::Time(1);
        let mut status = crm_core::Node::<crm_core::rules::Sound>::new(now, start).status(now);
        status.nodes = vec![node(false)];
        let beta = NodeId::new("beta");
        assert!(may_be_cycled(&status, &beta).is_err());
        assert!(may_be_cycled(&status, &NodeId::new("nobody")).is_err());
        status.nodes = vec![node(true)];
        assert!(may_be_cycled(&status, &beta).is_ok());
    }
}
