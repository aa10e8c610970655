//! One run as a story: what happened when, as people read it.

use super::trial::Stage;
use super::{Case, Subject, Trial, try_once};
use crate::clock::Micros;
use crate::random::Random;
use crate::story::{self, Misread, Step};
use crate::trace::Entry;
use std::fmt;

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the first fault, or since the cluster was up.
    pub at: Micros,
    /// A node, or `*` for what happens to all or to the world.
    pub who: String,
    pub text: String,
    /// A fault, a group that goes down or comes up: what a reader looks for first.
    pub weighty: bool,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { at, who, text, weighty } = self;
        let mark = if *weighty { '>' } else { ' ' };
        write!(f, "{:>5}.{:03}s {mark} {who:<10} {text}", at / 1_000_000, at / 1_000 % 1_000)
    }
}

/// A run that `crm verify` made, again; `packets` shows what nodes say and write, too.
///
/// # Errors
/// A configuration that the parser refuses.
pub fn replay(
    subject: &Subject,
    case: &Case,
    packets: bool,
) -> Result<(Vec<Moment>, Trial), String> {
    let mut trial = try_once(subject, case, true)?;
    let moments = tell(std::mem::take(&mut trial.entries), trial.struck_at, packets);
    Ok((moments, trial))
}

/// Runs a cluster through events of the form `10s crash alpha; 30s cut alpha beta`, counted from the
/// moment when it is up, and then for `lasts`, or until nothing more is to be expected.
///
/// # Errors
/// An event that is not understood: where, what, and what would be.
pub fn simulate(
    subject: &Subject,
    events: &str,
    seed: u64,
    lasts: Option<Micros>,
    packets: bool,
) -> Result<Vec<Moment>, String> {
    let events = read(subject, events)?;
    let mut stage = Stage::open(subject, Random::new(seed).fork("simulate").next(), true)?;
    stage.warm_up();
    let up = stage.world.now;
    for (number, event) in events.iter().enumerate() {
        stage.until(up + event.at);
        let at = stage.world.now;
        stage.world.trace.line(at, "*", "fault", format_args!("{}", event.text));
        if let Err(error) = event.step.act(&mut stage.world, number) {
            stage.world.trace.line(at, "*", "fault", format_args!("nothing happens: {error}"));
        }
        stage.look();
    }
    match lasts {
        Some(lasts) => stage.until(up + lasts),
        None => stage.settle(subject.quiet, subject.longest),
    }
    Ok(tell(stage.world.trace.take(), up, packets))
}

/// What `crm why` would show on a node of the decisions about a group, after a command of a story.
#[cfg(test)]
pub(crate) fn decisions(
    subject: &Subject,
    command: &str,
    node: &str,
    group: &str,
) -> Result<Vec<String>, String> {
    let mut stage = Stage::open(subject, 1, false)?;
    stage.warm_up();
    let words: Vec<&str> = command.split_whitespace().collect();
    let step = Step::read(&words, &subject.cluster).map_err(|misread| misread.what)?;
    step.act(&mut stage.world, 0)?;
    stage.settle(subject.quiet, subject.longest);
    let machine = stage.world.machines.iter().find(|machine| machine.id.as_str() == node);
    let daemon = machine.and_then(|machine| machine.daemon.as_ref().map(|d| (machine, d)));
    let (machine, daemon) = daemon.ok_or("no daemon")?;
    let status = daemon.node.status(machine.clock.read(stage.world.now));
    let found = status.groups.into_iter().find(|known| known.id.as_str() == group);
    Ok(found.ok_or("no group")?.decisions)
}

#[derive(Clone, Debug)]
struct Event {
    at: Micros,
    text: String,
    step: Step,
}

