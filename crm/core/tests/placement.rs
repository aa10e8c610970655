//! The golden corpus of placement: each file is a situation, a line of dashes, and the answer with its
//! reasons. `UPDATE=1 cargo test -p crm-core --test placement` rewrites the answers; read the difference.

#![allow(
    clippy::disallowed_methods,
    reason = "the corpus is files; only the core itself reads none"
)]

use crm_core::id::{Epoch, GroupId, NodeId, ServiceId, Stamp};
use crm_core::model::*;
use crm_core::packet::{Eligibility, GroupPhase};
use crm_core::place::{NodeSituation, Placement, Situation, place};
use crm_core::record::{Failures, Grant, GrantState, Intents, Maintenance};
use crm_core::time::Span;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// The least number of cases that counts as a corpus.
const CASES_LEAST: usize = 120;

#[derive(Default)]
struct World {
    nodes: Vec<NodeSpec>,
    situations: BTreeMap<NodeId, NodeSituation>,
    groups: Vec<Group>,
    intents: Intents,
    failures: BTreeMap<GroupId, BTreeMap<NodeId, Failures>>,
    bans: BTreeMap<GroupId, BTreeMap<NodeId, String>>,
    grants: BTreeMap<GroupId, Grant>,
    phases: BTreeMap<GroupId, GroupPhase>,
    eligible: BTreeMap<GroupId, BTreeMap<NodeId, Eligibility>>,
    roles: BTreeMap<ServiceId, BTreeMap<NodeId, String>>,
    /// The case says `fencing none`.
    unfenced: bool,
}

impl World {
    fn read(text: &str) -> World {
        let mut world = World::default();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let rest = |from: usize| words[from..].join(" ");
            match words[0] {
                "node" => world.node(words[1], words[2]),
                "group" => world.group(words[1], &words[2..]),
                "removed" => drop(world.situations.insert(words[1].into(), situation(words[2]))),
                "grant" => {
                    let since = words.get(5).map_or(0, |word| word.parse().expect("a version"));
                    world.grant(words[1], words[2], words[3], words[4], since);
                }
                "fail" => world.fail(words[1], words[2], words[3] == "stop", rest(4)),
                "ban" => {
                    world.bans.entry(words[1].into()).or_default().insert(words[2].into(), rest(3));
                }
                "eligible" => {
                    let eligible = match words[3] {
                        "yes" => Some(true),
                        "no" => Some(false),
                        _ => None,
                    };
                    let word = Eligibility { eligible, reason: rest(4) };
                    world
                        .eligible
                        .entry(words[1].into())
                        .or_default()
                        .insert(words[2].into(), word);
                }
                "role" => {
                    let roles = world.roles.entry(words[1].into()).or_default();
                    roles.insert(words[2].into(), words[3].to_owned());
                }
                "standby" => drop(world.intents.standby.insert(words[1].into())),
                "leaving" => drop(world.intents.leaving.insert(words[1].into())),
                "stopped" => drop(world.intents.stopped.insert(words[1].into())),
                "pin" => drop(world.intents.pins.insert(words[1].into(), words[2].into())),
                "maintenance" => world.intents.maintenance = Some(Maintenance { lasts: None }),
                "fencing" => world.unfenced = words[1] == "none",
                "cluster-stopped" => world.intents.cluster_stopped = true,
                other => panic!("unknown word {other} in: {line}"),
            }
        }
        world
    }

    fn node(&mut self, name: &str, word: &str) {
        let spec = NodeSpec { id: name.into(), links: vec![], voter: true, watchdog: None };
        self.nodes.push(spec);
        self.situations.insert(name.into(), situation(word));
    }

    fn group(&mut self, name: &str, options: &[&str]) {
        let mut group = Group {
            id: name.into(),
            prefer: vec![],
            only_preferred: false,
            failback: Failback::Manual,
            on_disk_error: OnDiskError::Move,
            resources: vec![],
            runs_with: vec![],
            avoids: vec![],
            starts_after: vec![],
            follow: None,
            priority: 0,
            restart: RestartPolicy { count: 3, window: Span::secs(600) },
            failure_expiry: Span::secs(3600),
            unsafe_failover: false,
        };
        for option in options {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            let groups = || value.split(',').map(GroupId::new).collect();
            match key {
                "prefer" => group.prefer = value.split(',').map(NodeId::new).collect(),
                "only" => group.only_preferred = true,
                "stay" => group.on_disk_error = OnDiskError::Stay,
                "auto" => group.failback = Failback::Auto,
                "with" => group.runs_with = groups(),
                "avoids" => group.avoids = groups(),
                "after" => group.starts_after = groups(),
                "priority" => group.priority = value.parse().expect("a number"),
                "observed" => group.resources.push(resource(true, false)),
                "stateless" => group.resources.push(resource(false, true)),
                "unsafe" => group.unsafe_failover = true,
                "follow" => {
                    let (service, role) = value.split_once('/').expect("SERVICE/ROLE");
                    group.follow = Some(Follow {
                        service: service.into(),
                        role: role.into(),
                        otherwise: None,
                    });
                }
                "otherwise" => {
                    if let Some(follow) = &mut group.follow {
                        follow.otherwise = Some(value.to_owned());
                    }
                }
                other => panic!("unknown option {other}"),
            }
        }
        if group.resources.is_empty() {
            group.resources.push(resource(false, false));
        }
        self.groups.push(group);
    }

    fn grant(&mut self, group: &str, owner: &str, state: &str, phase: &str, since: u64) {
        let state = if state == "held" { GrantState::Held } else { GrantState::Ending };
        let grant =
            Grant { state, ..Grant::held(owner.into(), Stamp { epoch: Epoch(1), version: since }) };
        self.grants.insert(group.into(), grant);
        let phase = match phase {
            "running" => GroupPhase::Running,
            "starting" => GroupPhase::Starting,
            "stopped" => GroupPhase::Stopped,
            "failed" => GroupPhase::Failed,
            "stop-failed" => GroupPhase::StopFailed,
            _ => GroupPhase::Unknown,
        };
        self.phases.insert(group.into(), phase);
    }

    fn fail(&mut self, group: &str, node: &str, stop_failed: bool, reason: String) {
        let failures = Failures { count: 1, reason, stop_failed };
        self.failures.entry(group.into()).or_default().insert(node.into(), failures);
    }

    fn place(&self) -> Placement {
        let cluster = Cluster {
            name: "corpus".into(),
            nodes: self.nodes.clone(),
            witness: None,
            timing: Timing::default(),
            fencing: if self.unfenced {
                Fencing::None
            } else {
                Fencing::Devices { devices: BTreeMap::new(), delay: Span::ZERO }
            },
            tiebreak_ping: None,
            groups: self.groups.clone(),
            services: vec![],
            operators: vec![],
        };
        place(&Situation {
            cluster: &cluster,
            nodes: &self.situations,
            intents: &self.intents,
            failures: &self.failures,
            bans: &self.bans,
            grants: &self.grants,
            retired: &BTreeMap::new(),
            phases: &self.phases,
            eligible: &self.eligible,
            roles: &self.roles,
        })
    }

    /// Carries the choices out at once, as if every stop and start succeeded.
    fn carry_out(&mut self, placement: &Placement) {
        for (group, choice) in &placement.groups {
            match &choice.node {
                _ if choice.stops_after.is_some() => {}
                Some(node) if !choice.wait => {
                    let since = self.grants.get(group).map_or(0, |grant| grant.since.version);
                    self.grant(group.as_str(), node.as_str(), "held", "running", since);
                }
                // What moves and has to wait is down meanwhile.
                Some(node) if self.grants.get(group).is_some_and(|grant| grant.owner == *node) => {}
                _ => {
                    self.grants.remove(group);
                    self.phases.remove(group);
                }
            }
            if choice.pin_finished.is_some() {
                self.intents.pins.remove(group);
            }
        }
    }
}

