//! What the measurements share: configurations, servers, and waiting until all is well.

use crm_core::status::NodeState;
use crm_tests::namespaces::{Laboratory, Options};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

pub(crate) const ADDRESS: &str = "10.77.0.100";
/// Where every node's own server listens, whoever has the address.
pub(crate) const PORT: u16 = 7000;
/// Where the server listens that the group itself runs.
pub(crate) const SERVICE_PORT: u16 = 7001;

/// The times of a heartbeat section, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    pub(crate) deadtime: u64,
    pub(crate) keepalive: u64,
}

pub(crate) const SLOW: Beat = Beat { deadtime: 1000, keepalive: 200 };
pub(crate) const FAST: Beat = Beat { deadtime: 300, keepalive: 50 };

/// A laboratory whose daemons write down when they wait for what.
pub(crate) fn laboratory(nodes: &[&str]) -> Laboratory {
    let filter = "info,netlink_proto=error,crm_timing=debug";
    Laboratory::new(Options { log_filter: Some(filter.to_owned()), ..Options::new(nodes, 1) })
}

pub(crate) fn configuration(lab: &Laboratory, beat: Beat, delay: &str, groups: &str) -> String {
    let Beat { deadtime, keepalive } = beat;
    format!(
        "cluster: bench\n{}heartbeat: {{keepalive: {keepalive}ms, warntime: {}ms, deadtime: {deadtime}ms, \
         initdead: 5s, rejoin_after: 500ms}}\n{}groups:\n{groups}",
        lab.nodes_yaml(),
        deadtime * 3 / 4,
        lab.fencing_yaml("200ms", delay),
    )
}

/// An address and a service: what most groups are.
pub(crate) fn web_group(name: &str, prefer: &str) -> String {
    format!(
        "  {name}:\n    prefer: [{prefer}]\n    resources:\n\
         \x20     - vip: {ADDRESS}/24\n\
         \x20     - process: {{command: \"{} 0.0.0.0:{SERVICE_PORT}\", ready_tcp: \"127.0.0.1:{SERVICE_PORT}\"}}\n",
        server().display()
    )
}

/// The small server that answers with the name of its node.
pub(crate) fn server() -> PathBuf {
    std::env::current_exe().expect("the bench's own path").with_file_name("lab-web")
}

/// A server on a node that crm knows nothing of: it answers where the address is.
pub(crate) fn serve(lab: &Laboratory, node: &str) -> Server {
    // It is a part of the instrument, as the clients are: it must not wait for a processor.
    let mut command = lab.node(node).command("chrt");
    command.args(["--rr", "3"]).arg(server()).arg(format!("0.0.0.0:{PORT}"));
    Server(command.spawn().expect("chrt (util-linux) and lab-web"))
}

/// Ends with its owner, at the latest with its node.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every node is online, and the group runs; answers its owner.
pub(crate) fn wait_until_well(lab: &Laboratory, group: &str) -> String {
    let mut owner = String::new();
    lab.wait("every node is online and the group runs", Duration::from_secs(40), |lab| {
        let Some(status) = lab.view() else { return false };
        // A group may run before its node votes again.
        let online = status.nodes.iter().all(|node| {
            node.state == NodeState::Online && node.voter && node.obeyed == Some(status.stamp)
        });
        match lab.place(group) {
            Some((on, true)) if online => owner = on,
            _ => return false,
        }
        true
    });
    owner
}
