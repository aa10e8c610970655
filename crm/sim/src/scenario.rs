//! Stories as text: commands, a line `----`, and what is to be seen. The runner rewrites what is
//! to be seen when `UPDATE=1` is set, so that a change of behaviour is read as a difference.
//!
//! `cluster LAYOUT [seed=N]` · `run SPAN` · `crash|boot|kill|start|leave|upgrade NODE` ·
//! `freeze NODE SPAN` · `cut A B` · `cut A -> B` · `isolate A` · `heal` ·
//! `agent NODE good|fails|hangs|slow [start|stop|status]` · `dies NODE GROUP/RESOURCE` ·
//! `device NODE good|slow|loses|late|unreported|fails` · `keys add|switch|drop NODE…` ·
//! `operator NODE COMMAND …`

use crate::agents::{Mood, State};
use crate::clock::{Micros, SECOND};
use crate::faults::Wish;
use crate::fence::Device;
use crate::layouts;
use crate::network::Path;
use crate::plan::{Begin, Plan, Profile};
use crate::queue::{Happening, Seat};
use crate::trace::Trace;
use crate::world::World;
use crm_core::Shutdown;
use crm_core::operation::Action;
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
        let seat = |world: &World<Sound>, name: &str| {
            world.seat_of(&name.into()).ok_or_else(|| format!("no node is called {name}"))
        };
        match words[..] {
            ["run", span] => {
                let until = world.now + duration(span)?;
                world.run_until(until);
                return show(world);
            }
            ["crash", node] => {
                let seat = seat(world, node)?;
                world.power_off(seat, "crash");
            }
            ["boot", node] => {
                let seat = seat(world, node)?;
                world.boot(seat);
            }
            ["kill", node] => {
                let seat = seat(world, node)?;
                world.end_daemon(seat, "killed");
            }
            ["start", node] => {
                let seat = seat(world, node)?;
                world.start_daemon(seat);
            }
            ["leave", node] => {
                let seat = seat(world, node)?;
                world.shuts_down(seat, Shutdown::Leave, 90 * SECOND);
            }
            ["upgrade", node] => {
                let seat = seat(world, node)?;
                world.shuts_down(seat, Shutdown::Keep, 10 * SECOND);
            }
            ["freeze", node, span] => {
                let (seat, until) = (seat(world, node)?, world.now + duration(span)?);
                world.freezes(seat, until);
            }
            ["cut", a, "->", b] => {
                let path = Path { from: seat(world, a)?, to: seat(world, b)?, link: None };
                self.cuts += 1;
                world.network.cut(self.cuts, vec![path]);
            }
            ["cut", a, b] => {
                let (a, b) = (seat(world, a)?, seat(world, b)?);
                self.cuts += 1;
                world.network.cut(self.cuts, both(a, b));
            }
            ["isolate", a] => {
                let a = seat(world, a)?;
                self.cuts += 1;
                let others = (0..world.machines.len()).filter(|b| *b != a);
                world.network.cut(self.cuts, others.flat_map(|b| both(a, b)).collect());
            }
            ["heal"] => {
                for (at, datagram) in world.network.heal(world.now) {
                    world.queue.push(at, Happening::Arrives(datagram));
                }
            }
            ["agent", node, mood, ref only @ ..] => {
                let seat = seat(world, node)?;
                world.machines[seat].agents.mood = parse_mood(mood, only)?;
            }
            ["dies", node, name] => {
                let seat = seat(world, node)?;
                let (group, resource) = name.split_once('/').ok_or("expected GROUP/RESOURCE")?;
                let key = (group.into(), resource.into());
                if !world.machines[seat].agents.dies(&key) {
                    return Err(format!("{name} does not run on {node}"));
                }
                let (boot, (group, resource)) = (world.machines[seat].boot, key);
                let changed = Happening::Changed { seat, boot, group, resource };
                world.queue.push(world.now + 5_000, changed);
            }
            ["device", node, device] => {
                let seat = seat(world, node)?;
                world.devices.moods.insert(seat, parse_device(device)?);
            }
            ["keys", what, ref nodes @ ..] => return self.keys(what, nodes),
            ["operator", node, ref command @ ..] => {
                let seat = seat(world, node)?;
                let wish = parse_wish(world, command)?;
                world.wish(seat, wish);
            }
            _ => return Err("not a command".to_owned()),
        }
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

