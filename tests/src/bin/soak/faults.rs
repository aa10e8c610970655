//! Faults: which there are, how each begins and ends.

use crate::chance::Chance;
use crate::host::{self, Process};
use crate::scene::{LINKS, NODES};
use crm_tests::namespaces::{FenceMode, Laboratory, Rule};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A fault that lasts.
enum Fault {
    Network(Vec<Rule>),
    Cable { node: String, link: u8 },
    Halted(Process),
    Frozen(String),
    Device,
    Mood(String),
}

/// What is broken now, and how often each kind was.
#[derive(Default)]
pub(crate) struct Faults {
    active: Vec<(Instant, Fault)>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

/// Faults after which every daemon lives on.
const MILD: [&str; 9] = [
    "link cut one way",
    "link cut both ways",
    "cable pulled",
    "weather",
    "machine frozen shortly",
    "daemon stopped shortly",
    "agent fails",
    "agent hangs",
    "server killed",
];

/// Faults that a machine or its daemon may not survive.
const DEADLY: [&str; 9] = [
    "node cut off",
    "node deaf",
    "node mute",
    "pair cut",
    "machine frozen",
    "daemon stopped",
    "daemon killed",
    "machine died",
    "stop hangs",
];

/// How the device behaves meanwhile.
const DEVICE: [&str; 4] = ["device slow", "device fails", "device lost", "device unreported"];

impl Faults {
    /// Begins one of any kind: a deadly one only for `victim` (`spares`: and nobody else), the others on
    /// `link` only, so that together they never cut anybody off.
    pub(crate) fn begin(
        &mut self,
        lab: &Laboratory,
        chance: &mut Chance,
        victim: Option<&str>,
        spares: bool,
        link: u8,
        deadtime: Duration,
    ) -> Result<String, String> {
        let deadtime = u64::try_from(deadtime.as_millis()).unwrap_or(u64::MAX);
        let kind = match (victim, chance.between(0, 9)) {
            (Some(_), 0..=3) => {
                let kind = *chance.pick(&DEADLY);
                // Of a cut pair either may be shot: the one that the others do not side with.
                if kind == "pair cut" && spares { "node cut off" } else { kind }
            }
            (Some(_), 4) => *chance.pick(&DEVICE),
            _ => *chance.pick(&MILD),
        };
        *self.counts.entry(kind).or_default() += 1;
        let any = *chance.pick(&NODES);
        let others: Vec<&str> = NODES.into_iter().filter(|node| *node != any).collect();
        let other = *chance.pick(&others);
        let target = victim.unwrap_or(any);
        let mut lasts = chance.milliseconds(500, 12_000);
        let long = chance.milliseconds(deadtime + 500, deadtime + 6000);
        let short = chance.milliseconds(50, deadtime / 3);
        let per_cent = chance.between(3, 40);
        let mood = *chance.pick(&["start", "status"]);
        let on = if MILD.contains(&kind) { any } else { target };
        let server = host::named(lab.try_process_of(on).unwrap_or(0), "lab-web");
        let daemon = host::named(lab.try_process_of(on).unwrap_or(0), "crmd").into_iter().next();
        let fault = match kind {
            "link cut one way" => Some(Fault::Network(one_way(&[link], any, other))),
            "link cut both ways" => Some(Fault::Network(
                [one_way(&[link], any, other), one_way(&[link], other, any)].concat(),
            )),
            "cable pulled" => {
                lab.try_cable(any, link, false);
                Some(Fault::Cable { node: any.to_owned(), link })
            }
            "weather" => {
                let loss = |link| Rule::Loss { link, from: any.to_owned(), per_cent };
                Some(Fault::Network((0..LINKS).map(loss).collect()))
            }
            "machine frozen shortly" | "machine frozen" if lab.try_process_of(on).is_some() => {
                lasts = if kind == "machine frozen" { long } else { short };
                lab.freeze(on, true);
                Some(Fault::Frozen(on.to_owned()))
            }
            "daemon stopped shortly" | "daemon stopped" => {
                lasts = if kind == "daemon stopped" { long } else { short };
                daemon.inspect(|daemon| daemon.signal(Signal::SIGSTOP)).map(Fault::Halted)
            }
            "daemon killed" => {
                daemon.inspect(|daemon| daemon.signal(Signal::SIGKILL));
                None
            }
            "server killed" => {
                server.first().inspect(|server| server.signal(Signal::SIGKILL));
                None
            }
            "machine died" => {
                lab.power_off(on);
                None
            }
            "agent fails" => Some(feel(lab, on, &format!("{mood}-fails"))?),
            "agent hangs" => Some(feel(lab, on, &format!("{mood}-hangs"))?),
            "stop hangs" => Some(feel(lab, on, "stop-hangs")?),
            "node cut off" | "node deaf" | "node mute" | "pair cut" => {
                let peers: Vec<&str> = NODES.into_iter().filter(|node| *node != on).collect();
                let peers = if kind == "pair cut" { vec![*chance.pick(&peers)] } else { peers };
                let links: Vec<u8> = (0..LINKS).collect();
                let mut rules = Vec::new();
                for peer in peers {
                    if kind != "node mute" {
                        rules.extend(one_way(&links, peer, on));
                    }
                    if kind != "node deaf" {
                        rules.extend(one_way(&links, on, peer));
                    }
                }
                Some(Fault::Network(rules))
            }
            "device slow" | "device fails" | "device lost" | "device unreported" => {
                lab.set_fencing(match kind {
                    "device slow" => FenceMode::Slow(chance.milliseconds(500, 8000)),
                    "device fails" => FenceMode::Fails,
                    "device lost" => FenceMode::Lost,
                    _ => FenceMode::Unreported,
                });
                Some(Fault::Device)
            }
            _ => None,
        };
        let said = format!("{kind}: {on}, {} ms", lasts.as_millis());
        self.active.extend(fault.map(|fault| (Instant::now() + lasts, fault)));
        self.cut(lab);
        Ok(said)
    }

