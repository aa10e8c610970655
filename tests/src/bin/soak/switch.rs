//! Faults of the network, as rules of the switch between the nodes: they outlive a node's reboot.

use crm_tests::namespaces::Laboratory;
use std::io::Write;
use std::process::Stdio;

/// What the switch does to frames from one port to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// From one node to another on one link; the way back is another rule.
    Cut { link: u8, from: String, to: String },
    /// Per cent of everything that a node sends on one link.
    Loss { link: u8, from: String, per_cent: u64 },
}

impl Rule {
    fn text(&self) -> String {
        match self {
            Rule::Cut { link, from, to } => {
                format!("iifname p{link}{from} oifname p{link}{to} drop")
            }
            Rule::Loss { link, from, per_cent } => {
                format!("iifname p{link}{from} numgen random mod 100 < {per_cent} drop")
            }
        }
    }
}

/// Puts these rules, and no others, into force.
pub(crate) fn set(lab: &Laboratory, rules: &[Rule]) -> Result<(), String> {
    let mut text = String::from(
        "add table bridge soak\nadd chain bridge soak between { type filter hook forward priority 0; }\n\
         flush chain bridge soak between\n",
    );
    for rule in rules {
        text.push_str(&format!("add rule bridge soak between {}\n", rule.text()));
    }
    let say = |error: std::io::Error| format!("nft in the switch: {error}");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut nft = lab
        .switch("nft")
        .args(["-f", "-"])
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(say)?;
    if let Some(mut input) = nft.stdin.take() {
        input.write_all(text.as_bytes()).map_err(say)?;
    }
    let done = nft.wait_with_output().map_err(say)?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("nft in the switch: {}", String::from_utf8_lossy(&done.stderr)))
}

/// Pulls or plugs a node's cable. A node that is down has no port: then nothing happens.
pub(crate) fn cable(lab: &Laboratory, node: &str, link: u8, plugged: bool) {
    let state = if plugged { "up" } else { "down" };
    let port = format!("p{link}{node}");
    let _ = lab.switch("ip").args(["link", "set", &port, state]).stderr(Stdio::null()).status();
}
