//! Bridges and the cables to them.

use crate::Keeper;
use std::io;
use std::process::Command;

/// Runs `ip` with these words in the network of `keeper`, or in the own one.
///
/// # Errors
/// What `ip` said.
pub fn ip(keeper: Option<&Keeper>, words: &str) -> io::Result<()> {
    let mut command = keeper.map_or_else(|| Command::new("ip"), |keeper| keeper.on_network("ip"));
    let done = command.args(words.split_whitespace()).output()?;
    if done.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&done.stderr);
    Err(io::Error::other(format!("ip {words}: {}", error.trim())))
}

/// A bridge that is up.
///
/// # Errors
/// What `ip` said.
pub fn make_bridge(keeper: Option<&Keeper>, bridge: &str) -> io::Result<()> {
    ip(keeper, &format!("link add {bridge} type bridge"))?;
    ip(keeper, &format!("link set {bridge} up"))
}

/// A cable from `port` of the bridge to `interface` of a node, with an address there.
///
/// # Errors
/// What `ip` said.
pub fn add_port(
    switch: Option<&Keeper>,
    bridge: &str,
    port: &str,
    node: &Keeper,
    interface: &str,
    address: &str,
) -> io::Result<()> {
    // What a killed node leaves may take the kernel a moment to remove.
    let _ = ip(switch, &format!("link del {port}"));
    let pid = node.pid;
    ip(switch, &format!("link add {port} type veth peer name {interface} netns {pid}"))?;
    ip(switch, &format!("link set {port} master {bridge} up"))?;
    ip(Some(node), &format!("addr add {address} dev {interface}"))?;
    ip(Some(node), &format!("link set {interface} up"))
}
