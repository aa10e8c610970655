//! The executor against a small model of agents: slow, failing, hanging, dying.

use crate::execute::{ExecuteInput, ExecuteOutput, Executor, Want};
use crate::id::{GroupId, OpId};
use crate::model::*;
use crate::operation::{Action, OpOutcome, OpResult, Operation};
use crate::packet::GroupPhase;
use crate::rules::Sound;
use crate::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn cluster(groups: &[(&str, &[&str])]) -> Arc<Cluster> {
    let resource = |name: &&str| Resource {
        id: (*name).into(),
        agent: AgentRef { class: AgentClass::Own, name: "vip".into() },
        params: BTreeMap::new(),
        args: vec![],
        timeouts: Timeouts::default(),
        interval: Span::secs(10),
        on_fail: OnFail::Restart,
        stateless: false,
        observe_everywhere: false,
    };
    let group = |(name, resources): &(&str, &[&str])| Group {
        id: (*name).into(),
        prefer: vec![],
        only_preferred: false,
        failback: Failback::Manual,
        on_disk_error: OnDiskError::Move,
        resources: resources.iter().map(resource).collect(),
        runs_with: vec![],
        avoids: vec![],
        starts_after: vec![],
        follow: None,
        priority: 0,
        restart: RestartPolicy { count: 3, window: Span::secs(600) },
        failure_expiry: Span::secs(3600),
        unsafe_failover: false,
    };
    Arc::new(Cluster {
        name: "t".into(),
        nodes: vec![],
        witness: None,
        timing: Timing::default(),
        fencing: Fencing::None,
        tiebreak_ping: None,
        groups: groups.iter().map(group).collect(),
        services: vec![],
        operators: vec![],
    })
}

/// The world: what runs, which calls are open, how agents behave.
struct Model {
    executor: Executor<Sound>,
    now: Time,
    running: BTreeSet<(String, String)>,
    open: BTreeMap<OpId, Operation>,
    log: Vec<String>,
    order: BTreeMap<String, Vec<String>>,
    /// Died, and the executor may not know it yet.
    died: BTreeSet<(String, String)>,
}

impl Model {
    fn new(groups: &[(&str, &[&str])]) -> Model {
        let mut model = Model {
            executor: Executor::new(),
            now: Time(1_000_000),
            running: BTreeSet::new(),
            open: BTreeMap::new(),
            log: vec![],
            died: BTreeSet::new(),
            order: groups
                .iter()
                .map(|(g, rs)| (g.to_string(), rs.iter().map(|r| r.to_string()).collect()))
                .collect(),
        };
        model.executor.configure(model.now, &cluster(groups));
        model.drain();
        model
    }

    fn drain(&mut self) {
        while let Some(output) = self.executor.poll_output() {
            match output {
                ExecuteOutput::Run(op) => {
                    let busy = self
                        .open
                        .values()
                        .any(|o| o.group == op.group && o.resource == op.resource);
                    assert!(!busy, "two calls open on {}/{}", op.group, op.resource);
                    if op.action != Action::Status {
                        self.log.push(format!("{} {}", op.action.as_str(), op.resource));
                    }
                    if op.action == Action::Start {
                        self.check_order_up(&op);
                    }
                    if op.action == Action::Stop {
                        self.check_order_down(&op);
                    }
                    self.open.insert(op.op, *op);
                }
                ExecuteOutput::Cancel { op } => {
                    self.log.push("cancel".into());
                    self.finish(op, OpOutcome::Cancelled);
                }
                _ => {}
            }
        }
        for group in self.order.keys() {
            if self.executor.phase(&GroupId::new(group)).is_stopped() {
                assert!(
                    !self.running.iter().any(|(g, _)| g == group),
                    "{group} called stopped: {:?}",
                    self.running
                );
                let open = self
                    .open
                    .values()
                    .any(|o| o.group.as_str() == group && o.action != Action::Status);
                assert!(!open, "{group} called stopped with a call open");
            }
        }
    }

    fn check_order_up(&self, op: &Operation) {
        let order = &self.order[op.group.as_str()];
        for earlier in order.iter().take_while(|r| *r != op.resource.as_str()) {
            let key = (op.group.to_string(), earlier.clone());
            assert!(
                self.running.contains(&key) || self.died.contains(&key),
                "I2: {} starts before {earlier} runs",
                op.resource
            );
        }
    }

    fn check_order_down(&self, op: &Operation) {
        let order = &self.order[op.group.as_str()];
        for later in order.iter().rev().take_while(|r| *r != op.resource.as_str()) {
            assert!(
                !self.running.contains(&(op.group.to_string(), later.clone())),
                "I2: {} stops while {later} runs",
                op.resource
            );
        }
    }

