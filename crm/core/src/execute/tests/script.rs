//! Scenarios as text: one input a line, and everything the executor makes of it.
//!
//! `INPUT => OUTPUT, OUTPUT [phase]`. Inputs: `groups g: a b=move c#2 d*` (on_fail after `=`,
//! a parameter after `#`, `*` observed everywhere), `want run|stop|hold`, `a start done`,
//! `changed a`, `+30ms`, `clear`, `maintenance on|off`, `restart 3`. Outputs: `a start`,
//! `cancel a start`, `unwatch a`, `!event-kind`.

use crate::execute::{ExecuteInput, ExecuteOutput, Executor, Want};
use crate::id::{GroupId, OpId};
use crate::model::{
    AgentClass, AgentRef, Cluster, Failback, Fencing, Group, OnDiskError, OnFail, Resource,
    RestartPolicy, Timeouts, Timing,
};
use crate::operation::{OpOutcome, OpResult};
use crate::rules::{Rules, Sound};
use crate::time::{Span, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct Bench<R: Rules> {
    pub(super) executor: Executor<R>,
    pub(super) now: Time,
    /// Open operations by `resource action`.
    open: BTreeMap<String, OpId>,
}

/// Runs a script from a fresh executor; each line must give exactly what it says.
pub(super) fn check(script: &str) -> Bench<Sound> {
    let mut bench = Bench::new();
    bench.check(script);
    bench
}

/// The three words that bring a group of `a b c` up from nothing.
pub(super) const UP: &str = "
    groups g: a b c => a status, b status, c status [unknown]
    a status not-running =>
    b status not-running =>
    c status not-running => [stopped]
    want run => a start, !group-starting
    a start done => b start
    b start done => c start
    c start done => !group-running [running]";

impl<R: Rules> Bench<R> {
    pub(super) fn new() -> Bench<R> {
        Bench { executor: Executor::new(), now: Time(1_000_000_000), open: BTreeMap::new() }
    }

    pub(super) fn check(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (input, expected) = line.split_once("=>").expect("a line has =>");
            let (outputs, phase) = match expected.split_once('[') {
                Some((outputs, phase)) => (outputs, Some(phase.trim_end().trim_end_matches(']'))),
                None => (expected, None),
            };
            let made = self.step(input.trim()).join(", ");
            assert_eq!(made, outputs.trim(), "after `{}`", input.trim());
            if let Some(phase) = phase {
                assert_eq!(self.phase(), phase, "after `{}`", input.trim());
            }
        }
    }

    pub(super) fn phase(&self) -> String {
        let phase = self.executor.phase(&"g".into());
        let is_proof = phase.is_stopped();
        assert!(!self.executor.everything_stopped() || is_proof);
        format!("{phase:?}").to_lowercase()
    }

    pub(super) fn reason(&self) -> String {
        let reports = self.executor.reports();
        reports.get(&"g".into()).and_then(|report| report.reason.clone()).unwrap_or_default()
    }

    /// Takes one input and returns everything the executor makes of it.
    pub(super) fn step(&mut self, input: &str) -> Vec<String> {
        let now = self.now;
        let words: Vec<&str> = input.split_whitespace().collect();
        let mut made = Vec::new();
        match words.as_slice() {
            ["groups", ..] => self.executor.configure(now, &cluster(&input["groups".len()..])),
            ["want", want] => {
                let want = match *want {
                    "run" => Want::Run,
                    "stop" => Want::Stop,
                    "hold" => Want::Hold,
                    other => panic!("want {other}"),
                };
                self.executor.want(now, &[("g".into(), want)].into());
            }
            ["want"] => self.executor.want(now, &BTreeMap::new()),
            ["clear"] => self.executor.clear(now, None),
            ["maintenance", on] => self.executor.maintenance(now, *on == "on"),
            ["restart", counter] => {
                let counter = counter.parse().expect("a number");
                self.executor.restarts(now, &[("g".into(), counter)].into());
            }
            ["changed", resource] => {
                let (group, resource) = (GroupId::new("g"), (*resource).into());
                let input = ExecuteInput::Changed { group, resource, what: "test".into() };
                self.executor.handle(now, input);
            }
            [resource, action, outcome] => {
                let op = self.open.remove(&format!("{resource} {action}"));
                let op = op.unwrap_or_else(|| panic!("no operation is open for `{input}`"));
                let result = result(outcome);
                self.executor.handle(now, ExecuteInput::Finished { op, result });
            }
            [span] => return self.pass(parse_span(span)),
            other => panic!("not understood: {other:?}"),
        }
        self.drain(&mut made);
        made
    }

    /// Lets time pass, waking the executor at each of its deadlines.
    fn pass(&mut self, span: Span) -> Vec<String> {
        let end = self.now + span;
        let mut made = Vec::new();
        for _ in 0..1000 {
            let Some(at) = self.executor.deadline().filter(|at| *at <= end) else {
                self.now = end;
                return made;
            };
            self.now = at.max(self.now);
            self.executor.wake(self.now);
            self.drain(&mut made);
        }
        panic!("the executor spins: {made:?}");
    }

    fn drain(&mut self, made: &mut Vec<String>) {
        while let Some(output) = self.executor.poll_output() {
            made.push(match output {
                ExecuteOutput::Run(operation) => {
                    let params = operation.spec.params.values().cloned().collect::<String>();
                    let mark = if params.is_empty() { params } else { format!("#{params}") };
                    let call = format!("{} {}", operation.resource, operation.action.as_str());
                    assert!(!self.open.keys().any(|open| open.split(' ').next()
                        == Some(operation.resource.as_str())), "two operations on one resource");
                    self.open.insert(call, operation.op);
                    format!("{}{mark} {}", operation.resource, operation.action.as_str())
                }
                ExecuteOutput::Cancel { op } => {
                    let call = self.open.iter().find(|(_, open)| **open == op);
                    format!("cancel {}", call.expect("only what is open is cancelled").0)
                }
                ExecuteOutput::Unwatch { resource, .. } => format!("unwatch {resource}"),
                ExecuteOutput::Event(event) => format!("!{}", event.kind),
            });
        }
    }
}