fn both(a: Seat, b: Seat) -> Vec<Path> {
    vec![Path { from: a, to: b, link: None }, Path { from: b, to: a, link: None }]
}

/// What the nodes said since the last time, and where everything stands in truth.
fn show(world: &mut World<Sound>) -> Result<String, String> {
    if let Some(violation) = &world.ghost.violation {
        return Err(format!("{}: {}", violation.invariant, violation.detail));
    }
    let mut text = String::new();
    for line in world.trace.take_lines() {
        let mut words = line.get(14..).unwrap_or_default().split_whitespace();
        let (who, what) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if SHOWN.contains(&what) {
            let rest: Vec<&str> = words.collect();
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

fn duration(text: &str) -> Result<Micros, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1_000),
        None => (text.strip_suffix('s').unwrap_or(text), SECOND),
    };
    number
        .parse::<u64>()
        .map(|n| n * unit)
        .map_err(|_| format!("expected 5s or 200ms, found {text}"))
}

fn parse_mood(mood: &str, only: &[&str]) -> Result<Mood, String> {
    let only = match only {
        [] => None,
        ["start"] => Some(Action::Start),
        ["stop"] => Some(Action::Stop),
        ["status"] => Some(Action::Status),
        _ => return Err("expected start, stop or status".to_owned()),
    };
    let base = Mood { only, ..Mood::default() };
    Ok(match mood {
        "good" => Mood::default(),
        "fails" => Mood { fail_per_mille: 1000, ..base },
        "hangs" => Mood { hang_per_mille: 1000, ..base },
        "slow" => Mood { slowness: 5 * SECOND, ..base },
        _ => return Err("expected good, fails, hangs or slow".to_owned()),
    })
}

fn parse_device(device: &str) -> Result<Device, String> {
    Ok(match device {
        "good" => Device::Good,
        "slow" => Device::Slow,
        "loses" => Device::Loses,
        "late" => Device::Late,
        "unreported" => Device::Unreported,
        "fails" => Device::Fails,
        _ => return Err("expected good, slow, loses, late, unreported or fails".to_owned()),
    })
}

fn parse_wish(world: &World<Sound>, words: &[&str]) -> Result<Wish, String> {
    let layout = world.plan.layout;
    let group = |name: &str| {
        let found = layout.groups.iter().position(|group| group.name == name);
        found.ok_or_else(|| format!("no group is called {name}"))
    };
    let node = |name: &str| {
        let found = layout.nodes.iter().position(|node| *node == name);
        found.ok_or_else(|| format!("no node is called {name}"))
    };
    Ok(match *words {
        ["start", name] => Wish::Start { group: group(name)? },
        ["stop", name] => Wish::Stop { group: group(name)? },
        ["restart", name] => Wish::Restart { group: group(name)? },
        ["migrate", name] => Wish::Migrate { group: group(name)?, to: None },
        ["migrate", name, to] => Wish::Migrate { group: group(name)?, to: Some(node(to)?) },
        ["standby", name] => Wish::Standby { node: node(name)? },
        ["online", name] => Wish::Online { node: node(name)? },
        ["fence", name] => Wish::Fence { node: node(name)? },
        ["maintenance", on] => Wish::Maintenance { on: on == "on" },
        ["clear"] => Wish::Clear,
        ["apply", revision] => {
            Wish::Apply { revision: revision.parse().map_err(|_| "expected a number")? }
        }
        ["stop-cluster"] => Wish::StopCluster,
        ["start-cluster"] => Wish::StartCluster,
        _ => return Err("not a command of an operator".to_owned()),
    })
}

/// Lines of the trace that a story shows.
const SHOWN: &[&str] = &["event", "warning", "error", "fenced", "answers", "power-off"];
/// A story heals when it says so.
const NEVER: Micros = 1 << 60;