    fn finish(&mut self, op: OpId, outcome: OpOutcome) {
        let Some(call) = self.open.remove(&op) else { return };
        let key = (call.group.to_string(), call.resource.to_string());
        let outcome = match (call.action, outcome) {
            (Action::Start, OpOutcome::Done) => {
                self.died.remove(&key);
                self.running.insert(key);
                OpOutcome::Done
            }
            (Action::Stop, OpOutcome::Done) => {
                self.running.remove(&key);
                OpOutcome::Done
            }
            (Action::Status, OpOutcome::Done) if !self.running.contains(&key) => {
                OpOutcome::NotRunning
            }
            (_, other) => other,
        };
        self.executor
            .handle(self.now, ExecuteInput::Finished { op, result: OpResult::of(outcome) });
        self.drain();
    }

    /// Ends open calls well until nothing is open.
    fn settle(&mut self) {
        for _ in 0..1000 {
            let Some(op) = self.open.keys().next().copied() else { return };
            self.now += Span::millis(5);
            self.finish(op, OpOutcome::Done);
        }
        panic!("never settles: {:?}", self.log);
    }

    fn want(&mut self, group: &str, want: Want) {
        self.executor.want(self.now, &[(GroupId::new(group), want)].into());
        self.drain();
    }

    fn phase(&self, group: &str) -> GroupPhase {
        self.executor.phase(&GroupId::new(group))
    }

    /// Finishes the open call of this kind in a given way.
    fn end(&mut self, action: Action, resource: &str, outcome: OpOutcome) {
        let found =
            self.open.values().find(|o| o.action == action && o.resource.as_str() == resource);
        let op =
            found.unwrap_or_else(|| panic!("no {action:?} of {resource} open: {:?}", self.log)).op;
        self.finish(op, outcome);
    }

    fn dies(&mut self, group: &str, resource: &str) {
        self.running.remove(&(group.into(), resource.into()));
        self.died.insert((group.into(), resource.into()));
        let input = ExecuteInput::Changed {
            group: group.into(),
            resource: resource.into(),
            what: "gone".into(),
        };
        self.executor.handle(self.now, input);
        self.drain();
    }
}

const G: &[(&str, &[&str])] = &[("g", &["disk", "db", "vip"])];

#[test]
fn hb12_up_in_order_and_down_in_reverse() {
    let mut m = Model::new(G);
    m.settle();
    assert_eq!(m.phase("g"), GroupPhase::Stopped);
    m.want("g", Want::Run);
    m.settle();
    assert_eq!(m.phase("g"), GroupPhase::Running);
    m.want("g", Want::Stop);
    m.settle();
    assert_eq!(m.phase("g"), GroupPhase::Stopped);
    assert_eq!(m.log, ["start disk", "start db", "start vip", "stop vip", "stop db", "stop disk"]);
}

#[test]
fn a_group_that_nobody_has_looked_at_is_unknown_and_held() {
    let mut m = Model::new(G);
    assert_eq!(m.phase("g"), GroupPhase::Unknown);
    m.settle();
    m.want("g", Want::Hold);
    m.settle();
    assert!(m.log.is_empty());
}

#[test]
fn r17_what_runs_is_adopted_without_a_restart() {
    let mut m = Model::new(G);
    for r in ["disk", "db", "vip"] {
        m.running.insert(("g".into(), r.into()));
    }
    m.settle();
    m.want("g", Want::Run);
    m.settle();
    assert_eq!(m.phase("g"), GroupPhase::Running);
    assert!(m.log.is_empty(), "{:?}", m.log);
}

#[test]
fn what_runs_above_a_gap_goes_down_before_the_gap_is_filled() {
    let mut m = Model::new(G);
    m.running.insert(("g".into(), "disk".into()));
    m.running.insert(("g".into(), "vip".into()));
    m.settle();
    m.want("g", Want::Run);
    m.settle();
    assert_eq!(m.log, ["stop vip", "start db", "start vip"]);
}

#[test]
fn h15_an_open_start_is_cut_off_stopped_and_only_then_stopped() {
    let mut m = Model::new(G);
    m.settle();
    m.want("g", Want::Run);
    m.end(Action::Start, "disk", OpOutcome::Done);
    m.want("g", Want::Stop);
    assert_ne!(m.phase("g"), GroupPhase::Stopped);
    m.settle();
    assert_eq!(m.log, ["start disk", "start db", "cancel", "stop db", "stop disk"]);
}

#[test]
fn a_failed_start_stops_everything_and_is_told_once() {
    let mut m = Model::new(G);
    m.settle();
    m.want("g", Want::Run);
    m.end(Action::Start, "disk", OpOutcome::Done);
    m.end(Action::Start, "db", OpOutcome::Failed { code: 1 });
    m.settle();
    assert_eq!(m.phase("g"), GroupPhase::Failed);
    assert_eq!(m.executor.failures().len(), 1);
    assert_eq!(m.log, ["start disk", "start db", "stop db", "stop disk"]);
    m.want("g", Want::Run);
    m.settle();
    assert_eq!(m.log.len(), 4, "it is not tried again by itself");
    m.executor.clear(m.now, None);
    m.drain();
    m.settle();
    assert_eq!(m.phase("g"), GroupPhase::Running);
}

