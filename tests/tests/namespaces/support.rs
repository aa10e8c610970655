//! Configurations and waits that several tests share.

use crm_tests::namespaces::Laboratory;

/// The address that the web group serves.
pub(crate) const WEB: &str = "10.77.0.100";

/// A heartbeat section that is quick but stable on a busy machine.
pub(crate) const HEARTBEAT: &str =
    "heartbeat: {keepalive: 100ms, warntime: 400ms, deadtime: 1s, initdead: 5s}\n";

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
