//! Looks from outside at who holds what, many times a second, and at what clients are answered. It knows nothing of the
//! product: only namespaces, addresses, mounts, processes, ARP and HTTP.
//!
//! Reads lines, writes one JSON object a line, ends with its input:
//!
//!     client PID                                    whose network asks (before the services)
//!     service NAME ADDRESS PORT MOUNT [follows NAME]  what only one node may hold, `-`: no port, no mount
//!     node NAME PID                                 first process of a node that is up
//!     report                                        counts since the last report
//!
//! A violation is written when it is seen.

mod arp;
mod ask;
mod look;
mod netlink;
mod verdict;

use look::Node;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};
use verdict::{Service, Verdict};

/// Between two looks when no kernel tells of a change.
const PERIOD: u16 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    Outside::default().run(&lines)
}

#[derive(Default)]
struct Outside {
    client: i32,
    services: Vec<Service>,
    asked: Vec<(String, ask::Asked, arp::Asked)>,
    nodes: Vec<Node>,
    verdict: Verdict,
    looks: u64,
    longest: Duration,
    reported: Option<Instant>,
}

impl Outside {
    fn run(&mut self, lines: &Receiver<String>) -> Result<(), Box<dyn std::error::Error>> {
        let mut last = Instant::now();
        loop {
            loop {
                match lines.try_recv() {
                    Ok(line) => self.order(&line)?,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
            self.nodes.retain(Node::is_alive);
            let mut sockets: Vec<PollFd> = self
                .nodes
                .iter()
                .map(|node| PollFd::new(node.events(), PollFlags::POLLIN))
                .collect();
            poll(&mut sockets, PollTimeout::from(PERIOD))?;
            drop(sockets);
            self.nodes.iter().for_each(Node::forget_events);
            for violation in self.verdict.look(&self.nodes, &self.services) {
                say(&violation)?;
            }
            for (service, _, arp) in &self.asked {
                for owners in arp.doubles() {
                    say(&json!({"violation": "I1", "service": service, "arp": owners}))?;
                }
            }
            self.looks += 1;
            self.longest = self.longest.max(last.elapsed());
            last = Instant::now();
        }
    }

    fn order(&mut self, line: &str) -> Result<(), Box<dyn std::error::Error>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["client", pid] => self.client = pid.parse()?,
            ["service", name, address, port, mount, rest @ ..] => {
                let some = |word: &str| (word != "-").then(|| word.to_owned());
                let service = Service {
                    name: (*name).to_owned(),
                    address: address.parse()?,
                    mount: some(mount),
                    server: some(port).map(|port| format!("{address}:{port}")),
                    follows: rest.get(1).map(ToString::to_string),
                };
                let http = match &service.server {
                    Some(server) => Some(server.parse()?),
                    None => None,
                };
                let arp = arp::Asked::start(self.client, service.address)?;
                self.asked.push((service.name.clone(), ask::Asked::start(self.client, http), arp));
                self.services.push(service);
                say(&json!({"service": name}))?;
            }
            ["node", name, pid] => {
                self.nodes.retain(|node| node.name != *name);
                let pid = pid.parse()?;
                match Node::enter(name, pid) {
                    Ok(node) => self.nodes.push(node),
                    // It may be dead again, by a request to its device that was late.
                    Err(error) if !look::is_alive(pid) => eprintln!("{name}: {error}"),
                    Err(error) => return Err(error.into()),
                }
                say(&json!({"node": name}))?;
            }
            ["report"] => self.report()?,
            _ => {
                return Err(
                    format!("expected client, service, node or report, found: {line}").into()
                );
            }
        }
        Ok(())
    }

    fn report(&mut self) -> std::io::Result<()> {
        let now = Instant::now();
        let since = self.reported.replace(now).unwrap_or(now);
        let answers: serde_json::Map<String, Value> = self
            .asked
            .iter()
            .map(|(service, http, arp)| {
                let (asked, answered) = http.take();
                let (arp_asked, arp_answered) = arp.take();
                let counts = json!({"asked": asked, "answered": answered, "arp_asked": arp_asked,
                    "arp_answered": arp_answered});
                (service.clone(), counts)
            })
            .collect();
        let longest = u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX);
        say(
            &json!({"seconds": (now - since).as_secs_f64(), "looks": self.looks, "longest_ms": longest,
            "changes": self.verdict.take_changes(), "suspicions": self.verdict.take_suspicions(),
            "nodes": self.nodes.len(), "answers": answers}),
        )?;
        (self.looks, self.longest) = (0, Duration::ZERO);
        Ok(())
    }
}

fn say(value: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}