fn parse_span(word: &str) -> Span {
    let word = word.strip_prefix('+').expect("a span begins with +");
    match (word.strip_suffix("ms"), word.strip_suffix('s')) {
        (Some(millis), _) => Span::millis(millis.parse().expect("a number")),
        (None, Some(secs)) => Span::secs(secs.parse().expect("a number")),
        _ => panic!("a span such as +10s"),
    }
}

/// `done`, `failed:the disk is full`, `done/eligible=yes`.
fn result(text: &str) -> OpResult {
    let (text, attribute) = match text.split_once('/') {
        Some((text, attribute)) => (text, attribute.split_once('=')),
        None => (text, None),
    };
    let (word, reason) = match text.split_once(':') {
        Some((word, reason)) => (word, Some(reason.to_owned())),
        None => (text, None),
    };
    let outcome = match word {
        "done" => OpOutcome::Done,
        "not-running" => OpOutcome::NotRunning,
        "failed" => OpOutcome::Failed { code: 1 },
        "not-installed" => OpOutcome::Failed { code: 5 },
        "timeout" => OpOutcome::TimedOut,
        "cancelled" => OpOutcome::Cancelled,
        "missing" => OpOutcome::Missing,
        other => panic!("outcome {other}"),
    };
    let attributes = attribute.map(|(name, value)| (name.into(), value.into()));
    OpResult { outcome, reason, attributes: attributes.into_iter().collect() }
}

/// ` g: a b=move c#2 d* / h: a`.
pub(super) fn cluster(text: &str) -> Arc<Cluster> {
    let groups = text.split('/').filter_map(|group| group.split_once(':'));
    let groups = groups.map(|(name, resources)| group(name.trim(), resources)).collect();
    Arc::new(Cluster {
        name: "test".into(),
        nodes: Vec::new(),
        witness: None,
        timing: Timing::default(),
        fencing: Fencing::None,
        tiebreak_ping: None,
        groups,
        services: Vec::new(),
        operators: Vec::new(),
    })
}

fn group(name: &str, resources: &str) -> Group {
    Group {
        id: name.into(),
        prefer: Vec::new(),
        only_preferred: false,
        failback: Failback::Manual,
        on_disk_error: OnDiskError::Move,
        resources: resources.split_whitespace().map(resource).collect(),
        runs_with: Vec::new(),
        avoids: Vec::new(),
        starts_after: Vec::new(),
        follow: None,
        priority: 0,
        restart: RestartPolicy { count: 2, window: Span::secs(600) },
        failure_expiry: Span::secs(3600),
        unsafe_failover: false,
    }
}

fn resource(word: &str) -> Resource {
    let observe_everywhere = word.ends_with('*');
    let word = word.trim_end_matches('*');
    let (word, on_fail) = match word.split_once('=') {
        Some((word, "move")) => (word, OnFail::Move),
        Some((word, "ignore")) => (word, OnFail::Ignore),
        Some((word, "block")) => (word, OnFail::Block),
        Some((_, other)) => panic!("on_fail {other}"),
        None => (word, OnFail::Restart),
    };
    let (id, value) = word.split_once('#').map_or((word, None), |(id, v)| (id, Some(v)));
    // `c@a`: what `a` is, under another name.
    let (id, agent) = id.split_once('@').unwrap_or((id, id));
    Resource {
        id: id.into(),
        agent: AgentRef { class: AgentClass::Own, name: format!("{agent}-agent") },
        params: value.map(|value| ("value".to_owned(), value.to_owned())).into_iter().collect(),
        args: Vec::new(),
        timeouts: Timeouts::default(),
        interval: Span::secs(10),
        on_fail,
        stateless: false,
        observe_everywhere,
    }
}
