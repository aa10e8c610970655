//! What runs on the three nodes.

use crate::Plan;
use crm_tests::namespaces::{Laboratory, Options};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(crate) const NODES: [&str; 3] = ["alpha", "beta", "gamma"];
/// The one whose allocator keeps nothing aside for each thread: what its daemon says to be in use is in use. The others' do
/// as they do everywhere, and fill those caches for an hour.
pub(crate) const UNCACHED: &str = "gamma";
const NO_CACHES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");
pub(crate) const LINKS: u8 = 2;

/// A group: name, the nodes that it prefers, its address. Each mounts, has an address, and serves.
pub(crate) const GROUPS: [(&str, &str, &str); 3] = [
    ("web", "alpha, beta, gamma", "10.77.0.100"),
    ("mail", "beta, gamma, alpha", "10.77.0.101"),
    ("tape", "gamma, alpha, beta", "10.77.0.102"),
];

/// An address that is where `web` is.
pub(crate) const FRONT: &str = "10.77.0.103";

/// An agent that does as the file named like the node's mood says: fails or hangs in one action.
const MOODY: &str = r#"#!/bin/sh
state="$CRM_STATE_DIR/moody-$CRM_GROUP"
mood=
[ "$1" = meta-data ] || read -r mood 2>/dev/null <"${0%/agents/moody}/mood"
case "$mood" in
"$1-fails") echo "reason as it was told to" >&3; exit 1 ;;
"$1-hangs") exec sleep 300 ;;
esac
case "$1" in
meta-data)
    echo '{"name": "moody", "version": "1.0", "short_description": "Fails when told to", "stateless": true,
        "parameters": [], "actions": [{"name": "start"}, {"name": "stop"}, {"name": "status"},
        {"name": "validate"}, {"name": "meta-data"}]}' ;;
validate) ;;
start) : >"$state" ;;
stop) rm -f "$state" ;;
status) [ -e "$state" ] || exit 7 ;;
*) exit 3 ;;
esac
"#;

/// The laboratory with a founded cluster, and every deadline above what a busy machine delays.
pub(crate) fn build(plan: &Plan, programs: &Path) -> Laboratory {
    let mut options = Options::new(&NODES, LINKS);
    options.program = Some(programs.join("crm"));
    let mut lab = Laboratory::new(options);
    lab.node_mut(UNCACHED).daemon_environment.push(NO_CACHES);
    for node in lab.nodes.values() {
        let path = node.disk.join("agents/moody");
        std::fs::write(&path, MOODY).expect("the agent");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    let _ = plan;
    lab
}

/// The configuration, in one of several lawful variants that differ in what an operator may tune.
pub(crate) fn configuration(
    lab: &Laboratory,
    plan: &Plan,
    programs: &Path,
    variant: u64,
) -> String {
    let heartbeat = if plan.short {
        "heartbeat: {keepalive: 250ms, warntime: 1500ms, deadtime: 3s, initdead: 8s}\n"
    } else {
        "heartbeat: {keepalive: 500ms, warntime: 2500ms, deadtime: 5s, initdead: 15s}\n"
    };
    let web = programs.join("lab-web").display().to_string();
    let mut text = format!(
        "cluster: soak\n{}{heartbeat}{}groups:\n",
        lab.nodes_yaml(),
        lab.fencing_yaml("6s", "1s")
    );
    for (name, prefer, address) in GROUPS {
        let moody = if name == "tape" {
            "      - moody: {timeouts: {start: 3s, stop: 3s, status: 3s}, interval: 2s}\n"
        } else {
            ""
        };
        let restarts = 3 + variant % 3;
        text.push_str(&format!(
            "  {name}:\n    prefer: [{prefer}]\n    restarts: {restarts}\n    resources:\n\
             \x20     - filesystem: {{device: none, at: /run/lock/{name}, type: tmpfs}}\n\
             {moody}\
             \x20     - vip: {address}/24\n\
             \x20     - process: {{command: \"{web} {address}:80\", ready_tcp: \"{address}:80\"}}\n"
        ));
    }
    text.push_str(&format!(
        "  front:\n    runs_with: [web]\n    starts_after: [web]\n    resources:\n      - vip: {FRONT}/24\n"
    ));
    text
}
