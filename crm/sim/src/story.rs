//! The commands of stories, one line each: read against a cluster's names first, carried out on a
//! world later.
//!
//! `crash|boot|kill|start|leave|upgrade NODE` (`kill` and `start` mean its daemon) ·
//! `freeze NODE SPAN` (its daemon) · `hang NODE SPAN` (the machine) · `pause NODE SPAN` (and its
//! clock) · `clock NODE SPAN` · `cut A B [LINK]` · `cut A -> B [LINK]` · `isolate A` · `heal` ·
//! `agent NODE good|fails|hangs|slow [start|stop|status]` · `dies NODE GROUP/RESOURCE` ·
//! `device NODE good|slow|loses|late|unreported|fails|lies` · `disk NODE good|full|slow` ·
//! `operator NODE COMMAND …`

use crate::agents::{Key, Mood};
use crate::clock::{Micros, SECOND};
use crate::faults::Wish;
use crate::fence::Device;
use crate::network::Path;
use crate::queue::{Happening, Seat};
use crate::world::World;
use crm_core::model::{Cluster, WITNESS};
use crm_core::operation::Action;
use crm_core::rules::Rules;
use crm_core::{Input, Shutdown};

/// One command, with every name resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Crash(Seat),
    Boot(Seat),
    Kill(Seat),
    Start(Seat),
    Leave(Seat),
    Upgrade(Seat),
    Freeze(Seat, Micros),
    Pause { seat: Seat, lasts: Micros, clock_too: bool },
    Clock(Seat, Micros),
    Cut(Vec<Path>),
    Isolate(Seat),
    Heal,
    Agent(Seat, Mood),
    Dies(Seat, Key),
    Device(Seat, Device),
    Disk(Seat, Disk),
    Operator(Seat, Wish),
}

/// How a disk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    Good,
    /// No write succeeds.
    Full,
    Slow,
}

/// A command that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// Which word, from 0.
    pub word: usize,
    pub what: String,
    pub hint: String,
}

impl Step {
    /// Reads one command.
    ///
    /// # Errors
    /// The word that does not fit, and what would.
    pub fn read(words: &[&str], cluster: &Cluster) -> Result<Step, Misread> {
        let names = Names { cluster };
        let node = |word: usize| names.node(words, word);
        let span = |word: usize| read_span(words, word);
        let most = |count: usize| match words.get(count) {
            Some(extra) => Err(misread(count, format!("`{extra}` is too much"), "end it before")),
            None => Ok(()),
        };
        let command = words.first().copied().unwrap_or_default();
        let step = match command {
            "crash" => Step::Crash(node(1)?),
            "boot" => Step::Boot(node(1)?),
            "kill" => Step::Kill(node(1)?),
            "start" => Step::Start(node(1)?),
            "leave" => Step::Leave(node(1)?),
            "upgrade" => Step::Upgrade(node(1)?),
            "isolate" => Step::Isolate(node(1)?),
            "heal" => Step::Heal,
            "freeze" => Step::Freeze(node(1)?, span(2)?),
            "hang" => Step::Pause { seat: node(1)?, lasts: span(2)?, clock_too: false },
            "pause" => Step::Pause { seat: node(1)?, lasts: span(2)?, clock_too: true },
            "clock" => Step::Clock(node(1)?, span(2)?),
            "cut" => return names.cut(words),
            "agent" => return names.agent(words),
            "dies" => Step::Dies(node(1)?, names.resource(words, 2)?),
            "device" => Step::Device(node(1)?, one_of(words, 2, DEVICES)?),
            "disk" => Step::Disk(node(1)?, one_of(words, 2, DISKS)?),
            "operator" => return Ok(Step::Operator(node(1)?, names.wish(words)?)),
            "" => return Err(misread(0, "a command is missing".to_owned(), COMMANDS)),
            other => return Err(misread(0, format!("`{other}` is not a command"), COMMANDS)),
        };
        most(match step {
            Step::Heal => 1,
            Step::Freeze(..)
            | Step::Pause { .. }
            | Step::Clock(..)
            | Step::Dies(..)
            | Step::Device(..)
            | Step::Disk(..) => 3,
            _ => 2,
        })?;
        Ok(step)
    }

