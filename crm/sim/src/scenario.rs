//! Stories as text: commands, a line `----`, and what is to be seen. The runner rewrites what is
//! to be seen when `UPDATE=1` is set, so that a change of behaviour is read as a difference.
//!
//! `cluster LAYOUT [seed=N]` · `run SPAN` · `keys add|switch|drop NODE…` · and the commands of
//! [`crate::story`].

use crate::agents::State;
use crate::clock::Micros;
use crate::layouts;
use crate::plan::{Begin, Plan, Profile};
use crate::story::{self, Misread, Step};
use crate::trace::{Entry, Trace};
use crate::world::World;
use crm_core::rules::Sound;
use std::fmt::Write;

/// Runs a scenario text and returns it with what was seen in place of what was expected.
///
/// # Errors
/// The line that is not understood, or a promise that broke.
pub fn rewrite(text: &str) -> Result<String, String> {
    let mut stage = Stage { world: None, cuts: 0, keys: None };
    let mut output = String::new();
    let mut expected = false;
    let mut seen = String::new();
    for (number, line) in text.lines().enumerate() {
        if line == "----" {
            let _ = writeln!(output, "----");
            output.push_str(&seen);
            seen.clear();
            expected = true;
        } else if line.is_empty() {
            expected = false;
            output.push('\n');
        } else if !expected {
            let _ = writeln!(output, "{line}");
            let command = line.split('#').next().unwrap_or_default().trim();
            if !command.is_empty() {
                let at = |error: String| format!("line {}: {line}: {error}", number + 1);
                seen.push_str(&stage.command(command).map_err(at)?);
            }
        }
    }
    Ok(output)
}

struct Stage {
    world: Option<World<Sound>>,
    cuts: usize,
    keys: Option<String>,
}

impl Stage {
    fn command(&mut self, line: &str) -> Result<String, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["cluster", layout, ref rest @ ..] = words[..] {
            return self.cluster(layout, rest);
        }
        let Some(world) = &mut self.world else { return Err("no cluster yet".to_owned()) };
        match words[..] {
            ["run", span] => {
                let until = world.now + story::span(span)?;
                world.run_until(until);
                return show(world);
            }
            ["keys", what, ref nodes @ ..] => return self.keys(what, nodes),
            _ => {}
        }
        let said = |wrong: Misread| format!("{} ({})", wrong.what, wrong.hint);
        let step = Step::read(&words, &world.cluster).map_err(said)?;
        self.cuts += 1;
        step.act(world, self.cuts)?;
        Ok(String::new())
    }

    fn cluster(&mut self, name: &str, rest: &[&str]) -> Result<String, String> {
        let layout = layouts::find(name).ok_or_else(|| format!("no layout is called {name}"))?;
        let seed = rest.first().and_then(|word| word.strip_prefix("seed=")).unwrap_or("1");
        let plan = Plan {
            seed: seed.parse().map_err(|_| format!("expected seed=NUMBER, found {seed}"))?,
            layout,
            profile: Profile::Calm,
            faults: Vec::new(),
            acts: Vec::new(),
            heals: NEVER,
            begin: Begin::Founded,
            last_blow: None,
            breaks: None,
        };
        let world = World::new(plan, Trace::whole())?;
        self.keys = Some(world.key_text.clone());
        self.world = Some(world);
        Ok(String::new())
    }

    fn keys(&mut self, what: &str, nodes: &[&str]) -> Result<String, String> {
        let (Some(world), Some(text)) = (&mut self.world, &self.keys) else {
            return Err("no cluster yet".to_owned());
        };
        let next = match what {
            "add" => {
                let random = std::array::from_fn(|i| i as u8 + 7);
                crm_wire::add_key("authkeys", text, random).map(|(_, text)| text)
            }
            "switch" => crm_wire::switch_sending("authkeys", text, crm_wire::KeyId(2)),
            "drop" => crm_wire::drop_key("authkeys", text, crm_wire::KeyId(1)),
            _ => return Err("expected add, switch or drop".to_owned()),
        };
        let next = next.map_err(|error| error.to_string())?.to_string();
        let keys = crm_wire::AuthKeys::parse("authkeys", &next).map_err(|e| e.to_string())?;
        for machine in &mut world.machines {
            if nodes.contains(&machine.id.as_str())
                && let Some(daemon) = &mut machine.daemon
            {
                daemon.envelope.change_keys(keys.clone());
            }
        }
        // The next step begins from this file, as soon as the last machine has it.
        if world.machines.last().is_some_and(|last| nodes.contains(&last.id.as_str())) {
            world.keys = keys;
            self.keys = Some(next);
        }
        Ok(String::new())
    }
}

/// What the nodes said since the last time, and where everything stands in truth.
fn show(world: &mut World<Sound>) -> Result<String, String> {
    if let Some(violation) = &world.ghost.violation {
        return Err(format!("{}: {}", violation.invariant, violation.detail));
    }
    let mut text = String::new();
    for Entry { who, what, rest, .. } in world.trace.take() {
        if SHOWN.contains(&what.as_str()) {
            let rest: Vec<&str> = rest.split_whitespace().collect();
            let _ = writeln!(text, "{who}: {what} {}", rest.join(" "));
        }
    }
    for machine in &world.machines {
        let mut line = format!("{:<9}", machine.id);
        match (&machine.daemon, machine.powered) {
            (_, false) => line.push_str("off"),
            (None, true) => line.push_str("up, no daemon"),
            (Some(daemon), true) => {
                let status = daemon.node.status(machine.clock.read(world.now));
                let leads = status.coordinator.as_ref() == Some(&machine.id);
                let role = if leads && status.complete {
                    "coordinates"
                } else if status.quorum {
                    "follows"
                } else {
                    "alone"
                };
                let _ = write!(line, "up, {role}, epoch {}", status.epoch);
            }
        }
        for group in &world.cluster.groups {
            let states: Vec<State> = group
                .resources
                .iter()
                .map(|r| machine.agents.state(&(group.id.clone(), r.id.clone())))
                .collect();
            if states.iter().any(|state| state.holds()) {
                let whole = states.iter().all(|state| *state == State::Running);
                let _ =
                    write!(line, ", {} {}", group.id, if whole { "runs" } else { "is half up" });
            }
        }
        let _ = writeln!(text, "{line}");
    }
    Ok(text)
}

/// Lines of the trace that a story shows.
const SHOWN: &[&str] = &["event", "warning", "error", "fenced", "answers", "power-off"];
/// A story heals when it says so.
const NEVER: Micros = 1 << 60;
