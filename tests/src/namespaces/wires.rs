//! Faults of the network between nodes, as rules of the switch: they outlive a node's reboot, and leave
//! every cable plugged.

use super::laboratory::Laboratory;
use std::io::Write;
use std::process::Stdio;

/// What the switch does to frames from one node to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// From one node to another on one link; the way back is another rule.
    Cut { link: u8, from: String, to: String },
    /// Per cent of everything that a node sends on one link.
    Loss { link: u8, from: String, per_cent: u64 },
}

impl Rule {
    /// Both ways between two nodes, on all of the links.
    #[must_use]
    pub fn between(one: &str, other: &str, links: u8) -> Vec<Rule> {
        let cut = |link, from: &str, to: &str| Rule::Cut { link, from: from.into(), to: to.into() };
        (0..links).flat_map(|link| [cut(link, one, other), cut(link, other, one)]).collect()
    }

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

impl Laboratory {
    /// Puts these rules, and no others, into force, all at one instant.
    ///
    /// # Panics
    /// If the switch does not take them.
    pub fn set_rules(&self, rules: &[Rule]) {
        let mut text = String::from(
            "add table bridge wires\n\
             add chain bridge wires between { type filter hook forward priority 0; }\n\
             flush chain bridge wires between\n",
        );
        for rule in rules {
            text.push_str(&format!("add rule bridge wires between {}\n", rule.text()));
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut nft = self
            .switch("nft")
            .args(["-f", "-"])
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nft (nftables)");
        let mut input = nft.stdin.take().expect("its input");
        input.write_all(text.as_bytes()).expect("nft reads");
        drop(input);
        let done = nft.wait_with_output().expect("nft ends");
        assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Pulls or plugs the cable of a node that may be down: then it has none, and nothing happens.
    pub fn try_cable(&self, node: &str, link: u8, plugged: bool) {
        let state = if plugged { "up" } else { "down" };
        let port = format!("p{link}{node}");
        let _ =
            self.switch("ip").args(["link", "set", &port, state]).stderr(Stdio::null()).status();
    }
}
