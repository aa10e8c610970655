//! The course of a run: storms, healing, quiet.

use crate::chance::Chance;
use crate::faults::Faults;
use crate::host;
use crate::life::Life;
use crate::operators::Operators;
use crate::outside::Outside;
use crate::scene::{self, FRONT, GROUPS, LINKS, NODES};
use crate::summary::{Summary, say};
use crate::wellness::lacking;
use crate::{Plan, interrupted};
use crm_tests::namespaces::{FenceMode, Laboratory};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// One event for each command, on the node that is asked.
const FILL: &str =
    "for n in $(seq 1100); do crm maintenance on --for 60s; crm maintenance off; done";
const FILLING_MAX: Duration = Duration::from_secs(600);

/// What the daemons say when they, or their peers, were not given a processor for long.
const STALLED: &str = "kind=\"stalled\"";
const LATE: &str = "kind=\"peer-late\"";

/// A run.
pub(crate) struct Story<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) programs: PathBuf,
    pub(crate) begun: Instant,
    pub(crate) lab: Laboratory,
    pub(crate) outside: Outside,
    pub(crate) chance: Chance,
    pub(crate) faults: Faults,
    pub(crate) operators: Operators,
    /// When a node that is down, or whose daemon is, starts again.
    pub(crate) starts: BTreeMap<&'static str, Instant>,
    pub(crate) lives: Vec<Life>,
    pub(crate) summary: Summary,
    pub(crate) said: Instant,
}

/// Runs the plan; whether nothing was found.
pub(crate) fn run(plan: &Plan) -> bool {
    let result = std::panic::catch_unwind(|| {
        let mut story = Story::begin(plan)?;
        let ended = story.tell();
        story.close(ended);
        Ok::<bool, String>(story.summary.failures.is_empty())
    });
    match result {
        Ok(Ok(well)) => well,
        Ok(Err(error)) => {
            say(&plan.out, &format!("FAILED: {error}"));
            false
        }
        Err(_) => {
            say(&plan.out, "FAILED: the run itself broke; see above");
            false
        }
    }
}