    /// Carries it out. `number` is a fresh one for each cut.
    ///
    /// # Errors
    /// What cannot be done now, such as the death of what does not run.
    pub fn act<R: Rules>(&self, world: &mut World<R>, number: usize) -> Result<(), String> {
        match self {
            Step::Crash(seat) => world.power_off(*seat, "crash"),
            Step::Boot(seat) => world.boot(*seat),
            Step::Kill(seat) => world.end_daemon(*seat, "killed"),
            Step::Start(seat) => world.start_daemon(*seat),
            Step::Leave(seat) => world.shuts_down(*seat, Shutdown::Leave, 90 * SECOND),
            Step::Upgrade(seat) => world.shuts_down(*seat, Shutdown::Keep, 10 * SECOND),
            Step::Freeze(seat, lasts) => world.freezes(*seat, world.now + lasts),
            Step::Pause { seat, lasts, clock_too } => {
                world.pauses(*seat, world.now + lasts, *clock_too);
            }
            Step::Clock(seat, by) => {
                world.machines[*seat].clock.step(*by);
                world.give(*seat, Input::Wake);
            }
            Step::Cut(paths) => world.network.cut(number, paths.clone()),
            Step::Isolate(seat) => {
                let others = (0..world.machines.len()).filter(|other| other != seat);
                let paths = others.flat_map(|other| both(*seat, other, None)).collect();
                world.network.cut(number, paths);
            }
            Step::Heal => {
                for (at, datagram) in world.network.heal(world.now) {
                    world.queue.push(at, Happening::Arrives(datagram));
                }
            }
            Step::Agent(seat, mood) => world.machines[*seat].agents.mood = mood.clone(),
            Step::Dies(seat, key) => {
                if !world.machines[*seat].agents.dies(key) {
                    let node = &world.machines[*seat].id;
                    return Err(format!("{}/{} does not run on {node}", key.0, key.1));
                }
                let (boot, (group, resource)) = (world.machines[*seat].boot, key.clone());
                let changed = Happening::Changed { seat: *seat, boot, group, resource };
                world.queue.push(world.now + 5_000, changed);
            }
            Step::Device(seat, device) => {
                world.devices.moods.insert(*seat, *device);
            }
            Step::Disk(seat, state) => {
                let disk = &mut world.machines[*seat].disk;
                disk.full = *state == Disk::Full;
                disk.slowness = if *state == Disk::Slow { 3 * SECOND } else { 0 };
            }
            Step::Operator(seat, wish) => {
                if world.wish(*seat, *wish).is_none() {
                    return Err(format!("no daemon answers on {}", world.machines[*seat].id));
                }
            }
        }
        Ok(())
    }
}

/// Both directions.
pub(crate) fn both(a: Seat, b: Seat, link: Option<u8>) -> Vec<Path> {
    vec![Path { from: a, to: b, link }, Path { from: b, to: a, link }]
}

/// `5s`, `200ms`, `2m`.
///
/// # Errors
/// What a span looks like.
pub fn span(text: &str) -> Result<Micros, String> {
    crm_config::parse_duration(text)
        .map(|span| span.as_micros())
        .map_err(|_| format!("expected a time such as 5s or 200ms, found `{text}`"))
}

struct Names<'a> {
    cluster: &'a Cluster,
}