/// Reads events, parted by `;` or by lines; `#` begins a remark.
fn read(subject: &Subject, text: &str) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    for (row, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut from = 0;
        for part in line.split(';') {
            let words: Vec<&str> = part.split_whitespace().collect();
            let start = from;
            from += part.len() + 1;
            let Some((time, command)) = words.split_first() else { continue };
            let place = |word: usize| {
                let offset = match words.get(word) {
                    Some(word) => (word.as_ptr() as usize).saturating_sub(line.as_ptr() as usize),
                    None => start + part.trim_end().len(),
                };
                let column = line.get(..offset).unwrap_or_default().chars().count() + 1;
                format!("events, line {}, column {column}", row + 1)
            };
            let at = story::span(time).map_err(|what| {
                format!(
                    "{}: {what}\nhint: each event begins with its time: 10s crash NODE",
                    place(0)
                )
            })?;
            let step = Step::read(command, &subject.cluster).map_err(|misread| {
                let Misread { word, what, hint } = misread;
                format!("{}: {what}\nhint: {hint}", place(word + 1))
            })?;
            events.push(Event { at, text: command.join(" "), step });
        }
    }
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// What of a trace is told, from `zero` on.
fn tell(entries: Vec<Entry>, zero: Micros, packets: bool) -> Vec<Moment> {
    // Where everything was at the beginning is what was told last about each group.
    let mut before: Vec<Moment> = Vec::new();
    let mut moments = Vec::new();
    for Entry { at, who, what, rest } in entries {
        let Some((text, weighty)) = words(&what, &rest, packets) else { continue };
        let moment = Moment { at: at.saturating_sub(zero), who, text, weighty };
        if at >= zero {
            moments.push(moment);
        } else if what == "group" {
            let name = rest.split_whitespace().next().unwrap_or_default().to_owned();
            before.retain(|known| known.text.split_whitespace().next() != Some(&name));
            before.push(moment);
        }
    }
    before.extend(moments);
    before
}

/// A line of the trace for people, and whether it is weighty.
fn words(what: &str, rest: &str, packets: bool) -> Option<(String, bool)> {
    let plain = |text: String| Some((text, false));
    match what {
        "fault" | "group" => Some((rest.to_owned(), true)),
        "VIOLATION" => Some((format!("A PROMISE BREAKS: {rest}"), true)),
        "repaired" => Some((format!("repaired: {rest}"), true)),
        "event" => plain(rest.to_owned()),
        "warning" | "error" => plain(format!("{what}: {rest}")),
        "power-on" => plain("power on".to_owned()),
        "power-off" => Some((format!("power off: {rest}"), true)),
        "starts" => plain("crmd starts".to_owned()),
        "ends" => plain(format!("crmd ends: {rest}")),
        "freezes" => plain("crmd gets no time".to_owned()),
        "thaws" => plain("crmd gets time again".to_owned()),
        "stands still" | "goes on" => plain(format!("the machine {what}")),
        "fence" => plain(format!("asks the device to switch off {rest}")),
        "fenced" => plain(format!("the device answers {rest}")),
        "start" | "stop" | "cancels" => plain(format!("{what} {rest}")),
        "ended" => plain(format!("ended: {rest}")),
        "watchdog" => plain(format!("watchdog {rest}")),
        "operator" => plain(format!("an operator asks {rest}")),
        "answers" => plain(format!("the operator is answered {rest}")),
        "says" | "writes" if packets => plain(format!("{what} {rest}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject::new(&crate::layouts::find("pair").unwrap().text()).unwrap()
    }

    #[test]
    fn events_are_read_in_order_with_their_places() {
        let events = read(&subject(), "30s boot alpha; 10s crash alpha\n# later\n1m heal").unwrap();
        let times: Vec<Micros> = events.iter().map(|event| event.at / 1_000_000).collect();
        assert_eq!(times, [10, 30, 60]);
        let wrong = [
            ("10s crash alpha; 20s burn beta", "line 1, column 22: `burn`"),
            ("10s crash alpha\n soon boot alpha", "line 2, column 2: expected a time"),
            ("10s crash", "line 1, column 10: the name of a node is missing"),
            ("10s crash älpha; 5s", "line 1, column 11: there is no node `älpha`"),
            ("5s", "line 1, column 3: a command is missing"),
        ];
        for (text, start) in wrong {
            let error = read(&subject(), text).unwrap_err();
            assert!(error.contains(start) && error.contains("\nhint: "), "{text}: {error}");
        }
    }

    #[test]
    fn a_story_tells_what_became_of_each_group() {
        let told = simulate(&subject(), "1s crash alpha", 1, None, false).unwrap();
        let text: Vec<String> = told.iter().map(ToString::to_string).collect();
        let at = |part: &str| text.iter().position(|line| line.contains(part));
        let (down, up) = (at("db is down").unwrap(), at("db runs on beta").unwrap());
        assert!(at("db runs on alpha").unwrap() < down && down < up, "{text:#?}");
        assert!(text.iter().any(|line| line.contains("proved dead by its device")), "{text:#?}");
        assert_eq!(simulate(&subject(), "1s crash alpha", 1, None, false).unwrap(), told);
    }
}
