//! What a run has measured, and what of it is a failure.

use crate::host::{self, Process, Size};
use crate::interrupted;
use crate::life::Life;
use crate::scene::NODES;
use crate::story::Story;
use crate::summary::{least, say};
use serde_json::Value;
use std::time::Duration;

/// The least that the probe must manage, in every quiet time and for every service.
const HTTP_PER_SECOND: f64 = 4.0;
const ARP_PER_SECOND: f64 = 4.0;
/// And at all times.
const LOOKS_PER_SECOND: f64 = 15.0;
/// Lives of daemons, after those that ended.
const LIVES_MAX: usize = 2000;

impl Story<'_> {
    /// What each daemon takes now, or took before if that was less: the polls of its safety net come and go.
    pub(crate) fn measure(&self, sizes: &mut Vec<(Process, Size)>) {
        for node in NODES {
            let keeper = self.lab.try_process_of(node).unwrap_or(0);
            let Some(daemon) = host::named(keeper, "crmd").into_iter().next() else { continue };
            let Some(mut now) = daemon.size() else { continue };
            now.used = host::heap(&self.lab.node(node).disk.join("run/crm.sock"));
            match sizes.iter_mut().find(|(process, _)| *process == daemon) {
                Some((_, least)) => *least = least.least(&now),
                None => sizes.push((daemon, now)),
            }
        }
    }

    /// Adds what was measured in a quiet time to the life of each daemon.
    pub(crate) fn sample(&mut self, sizes: &[(Process, Size)]) {
        // Without a view it is not known what each of them runs.
        let Some(status) = self.lab.view() else { return };
        for node in NODES {
            let keeper = self.lab.try_process_of(node).unwrap_or(0);
            let Some(daemon) = host::named(keeper, "crmd").into_iter().next() else { continue };
            let known = self.lives.iter().position(|life| life.process == daemon);
            if known.is_none() && self.lives.len() < LIVES_MAX {
                self.lives.push(Life::begin(node, daemon.clone()));
            }
            let mut groups: Vec<&str> = status
                .groups
                .iter()
                .filter(|group| group.owner.as_ref().is_some_and(|owner| owner.as_str() == node))
                .map(|group| group.id.as_str())
                .collect();
            groups.sort_unstable();
            let coordinates =
                status.coordinator.as_ref().is_some_and(|coordinator| coordinator.as_str() == node);
            let groups =
                format!("{}{}", groups.join(" "), if coordinates { " coordinator" } else { "" });
            let life = self.lives.iter_mut().find(|life| life.process == daemon);
            let size = sizes.iter().find(|(process, _)| *process == daemon);
            if let (Some(life), Some((_, size))) = (life, size) {
                life.sample(groups, *size);
            }
        }
    }

    /// Takes the probe's counts; in quiet times everybody must have been answered.
    pub(crate) fn report(&mut self, quiet: bool) -> Result<(), String> {
        let said = self.outside.ask("report", "looks")?;
        let number =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        let count = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
        let seconds = number(&said, "seconds");
        let mut failures = Vec::new();
        let probe = &mut self.summary.probe;
        probe.looks += count(&said, "looks");
        probe.changes_seen += count(&said, "changes");
        probe.repeated += count(&said, "suspicions");
        probe.longest_gap_ms = probe.longest_gap_ms.max(count(&said, "longest_ms"));
        let mut rate = |what: String, per_second: f64, goal: f64, kept: &mut Option<f64>| {
            least(kept, per_second);
            if per_second < goal {
                failures.push(format!("the probe had {per_second:.1} {what} a second, not {goal}"));
            }
        };
        if seconds >= 1.0 {
            let looks = number(&said, "looks") / seconds;
            rate("looks".to_owned(), looks, LOOKS_PER_SECOND, &mut probe.looks_per_second_least);
        }
        for (service, counts) in
            said.get("answers").and_then(Value::as_object).into_iter().flatten()
        {
            probe.http_answers += count(counts, "answered");
            probe.arp_answers += count(counts, "arp_answered");
            if !quiet {
                continue;
            }
            let arp = number(counts, "arp_answered") / seconds;
            let what = |kind: &str| format!("{kind} answers of {service}");
            rate(what("ARP"), arp, ARP_PER_SECOND, &mut probe.arp_per_second_least);
            if service != "front" {
                let http = number(counts, "answered") / seconds;
                rate(what("HTTP"), http, HTTP_PER_SECOND, &mut probe.http_per_second_least);
            }
        }
        failures.into_iter().for_each(|failure| self.fail(failure));
        Ok(())
    }

    pub(crate) fn fail(&mut self, failure: String) {
        say(&self.plan.out, &format!("FAILED: {failure}"));
        if self.summary.failures.len() < 1000 {
            self.summary.failures.push(failure);
        }
    }

    pub(crate) fn figures(&mut self) {
        let summary = &mut self.summary;
        summary.seconds = self.begun.elapsed().as_secs_f64();
        summary.faults =
            self.faults.counts.iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect();
        summary.operators.clone_from(&self.operators.ends);
        summary.fenced = self.lab.fenced().len();
        summary.fence_requests = self.lab.fence_requests().len();
        summary.lives =
            self.lives.iter().map(Life::figures).filter(|life| life.is_worth_keeping()).collect();
        summary.violations.clone_from(&self.outside.violations);
        if let Err(error) = summary.keep(&self.plan.out) {
            say(&self.plan.out, &format!("summary.json: {error}"));
        }
    }

    pub(crate) fn memory(&self) -> String {
        let lives = self.lives.iter().filter(|life| life.process.is_alive());
        let one = |life: &Life| {
            let size = life.process.size()?;
            Some(format!("{} {} kB {} fds", life.node, size.rss, size.descriptors))
        };
        lives.filter_map(one).collect::<Vec<_>>().join(", ")
    }

    /// Judges what only the whole run shows, and keeps what helps after a failure.
    pub(crate) fn close(&mut self, ended: Result<(), String>) {
        if let Err(error) = ended {
            self.fail(error);
        }
        self.faults.end(&self.lab, true);
        let figures: Vec<_> = self.lives.iter().map(Life::figures).collect();
        figures.iter().flat_map(|life| life.faults()).for_each(|fault| self.fail(fault));
        let long = figures.iter().filter(|life| life.is_long()).count();
        let two_hours = self.plan.time >= Duration::from_secs(7200);
        if two_hours && !interrupted() && long < 3 {
            self.fail(format!("only {long} daemons lived long enough to judge their memory"));
        }
        if !self.summary.failures.is_empty() {
            let _ = std::fs::write(self.plan.out.join("nodes.log"), self.lab.logs());
        }
        self.summary.complete = !interrupted();
        self.figures();
        let verdict = if self.summary.failures.is_empty() { "nothing found" } else { "FAILED" };
        say(&self.plan.out, &format!("ended: {verdict} after {:.0} s", self.summary.seconds));
    }
}