impl Names<'_> {
    fn node(&self, words: &[&str], word: usize) -> Result<Seat, Misread> {
        let nodes: Vec<&str> = self.cluster.nodes.iter().map(|node| node.id.as_str()).collect();
        let witness = self.cluster.witness.is_some().then_some(WITNESS);
        let known: Vec<&str> = nodes.into_iter().chain(witness).collect();
        find(words, word, "node", &known)
    }

    fn group(&self, words: &[&str], word: usize) -> Result<usize, Misread> {
        let known: Vec<&str> = self.cluster.groups.iter().map(|group| group.id.as_str()).collect();
        find(words, word, "group", &known)
    }

    fn resource(&self, words: &[&str], word: usize) -> Result<Key, Misread> {
        let known: Vec<String> = self
            .cluster
            .groups
            .iter()
            .flat_map(|g| g.resources.iter().map(move |r| format!("{}/{}", g.id, r.id)))
            .collect();
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        find(words, word, "resource", &names)?;
        let name = words.get(word).copied().unwrap_or_default();
        let (group, resource) = name.split_once('/').unwrap_or((name, ""));
        Ok((group.into(), resource.into()))
    }

    fn cut(&self, words: &[&str]) -> Result<Step, Misread> {
        let one_way = words.get(2) == Some(&"->");
        let to = if one_way { 3 } else { 2 };
        let (a, b) = (self.node(words, 1)?, self.node(words, to)?);
        let links = self.cluster.nodes.first().map_or(1, |node| node.links.len());
        let link = match words.get(to + 1) {
            None => None,
            Some(text) => match text.parse::<usize>() {
                Ok(number) if (1..=links).contains(&number) => u8::try_from(number - 1).ok(),
                _ => {
                    let what = format!("`{text}` is not a link");
                    return Err(misread(to + 1, what, &format!("links: 1 to {links}")));
                }
            },
        };
        if let Some(extra) = words.get(to + 2) {
            return Err(misread(to + 2, format!("`{extra}` is too much"), "end it before"));
        }
        let path = Path { from: a, to: b, link };
        Ok(Step::Cut(if one_way { vec![path] } else { both(a, b, link) }))
    }

    fn agent(&self, words: &[&str]) -> Result<Step, Misread> {
        let seat = self.node(words, 1)?;
        let mood = one_of(words, 2, MOODS)?;
        let only = match words.get(3) {
            None => None,
            Some(_) => Some(one_of(words, 3, ACTIONS)?),
        };
        if let Some(extra) = words.get(4) {
            return Err(misread(4, format!("`{extra}` is too much"), "end it before"));
        }
        let base = Mood { only, ..Mood::default() };
        Ok(Step::Agent(
            seat,
            match mood {
                Manner::Good => Mood::default(),
                Manner::Fails => Mood { fail_per_mille: 1000, ..base },
                Manner::Hangs => Mood { hang_per_mille: 1000, ..base },
                Manner::Slow => Mood { slowness: 5 * SECOND, ..base },
            },
        ))
    }

    fn wish(&self, words: &[&str]) -> Result<Wish, Misread> {
        let group = || self.group(words, 3);
        // The witness takes no groups.
        let node = |word: usize| {
            let known: Vec<&str> = self.cluster.nodes.iter().map(|node| node.id.as_str()).collect();
            find(words, word, "node", &known)
        };
        Ok(match words.get(2).copied().unwrap_or_default() {
            "start" => Wish::Start { group: group()? },
            "stop" => Wish::Stop { group: group()? },
            "restart" => Wish::Restart { group: group()? },
            "migrate" => {
                let to = words.get(4).map(|_| node(4)).transpose()?;
                Wish::Migrate { group: group()?, to }
            }
            "standby" => Wish::Standby { node: node(3)? },
            "online" => Wish::Online { node: node(3)? },
            "fence" => Wish::Fence { node: node(3)? },
            "maintenance" => Wish::Maintenance { on: one_of(words, 3, SWITCH)? },
            "clear" => Wish::Clear,
            "apply" => {
                let number = words.get(3).and_then(|text| text.parse().ok());
                let revision = number
                    .ok_or_else(|| misread(3, "a number is missing".to_owned(), "apply 1"))?;
                Wish::Apply { revision }
            }
            "stop-cluster" => Wish::StopCluster,
            "start-cluster" => Wish::StartCluster,
            other => {
                let what = format!("`{other}` is not a command of an operator");
                return Err(misread(2, what, WISHES));
            }
        })
    }
}

#[derive(Clone, Copy)]
enum Manner {
    Good,
    Fails,
    Hangs,
    Slow,
}

fn find(words: &[&str], word: usize, what: &str, known: &[&str]) -> Result<usize, Misread> {
    let hint = format!("{what}s: {}", known.join(", "));
    let Some(name) = words.get(word) else {
        return Err(misread(word, format!("the name of a {what} is missing"), &hint));
    };
    let found = known.iter().position(|known| known == name);
    found.ok_or_else(|| misread(word, format!("there is no {what} `{name}`"), &hint))
}

fn one_of<T: Copy>(words: &[&str], word: usize, known: &[(&str, T)]) -> Result<T, Misread> {
    let found = words.get(word).and_then(|text| known.iter().find(|(name, _)| name == text));
    let Some((_, value)) = found else {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let what = match words.get(word) {
            Some(text) => format!("`{text}` is not known here"),
            None => "a word is missing".to_owned(),
        };
        return Err(misread(word, what, &format!("expected one of {}", names.join(", "))));
    };
    Ok(*value)
}

