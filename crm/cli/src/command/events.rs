//! `crm events`: what happened on this node since its daemon started.

use crate::args::{Events, Place};
use crate::output::{Failure, Output, Tone};
use crm_api::{Client, Exit, StampedEvent};
use crm_core::event::Severity;

pub(crate) fn run(place: &Place, args: &Events, output: &mut Output) -> Result<Exit, Failure> {
    if let Some(last) = args.last {
        let client = Client::connect(place.socket())?;
        let all: Result<Vec<StampedEvent>, _> = client.stream(None, false)?.collect();
        let all = all?;
        let from = all.len().saturating_sub(last);
        for event in all.iter().skip(from) {
            print(event, args.json, output)?;
        }
        if !args.follow {
            return Ok(Exit::Done);
        }
        let since = all.last().map(|event| event.number);
        return stream(place, since, args, output);
    }
    stream(place, None, args, output)
}

fn stream(
    place: &Place,
    since: Option<u64>,
    args: &Events,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let client = Client::connect(place.socket())?;
    for event in client.stream(since, args.follow)? {
        print(&event?, args.json, output)?;
    }
    Ok(Exit::Done)
}

fn print(stamped: &StampedEvent, json: bool, output: &mut Output) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string(stamped)
            .map_err(|error| Failure::failed(format!("cannot print this as JSON: {error}")))?;
        return output.line(text);
    }
    let event = &stamped.event;
    let tone = match event.severity {
        Severity::Info => Tone::Faint,
        Severity::Warning => Tone::Warn,
        Severity::Error => Tone::Bad,
    };
    let kind = output.tone(tone, &format!("{:<18}", event.kind));
    let mut text = format!("{} {kind} ", stamped.time);
    if let Some(group) = &event.group {
        text.push_str(&format!("[{group}"));
        if let Some(resource) = &event.resource {
            text.push_str(&format!("/{resource}"));
        }
        text.push_str("] ");
    }
    text.push_str(&event.text);
    output.line(text)
}