#[test]
fn r21_a_failed_stop_blocks_and_is_never_called_stopped() {
    let mut m = Model::new(G);
    m.settle();
    m.want("g", Want::Run);
    m.settle();
    m.want("g", Want::Stop);
    m.end(Action::Stop, "vip", OpOutcome::TimedOut);
    m.settle();
    assert_eq!(m.phase("g"), GroupPhase::StopFailed);
    assert!(!m.log.contains(&"stop db".to_owned()));
    m.executor.clear(m.now, None);
    m.drain();
    m.settle();
    assert_eq!(m.phase("g"), GroupPhase::Stopped);
}

#[test]
fn a_dead_resource_is_restarted_with_what_stands_on_it_then_given_up() {
    let mut m = Model::new(G);
    m.settle();
    m.want("g", Want::Run);
    m.settle();
    m.log.clear();
    m.dies("g", "db");
    m.settle();
    assert_eq!(m.log, ["stop vip", "stop db", "start db", "start vip"]);
    for _ in 0..3 {
        m.dies("g", "db");
        m.settle();
    }
    assert_eq!(m.phase("g"), GroupPhase::Failed);
    assert_eq!(m.executor.failures().len(), 1);
}

#[test]
fn a_status_that_only_fails_is_asked_again_before_it_counts() {
    let mut m = Model::new(G);
    m.settle();
    m.want("g", Want::Run);
    m.settle();
    m.log.clear();
    m.now += Span::secs(11);
    m.executor.wake(m.now);
    m.drain();
    m.end(Action::Status, "db", OpOutcome::Failed { code: 1 });
    m.executor.wake(m.now);
    m.drain();
    assert!(m.log.is_empty());
    m.end(Action::Status, "db", OpOutcome::Done);
    assert!(m.log.is_empty() && m.phase("g") == GroupPhase::Running);
}

#[test]
fn an_operators_restart_is_counted_from_the_start_of_the_daemon() {
    let mut m = Model::new(G);
    m.settle();
    m.want("g", Want::Run);
    m.settle();
    m.log.clear();
    m.executor.restarts(m.now, &[(GroupId::new("g"), 7)].into());
    m.drain();
    m.settle();
    assert!(m.log.is_empty(), "an old count restarts nothing");
    m.executor.restarts(m.now, &[(GroupId::new("g"), 8)].into());
    m.drain();
    m.settle();
    assert_eq!(m.log.len(), 6);
    assert_eq!(m.phase("g"), GroupPhase::Running);
}

#[test]
fn a_removed_group_is_stopped_and_forgotten() {
    let mut m = Model::new(G);
    m.settle();
    m.want("g", Want::Run);
    m.settle();
    m.executor.configure(m.now, &cluster(&[]));
    m.drain();
    m.settle();
    assert!(m.running.is_empty());
    assert!(m.executor.reports().is_empty());
}

#[test]
fn random_wants_and_agents_keep_the_order_and_reach_the_goal() {
    for seed in 1..400_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = move |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let mut m = Model::new(&[("g", &["disk", "db", "vip"]), ("h", &["a", "b"])]);
        for _ in 0..80 {
            m.now += Span::millis(next(3_000));
            m.executor.wake(m.now);
            m.drain();
            let group = if next(2) == 0 { "g" } else { "h" };
            match next(6) {
                0 => {
                    let want = [Want::Run, Want::Stop, Want::Hold][next(3) as usize];
                    m.want(group, want);
                }
                1 => {
                    let alive: Vec<_> = m.running.iter().cloned().collect();
                    if let Some((g, r)) = alive.get(next(8) as usize).cloned() {
                        // Only where no call is open on it, as the model's agents end calls at once.
                        let busy = m
                            .open
                            .values()
                            .any(|o| o.group.as_str() == g && o.action != Action::Status);
                        if !busy {
                            m.dies(&g, &r);
                        }
                    }
                }
                _ => {
                    let ops: Vec<OpId> = m.open.keys().copied().collect();
                    if let Some(op) = ops.get(next(4) as usize) {
                        let stop = m.open.get(op).is_some_and(|o| o.action == Action::Stop);
                        let bad = next(8) == 0 && !stop;
                        m.finish(
                            *op,
                            if bad { OpOutcome::Failed { code: 1 } } else { OpOutcome::Done },
                        );
                    }
                }
            }
        }
        let want = if seed % 2 == 0 { Want::Run } else { Want::Stop };
        m.executor.want(m.now, &[(GroupId::new("g"), want), (GroupId::new("h"), want)].into());
        m.executor.clear(m.now, None);
        m.drain();
        for _ in 0..20 {
            m.settle();
            m.now += Span::secs(15);
            m.executor.wake(m.now);
            m.drain();
        }
        m.settle();
        for group in ["g", "h"] {
            let phase = m.phase(group);
            let good =
                if want == Want::Run { phase == GroupPhase::Running } else { phase.is_stopped() };
            assert!(good, "seed {seed}: {group} is {phase:?}; {:?}", m.log);
        }
    }
}