    /// Ends those whose time has come, or all.
    pub(crate) fn end(&mut self, lab: &Laboratory, all: bool) {
        let now = Instant::now();
        let (over, rest) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|(until, _)| all || *until <= now);
        self.active = rest;
        let over: Vec<(Instant, Fault)> = over;
        for (_, fault) in &over {
            match fault {
                Fault::Network(_) => {}
                Fault::Cable { node, link } => lab.try_cable(node, *link, true),
                Fault::Halted(process) => process.resume(),
                Fault::Frozen(node) => lab.freeze(node, false),
                Fault::Device => lab.set_fencing(FenceMode::Works),
                Fault::Mood(node) => {
                    let _ = std::fs::remove_file(lab.node(node).disk.join("mood"));
                }
            }
        }
        if !over.is_empty() {
            self.cut(lab);
        }
    }

    /// Whether its commands would be answered by nobody.
    pub(crate) fn is_frozen(&self, node: &str) -> bool {
        self.active.iter().any(|(_, fault)| matches!(fault, Fault::Frozen(name) if name == node))
    }

    fn cut(&self, lab: &Laboratory) {
        let rules: Vec<Rule> = self
            .active
            .iter()
            .filter_map(|(_, fault)| match fault {
                Fault::Network(rules) => Some(rules.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        lab.set_rules(&rules);
    }
}

fn one_way(links: &[u8], from: &str, to: &str) -> Vec<Rule> {
    let cut = |link: &u8| Rule::Cut { link: *link, from: from.to_owned(), to: to.to_owned() };
    links.iter().map(cut).collect()
}

fn feel(lab: &Laboratory, node: &str, mood: &str) -> Result<Fault, String> {
    let path = lab.node(node).disk.join("mood");
    std::fs::write(&path, format!("{mood}\n"))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Fault::Mood(node.to_owned()))
}