fn read_span(words: &[&str], word: usize) -> Result<Micros, Misread> {
    let Some(text) = words.get(word) else {
        return Err(misread(word, "a time is missing".to_owned(), "such as 5s or 200ms"));
    };
    span(text).map_err(|what| misread(word, what, "write a number and ms, s or m"))
}

fn misread(word: usize, what: String, hint: &str) -> Misread {
    Misread { word, what, hint: hint.to_owned() }
}

const COMMANDS: &str = "commands: crash, boot, kill, start, leave, upgrade, freeze, hang, pause, clock, cut, \
     isolate, heal, agent, dies, device, disk, operator";
const WISHES: &str = "an operator can start, stop, restart, migrate, standby, online, fence, \
     maintenance, clear, apply, stop-cluster, start-cluster";
const DEVICES: &[(&str, Device)] = &[
    ("good", Device::Good),
    ("slow", Device::Slow),
    ("loses", Device::Loses),
    ("late", Device::Late),
    ("unreported", Device::Unreported),
    ("fails", Device::Fails),
    ("lies", Device::Lies),
];
const DISKS: &[(&str, Disk)] = &[("good", Disk::Good), ("full", Disk::Full), ("slow", Disk::Slow)];
const MOODS: &[(&str, Manner)] = &[
    ("good", Manner::Good),
    ("fails", Manner::Fails),
    ("hangs", Manner::Hangs),
    ("slow", Manner::Slow),
];
const ACTIONS: &[(&str, Action)] =
    &[("start", Action::Start), ("stop", Action::Stop), ("status", Action::Status)];
const SWITCH: &[(&str, bool)] = &[("on", true), ("off", false)];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Step, Misread> {
        let cluster = crate::layouts::parse(&crate::layouts::find("pair").unwrap().text()).unwrap();
        Step::read(&text.split_whitespace().collect::<Vec<_>>(), &cluster)
    }

    #[test]
    fn commands_are_read_against_the_names_of_the_cluster() {
        assert_eq!(read("crash beta"), Ok(Step::Crash(1)));
        assert_eq!(read("freeze alpha 1500ms"), Ok(Step::Freeze(0, 1_500_000)));
        let path = Path { from: 1, to: 0, link: Some(1) };
        assert_eq!(read("cut beta -> alpha 2"), Ok(Step::Cut(vec![path])));
        assert_eq!(read("operator beta maintenance on"), {
            Ok(Step::Operator(1, Wish::Maintenance { on: true }))
        });
    }

    #[test]
    fn what_is_not_understood_is_said_with_its_word_and_a_hint() {
        let wrong = [
            ("", 0, "missing"),
            ("burn alpha", 0, "`burn` is not a command"),
            ("crash", 1, "missing"),
            ("crash gamma", 1, "no node `gamma`"),
            ("crash alpha beta", 2, "too much"),
            ("freeze alpha soon", 2, "expected a time"),
            ("cut alpha beta 3", 3, "not a link"),
            ("cut alpha ->", 3, "missing"),
            ("dies alpha db", 2, "no resource `db`"),
            ("device alpha odd", 2, "not known"),
            ("agent alpha fails sometimes", 3, "not known"),
            ("operator alpha dance", 2, "not a command of an operator"),
            ("operator alpha migrate web", 3, "no group `web`"),
        ];
        for (text, word, what) in wrong {
            let error = read(text).unwrap_err();
            assert!(error.word == word && error.what.contains(what), "{text}: {error:?}");
            assert!(!error.hint.is_empty(), "{text}");
        }
    }

    /// R11, R12: what `crm why` shows of a decision names the evidence of both sides.
    #[test]
    fn r12_a_decision_keeps_the_evidence_of_both_sides() {
        use crate::rehearse::Subject;
        let subject = Subject::new(&crate::layouts::find("pair").unwrap().text()).unwrap();
        let told = crate::rehearse::decisions(&subject, "crash alpha", "beta", "db").unwrap();
        let last = told.last().unwrap();
        for part in ["alpha: silent for ", "proved dead by its device (R12)", "beta: this node"] {
            assert!(last.contains(part), "{told:?}");
        }
        let told = crate::rehearse::decisions(&subject, "operator beta migrate db", "alpha", "db");
        let told = told.unwrap();
        let last = told.last().unwrap();
        for part in ["whose stop is reported", "reported it stopped under record", "beta: heard "] {
            assert!(last.contains(part), "{told:?}");
        }
    }
}
