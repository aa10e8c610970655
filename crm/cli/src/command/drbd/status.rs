//! `crm drbd status`: what DRBD on this node says, and what that means.

use crate::output::{Failure, Output, Tone};
use crm_api::Exit;
use crm_drbd::eligibility::eligibility;
use crm_drbd::generation::{Generation, Relation};
use crm_drbd::split_brain::{Verdict, View, recognise};
use crm_drbd::state::{Amount, Disk};
use crm_drbd::{RecordWord, Resource};
use std::fmt::Write;
use std::time::Duration;

/// The longest that one of DRBD's tools may take.
const TIME: Duration = Duration::from_secs(10);

pub(super) fn run(
    only: Option<&str>,
    other: Option<&str>,
    json: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut picture = crm_agents::drbd::picture(TIME).map_err(Failure::failed)?;
    if let Some(name) = only {
        picture.retain(|known, _| known == name);
        if picture.is_empty() {
            return Err(Failure::refused(
                format!("{name} is not up on this node"),
                format!("`drbdadm up {name}` brings it up"),
            ));
        }
    }
    let other = other.map(Generation::read).transpose().map_err(|error| {
        Failure::usage(error.to_string(), "give what `drbdadm get-gi RESOURCE` printed there")
    })?;
    let all: Vec<Seen> = picture.values().map(|resource| look(resource, other)).collect();
    if json {
        let all: Vec<serde_json::Value> = all.iter().map(Seen::json).collect();
        output.json(&serde_json::json!({ "resources": all }))?;
    } else if all.is_empty() {
        output.line("DRBD has no resource up on this node")?;
    } else {
        for seen in &all {
            let text = draw(seen, output);
            output.text(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// A resource and what it comes to.
struct Seen<'a> {
    resource: &'a Resource,
    generations: Vec<(u32, Generation)>,
    relation: Option<Relation>,
    verdict: Verdict,
}

fn look<'a>(resource: &'a Resource, other: Option<Generation>) -> Seen<'a> {
    let generations: Vec<(u32, Generation)> = resource
        .volumes
        .keys()
        .filter_map(|volume| {
            let which = format!("{}/{volume}", resource.name);
            let text = crm_agents::drbd::ask(&["get-gi", &which], TIME).ok()?;
            Some((*volume, Generation::read(&text).ok()?))
        })
        .collect();
    let node = nix::unistd::gethostname()
        .map_or_else(|_| "this node".to_owned(), |name| name.to_string_lossy().into_owned());
    let here = View { node: &node, resource, generations: &generations, told: false };
    let first = resource.volumes.keys().next().copied().unwrap_or(0);
    let nothing = Resource::default();
    let theirs: Vec<(u32, Generation)> = other.map(|one| (first, one)).into_iter().collect();
    let there = View { node: "the other", resource: &nothing, generations: &theirs, told: false };
    let verdict = recognise(&here, other.is_some().then_some(&there));
    let relation = generations.first().zip(other).map(|((_, own), other)| own.relation(&other));
    Seen { resource, generations, relation, verdict }
}

impl Seen<'_> {
    fn json(&self) -> serde_json::Value {
        let answer = eligibility(self.resource, RecordWord::Silent);
        serde_json::json!({
            "resource": self.resource,
            "eligible": answer.word(),
            "reason": answer.reason(),
            "generations": self.generations.iter()
                .map(|(volume, one)| (volume.to_string(), one.to_string()))
                .collect::<std::collections::BTreeMap<_, _>>(),
            "compared_with_other": self.relation.map(|relation| relation.to_string()),
            "split_brain": match &self.verdict {
                Verdict::None => "none",
                Verdict::Possible(_) => "possible",
                Verdict::Proved(_) => "proved",
            },
            "split_brain_reason": self.verdict.to_string(),
        })
    }
}

fn draw(seen: &Seen<'_>, output: &Output) -> String {
    let resource = seen.resource;
    let mut text = String::new();
    let answer = eligibility(resource, RecordWord::Silent);
    let could = match answer.is_yes() {
        true => output.tone(Tone::Good, "this node's copy is the newest"),
        false => output.tone(Tone::Warn, &format!("this node may not serve: {}", answer.reason())),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}: {}", output.tone(Tone::Strong, &resource.name), resource.role);
    let _ = writeln!(text, "  {could}");
    if !resource.suspended.is_empty() {
        let why: Vec<&str> = resource.suspended.iter().map(String::as_str).collect();
        let held = format!("I/O is held back: {}", why.join(", "));
        let _ = writeln!(text, "  {}", output.tone(Tone::Bad, &held));
    }
    for (number, volume) in &resource.volumes {
        let device = volume.minor.map(|minor| format!(" /dev/drbd{minor}")).unwrap_or_default();
        let size = volume.statistics.size_kib.map(|kib| format!(", {}", Amount(kib)));
        let _ = writeln!(
            text,
            "  volume {number}{device}: {}{}",
            paint_disk(&volume.disk, output),
            size.unwrap_or_default()
        );
    }
    for (name, peer) in &resource.peers {
        let _ = writeln!(text, "  peer {name}: {}, {}", peer.connection, peer.role);
        for (number, volume) in &peer.volumes {
            let lacks = match volume.statistics.out_of_sync_kib {
                None | Some(0) => String::new(),
                Some(kib) => format!(", {} differ", Amount(kib)),
            };
            let resync =
                volume.resync.map(|resync| format!(", resync {resync}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "    volume {number}: {}, {}{lacks}{resync}",
                volume.replication,
                paint_disk(&volume.disk, output)
            );
        }
    }
    for (volume, generation) in &seen.generations {
        let _ = writeln!(text, "  identifiers of volume {volume}: {generation}");
    }
    if let Some(relation) = seen.relation {
        let _ = writeln!(text, "  compared with the other node's copy: {relation}");
    }
    let verdict = seen.verdict.to_string();
    let _ = match seen.verdict {
        Verdict::None => Ok(()),
        Verdict::Possible(_) => writeln!(text, "  {}", output.tone(Tone::Warn, &verdict)),
        Verdict::Proved(_) => writeln!(text, "  {}", output.tone(Tone::Bad, &verdict)),
    };
    text
}

fn paint_disk(disk: &Disk, output: &Output) -> String {
    let tone = match disk {
        Disk::UpToDate => Tone::Good,
        Disk::DUnknown | Disk::Consistent => Tone::Warn,
        _ => Tone::Bad,
    };
    output.tone(tone, disk.word())
}