impl Story<'_> {
    fn begin(plan: &Plan) -> Result<Story<'_>, String> {
        let text = |error: std::io::Error| error.to_string();
        let own = std::env::current_exe().map_err(text)?;
        let programs = own.parent().ok_or("the own program has no directory")?.to_path_buf();
        let mut lab = scene::build(plan, &programs);
        let mut outside = Outside::start(&programs, &plan.out).map_err(text)?;
        outside.tell(&format!("client {}", lab.client_process()))?;
        for (name, _, address) in GROUPS {
            outside.ask(&format!("service {name} {address} 80 /run/lock/{name}"), "service")?;
        }
        outside.ask(&format!("service front {FRONT} - - follows web"), "service")?;
        for node in NODES {
            outside.ask(&format!("node {node} {}", lab.process_of(node)), "node")?;
        }
        let configuration = scene::configuration(&lab, plan, &programs, 0);
        lab.found(&configuration);
        let summary = Summary { seed: plan.seed, ..Summary::default() };
        let (begun, said) = (Instant::now(), Instant::now());
        say(
            &plan.out,
            &format!("begun: seed {}, {:?}, {}", plan.seed, plan.time, lab.directory.display()),
        );
        Ok(Story {
            plan,
            programs,
            begun,
            lab,
            outside,
            chance: Chance(plan.seed),
            faults: Faults::default(),
            operators: Operators::default(),
            starts: BTreeMap::new(),
            lives: Vec::new(),
            summary,
            said,
        })
    }

    fn tell(&mut self) -> Result<(), String> {
        self.heal()?;
        self.quiet()?;
        let mut spared = self.victims();
        self.fill()?;
        while self.begun.elapsed() < self.plan.time && !interrupted() {
            self.storm()?;
            self.heal()?;
            self.quiet()?;
            self.summary.cycles += 1;
            if spared != self.victims() {
                // Others are spared from now on: their histories are to be full as well.
                spared = self.victims();
                self.fill()?;
            }
        }
        Ok(())
    }

    /// Lets every daemon have more events than it keeps (2000), so that what grows afterwards is not that.
    fn fill(&mut self) -> Result<(), String> {
        if self.plan.short {
            return Ok(());
        }
        let commands: Vec<_> =
            NODES.iter().filter_map(|node| self.lab.node(node).try_command("sh")).collect();
        let mut fillers = Vec::new();
        for mut command in commands {
            command
                .args(["-c", FILL])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            fillers.push(command.spawn().map_err(|error| format!("sh: {error}"))?);
        }
        let until = Instant::now() + FILLING_MAX;
        for filler in &mut fillers {
            while matches!(filler.try_wait(), Ok(None)) {
                if Instant::now() > until {
                    let _ = filler.kill();
                    let _ = filler.wait();
                    return Err(format!("the histories were not full within {FILLING_MAX:?}"));
                }
                self.turn(true)?;
            }
        }
        self.heal()?;
        self.quiet()?;
        let now = Instant::now();
        let alive = self.lives.iter_mut().filter(|life| life.process.is_alive());
        alive.for_each(|life| life.full = life.full.or(Some(now)));
        Ok(())
    }

    fn deadtime(&self) -> Duration {
        Duration::from_secs(if self.plan.short { 3 } else { 5 })
    }

    /// Whom the deadly faults may hit now. Each node's daemon is spared long enough to say how its memory grows:
    /// gamma's for seventeen parts of twenty, beta's for the first nine, alpha's for the eight after them.
    fn victims(&self) -> &'static [&'static str] {
        let part = self.begun.elapsed().as_secs_f64() / self.plan.time.as_secs_f64().max(1.0);
        match part {
            _ if self.plan.short => &NODES,
            p if p < 0.45 => &["alpha"],
            p if p < 0.85 => &["beta"],
            _ => &NODES,
        }
    }

    fn storm(&mut self) -> Result<(), String> {
        let (least, most) = if self.plan.short { (12, 15) } else { (30, 60) };
        let until = Instant::now() + Duration::from_secs(self.chance.between(least, most));
        let link = u8::try_from(self.chance.between(0, u64::from(LINKS) - 1)).unwrap_or(0);
        let victims = self.victims();
        while Instant::now() < until && !interrupted() {
            let victim = *self.chance.pick(victims);
            if self.chance.between(0, 2) == 0 {
                let on = *self.chance.pick(&NODES);
                let variant = self.chance.between(0, 5);
                let draft = scene::configuration(&self.lab, self.plan, &self.programs, variant);
                if !self.faults.is_frozen(on) {
                    let done =
                        self.operators.act(&self.lab, &mut self.chance, on, Some(victim), &draft);
                    self.note(done);
                }
            } else {
                let deadtime = self.deadtime();
                let begun = self.faults.begin(
                    &self.lab,
                    &mut self.chance,
                    Some(victim),
                    victims.len() == 1,
                    link,
                    deadtime,
                )?;
                self.note(Some(begun));
            }
            let next = Instant::now() + self.chance.milliseconds(100, 4000);
            while Instant::now() < next {
                self.turn(true)?;
            }
        }
        Ok(())
    }

    /// What must go on at all times.
    fn turn(&mut self, at_leisure: bool) -> Result<(), String> {
        self.faults.end(&self.lab, false);
        self.operators.reap(false);
        self.start_again(at_leisure)?;
        self.judge()?;
        std::thread::sleep(Duration::from_millis(50));
        Ok(())
    }

    fn judge(&mut self) -> Result<(), String> {
        self.outside.listen();
        if self.said.elapsed() >= Duration::from_secs(60) {
            self.said = Instant::now();
            self.figures();
            let s = &self.summary;
            let line = format!(
                "{:.0} s, {} cycles, {} faults, {} boots, {} fenced, {} looks, {} answers, quiet {:.0} s with {} \
                 lines, {} failures; {}",
                s.seconds,
                s.cycles,
                s.faults.values().sum::<u64>(),
                s.boots,
                s.fenced,
                s.probe.looks,
                s.probe.http_answers,
                s.quiet_seconds,
                s.quiet_log_lines,
                s.failures.len(),
                self.memory()
            );
            say(&self.plan.out, &line);
        }
        match (self.outside.violations.first(), self.operators.broken.first()) {
            (Some(violation), _) => Err(format!("forbidden, seen from outside: {violation}")),
            (None, Some(broken)) => Err(broken.clone()),
            (None, None) => Ok(()),
        }
    }

    /// Boots nodes that are down, starts daemons that are gone: at once, or after a while.
    fn start_again(&mut self, at_leisure: bool) -> Result<(), String> {
        for node in NODES {
            let keeper = self.lab.try_process_of(node);
            let runs = keeper.is_some_and(|keeper| !host::named(keeper, "crmd").is_empty());
            if runs {
                self.starts.remove(node);
                continue;
            }
            let wait = self.chance.milliseconds(0, if at_leisure { 8000 } else { 0 });
            let due = *self.starts.entry(node).or_insert_with(|| Instant::now() + wait);
            if Instant::now() < due {
                continue;
            }
            self.starts.remove(node);
            if keeper.is_none() {
                self.lab.power_on(node);
                self.summary.boots += 1;
                let Some(keeper) = self.lab.try_process_of(node) else { continue };
                self.outside.ask(&format!("node {node} {keeper}"), "node")?;
            }
            self.summary.daemon_starts += 1;
            self.lab.node_mut(node).spawn_daemon(&[]);
        }
        Ok(())
    }

    /// Ends every fault and every intent of an operator, and waits until all runs (I4).
    fn heal(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        self.faults.end(&self.lab, true);
        self.lab.set_fencing(FenceMode::Works);
        self.lab.set_rules(&[]);
        self.operators.reap(true);
        let limit = Duration::from_secs(180);
        let mut lacks = String::new();
        while begun.elapsed() < limit {
            self.turn(false)?;
            let Some(status) = self.lab.view() else {
                lacks = "a quorum".to_owned();
                continue;
            };
            match lacking(&status) {
                None => {
                    let took = begun.elapsed().as_secs_f64();
                    self.summary.healing_seconds_most = self.summary.healing_seconds_most.max(took);
                    return Ok(());
                }
                Some((what, repair)) => {
                    lacks = what;
                    if let Some(words) = repair {
                        let words: Vec<&str> = words.iter().map(String::as_str).collect();
                        if let Some(node) = status.coordinator.as_ref() {
                            self.lab.node(node.as_str()).try_run("crm", &words);
                        }
                    }
                }
            }
        }
        Err(format!("not well {limit:?} after the last fault; lacks {lacks}"))
    }

    /// Nothing happens, so nothing may be said, moved or grow.
    fn quiet(&mut self) -> Result<(), String> {
        let (settle, quiet) = if self.plan.short { (4, 8) } else { (10, 25) };
        self.rest(Duration::from_secs(settle))?;
        self.report(false)?;
        let lines = |lab: &Laboratory| NODES.map(|node| lab.node(node).log());
        let (before, since) = (lines(&self.lab), Instant::now());
        let quiet = Instant::now() + Duration::from_secs(quiet);
        let mut sizes = Vec::new();
        while Instant::now() < quiet {
            self.rest(Duration::from_millis(400))?;
            self.measure(&mut sizes);
        }
        self.report(true)?;
        let after = lines(&self.lab);
        let new = before.iter().zip(&after);
        let new: Vec<&str> =
            new.map(|(before, after)| after.get(before.len()..).unwrap_or_default()).collect();
        // A daemon says that it did not run for long: then this was no quiet time, whatever the others say.
        if new.iter().any(|lines| lines.contains(STALLED)) {
            self.summary.quiet_times_lost_to_a_stalled_machine += 1;
            let told: usize = new.iter().map(|lines| lines.lines().count()).sum();
            self.summary.quiet_log_lines_of_a_stalled_machine += u64::try_from(told).unwrap_or(0);
            return Ok(());
        }
        self.summary.quiet_seconds += since.elapsed().as_secs_f64();
        for (lines, node) in new.iter().zip(NODES) {
            // These tell of a machine that did not run, on which others compile: that is a change.
            let (late, lines): (Vec<&str>, Vec<&str>) =
                lines.lines().partition(|line| line.contains(LATE));
            self.summary.quiet_log_lines_of_a_stalled_machine +=
                u64::try_from(late.len()).unwrap_or(0);
            if let Some(first) = lines.first() {
                self.summary.quiet_log_lines += u64::try_from(lines.len()).unwrap_or(0);
                self.fail(format!("{node} logged while nothing happened: {first}"));
            }
        }
        self.sample(&sizes);
        Ok(())
    }

    fn rest(&mut self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.judge()?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn note(&self, what: Option<String>) {
        if let Some(what) = what {
            say(&self.plan.out, &format!("  {what}"));
        }
    }
}