fn situation(word: &str) -> NodeSituation {
    match word {
        "online" => NodeSituation::Online,
        "joining" => NodeSituation::Joining,
        "awaited" => NodeSituation::Awaited,
        "lost" => NodeSituation::Lost,
        "gone" => NodeSituation::Gone,
        other => panic!("unknown situation {other}"),
    }
}

fn resource(observe_everywhere: bool, stateless: bool) -> Resource {
    Resource {
        id: "one".into(),
        agent: AgentRef { class: AgentClass::Own, name: "any".into() },
        params: BTreeMap::new(),
        args: vec![],
        timeouts: Timeouts::default(),
        interval: Span::secs(10),
        on_fail: OnFail::Restart,
        stateless,
        observe_everywhere,
    }
}

fn draw(placement: &Placement) -> String {
    let mut text = String::new();
    for (group, choice) in &placement.groups {
        let node = choice.node.as_ref().map_or("nowhere", NodeId::as_str);
        let wait = if choice.wait { " (waits)" } else { "" };
        writeln!(text, "{group}: {node}{wait}: {}", choice.reason).expect("a string");
        for verdict in &choice.verdicts {
            let can = if verdict.possible { "can" } else { "cannot" };
            writeln!(text, "    {} {can}: {}", verdict.node, verdict.reason).expect("a string");
        }
        if let Some(finished) = &choice.pin_finished {
            writeln!(text, "    the migrate is over: {finished}").expect("a string");
        }
        if let Some(first) = &choice.stops_after {
            writeln!(text, "    stays until {first} has stopped").expect("a string");
        }
    }
    text
}

fn cases() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/placement");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the corpus")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_case_of_the_corpus_is_placed_as_written() {
    let files = cases();
    assert!(files.len() >= CASES_LEAST, "only {} cases", files.len());
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a case");
        let (input, expected) = text.split_once("\n----\n").unwrap_or((text.trim_end(), ""));
        let found = draw(&World::read(input).place());
        if update {
            std::fs::write(&file, format!("{input}\n----\n{found}")).expect("a case");
        } else if found != expected {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            write!(wrong, "\n== {name}\n-- expected\n{expected}-- found\n{found}")
                .expect("a string");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn placing_again_after_the_choices_are_carried_out_changes_nothing() {
    for file in cases() {
        let text = std::fs::read_to_string(&file).expect("a case");
        let mut world = World::read(text.split("\n----\n").next().unwrap_or_default());
        // What waits for another group starts a round later; no chain here is longer than this.
        for _ in 0..6 {
            let placement = world.place();
            world.carry_out(&placement);
        }
        let before: Vec<_> =
            world.grants.iter().map(|(g, grant)| (g.clone(), grant.owner.clone())).collect();
        let placement = world.place();
        world.carry_out(&placement);
        let after: Vec<_> =
            world.grants.iter().map(|(g, grant)| (g.clone(), grant.owner.clone())).collect();
        assert_eq!(before, after, "{}", file.display());
    }
}
