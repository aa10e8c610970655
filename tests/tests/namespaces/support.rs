//! Configurations and waits that several tests share.

use crm_core::status::{NodeState, Status};
use crm_tests::namespaces::Laboratory;
use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

pub(crate) const TWO: &[&str] = &["alpha", "beta"];
pub(crate) const THREE: &[&str] = &["alpha", "beta", "gamma"];

/// The address that the web group serves.
pub(crate) const WEB: &str = "10.77.0.100";

/// A heartbeat section that is quick but stable on a busy machine.
pub(crate) const HEARTBEAT: &str =
    "heartbeat: {keepalive: 100ms, warntime: 400ms, deadtime: 1s, initdead: 5s}\n";

/// Heartbeats in which whatever was to happen would have: two seconds.
pub(crate) const A_WHILE: u64 = 20;

/// Says a figure that was measured, also when the test passes: the runner keeps what is printed by
/// the macros to itself.
pub(crate) fn say(figure: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "    {figure}");
}

/// A group with a mount, a process and an address.
pub(crate) fn web_group(name: &str, prefer: &str, address: &str, port: u16) -> String {
    let web = env!("CARGO_BIN_EXE_lab-web");
    format!(
        "  {name}:\n    prefer: [{prefer}]\n    resources:\n\
         \x20     - filesystem: {{device: none, at: /run/lock/{name}, type: tmpfs}}\n\
         \x20     - vip: {address}/24\n\
         \x20     - process: {{command: \"{web} {address}:{port}\", ready_tcp: \"{address}:{port}\"}}\n"
    )
}

/// A whole configuration with the laboratory's power switch.
pub(crate) fn with_device(lab: &Laboratory, groups: &str) -> String {
    format!(
        "cluster: lab\n{}{HEARTBEAT}{}groups:\n{groups}",
        lab.nodes_yaml(),
        lab.fencing_yaml("5s", "300ms"),
    )
}

/// A whole configuration in which nothing proves a silent node dead.
pub(crate) fn without_device(lab: &Laboratory, groups: &str) -> String {
    format!("cluster: lab\n{}{HEARTBEAT}fencing: none\ngroups:\n{groups}", lab.nodes_yaml())
}

/// An address and a server that holds no data. A frozen node's kernel still answers for its address, so
/// the one that takes it over must not ask whether anybody does (`dad: false`).
pub(crate) fn stateless_group(name: &str, prefer: &str, address: &str) -> String {
    let web = env!("CARGO_BIN_EXE_lab-web");
    format!(
        "  {name}:\n    prefer: [{prefer}]\n    resources:\n\
         \x20     - vip: {{address: {address}/24, dad: false}}\n\
         \x20     - process: {{command: \"{web} {address}:80\", ready_tcp: \"{address}:80\", stateless: true}}\n"
    )
}

/// Brings a node back that was ended, and waits until it votes and may run groups again.
pub(crate) fn bring_back(lab: &mut Laboratory, name: &str) {
    lab.power_on(name);
    lab.node_mut(name).start_daemon(&[]);
    wait_whole(lab);
}

/// Waits until every node is online, votes, and obeys one record.
pub(crate) fn wait_whole(lab: &Laboratory) {
    lab.wait("every node votes and obeys", Duration::from_secs(60), |lab| {
        lab.view().is_some_and(|status| {
            status.nodes.iter().all(|node| {
                node.voter && node.state == NodeState::Online && node.obeyed == Some(status.stamp)
            })
        })
    });
}

/// A configuration for a test that restarts daemons within the deadtime: on a busy machine a start takes a while.
pub(crate) fn patient(config: &str) -> String {
    config.replace("deadtime: 1s", "deadtime: 4s").replace("initdead: 5s", "initdead: 12s")
}

/// Waits until no record is on its way any more: one that is asked for now is committed behind all of them. What is
/// kept of `decisions` afterwards changes by what happens then.
pub(crate) fn rest(lab: &Laboratory) {
    lab.node("alpha").crm(&["clear"]);
    lab.beats("alpha", 3);
    wait_whole(lab);
}

/// Everything the cluster has decided. A fault that moves nothing leaves it as it is.
pub(crate) fn decisions(status: &Status) -> String {
    let nodes: Vec<_> =
        status.nodes.iter().map(|n| (&n.id, n.state, n.voter, n.incarnation)).collect();
    let groups: Vec<_> = status.groups.iter().map(|g| (&g.id, &g.owner, g.phase)).collect();
    let record = (status.epoch, status.stamp, status.obeyed, &status.coordinator);
    format!("{record:?} {nodes:?} {groups:?}")
}

/// Processes of a node with exactly this name, by number, as it sees them.
pub(crate) fn pids(lab: &Laboratory, node: &str, program: &str) -> Vec<String> {
    let found = lab.node(node).run("pgrep", &["-x", program]).stdout;
    found.lines().map(|line| line.trim().to_owned()).collect()
}
