//! `crm start`, `stop`, `migrate` and the others that change something: ask, wait, say.

use crate::args::{Change, Place, Waiting};
use crate::output::{Failure, Output, say};
use crate::session::Session;
use crate::wait::{Progress, phase, wait};
use crm_api::{Exit, Reply, Request};
use crm_core::id::{GroupId, NodeId, Stamp};
use crm_core::operator::Command;
use crm_core::packet::GroupPhase;
use crm_core::status::{GroupStatus, NodeState, Status};
use crm_core::time::Span;
use std::io::{BufRead, IsTerminal};
use std::time::Duration;

pub(crate) fn run(place: &Place, change: Change, output: &mut Output) -> Result<Exit, Failure> {
    let mut session = Session::open(place)?;
    match change {
        Change::Promote(promote) => super::promote::run(&mut session, &promote, output),
        Change::Start { group: Some(group), waiting, .. } => {
            start(&mut session, &GroupId::new(&group), waiting, output)
        }
        Change::Start { group: None, waiting, .. } => all(&mut session, true, waiting, output),
        Change::Stop { group: Some(group), waiting, .. } => {
            stop(&mut session, &GroupId::new(&group), waiting, output)
        }
        Change::Stop { group: None, waiting, .. } => all(&mut session, false, waiting, output),
        Change::Restart { group, waiting } => {
            restart(&mut session, &GroupId::new(&group), waiting, output)
        }
        Change::Migrate { group, node, waiting } => {
            migrate(&mut session, &GroupId::new(&group), node.as_deref(), waiting, output)
        }
        Change::Standby { node, waiting } => standby(&mut session, &node, waiting, output),
        Change::Online { node, .. } => {
            let said = session.change(Command::Online { node: NodeId::new(&node) })?;
            done(output, &said)
        }
        Change::Maintenance { switch, lasts } => {
            let lasts = lasts.as_deref().map(duration).transpose()?;
            let said = session.change(Command::Maintenance { on: switch == "on", lasts })?;
            done(output, &said)
        }
        Change::Clear { group, node } => {
            let group = group.as_deref().map(GroupId::new);
            let node = node.as_deref().map(NodeId::new);
            let said = session.change(Command::Clear { group, node })?;
            done(output, &said)
        }
        Change::Fence { node, waiting } => fence(&mut session, &node, waiting, output),
        Change::FenceDrill { node, cycle, yes } => {
            super::fence_drill::run(&mut session, &node, cycle, yes, output)
        }
        Change::ConfirmDead { node, i_am_certain } => {
            confirm_dead(&mut session, &node, i_am_certain, output)
        }
        Change::Leave => ending(&mut session, Request::Leave, output),
        Change::Keep => ending(&mut session, Request::Keep, output),
    }
}

pub(super) fn done(output: &mut Output, text: &str) -> Result<Exit, Failure> {
    output.line(text)?;
    Ok(Exit::Done)
}

pub(super) fn why(group: &GroupId) -> String {
    format!("`crm why {group}` tells more")
}

pub(super) fn find<'a>(status: &'a Status, group: &GroupId) -> Option<&'a GroupStatus> {
    status.groups.iter().find(|found| found.id == *group)
}

/// Running where it is granted, nothing in the way.
pub(super) fn runs(status: &Status, group: &GroupId, on: Option<&NodeId>) -> Progress {
    let Some(found) = find(status, group) else {
        return Progress::Failed(format!("group {group} is no longer in the configuration"));
    };
    let there = on.is_none() || found.owner.as_ref() == on;
    match found.phase {
        GroupPhase::Running if there && !found.ending => Progress::Done,
        GroupPhase::StopFailed => Progress::Failed(format!("group {group}: {}", found.reason)),
        _ if found.owner.is_none() && !found.failures.is_empty() => {
            Progress::Failed(format!("group {group} runs nowhere: {}", found.reason))
        }
        other => {
            let where_now = found.owner.as_ref().map_or_else(String::new, |n| format!(" on {n}"));
            Progress::Waiting(format!(
                "group {group} is {}{where_now}: {}",
                phase(other),
                found.reason
            ))
        }
    }
}

fn start(
    session: &mut Session,
    group: &GroupId,
    waiting: Waiting,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let said = session.change(Command::Start { group: group.clone() })?;
    if waiting.no_wait {
        return done(output, &said);
    }
    wait(session, limit(waiting), &why(group), |status| runs(status, group, None))?;
    let status = session.status()?;
    let on = find(&status, group).and_then(|found| found.owner.clone());
    let on = on.map_or_else(String::new, |node| format!(" on {node}"));
    done(output, &format!("group {group} runs{on}"))
}

fn stop(
    session: &mut Session,
    group: &GroupId,
    waiting: Waiting,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let said = session.change(Command::Stop { group: group.clone() })?;
    if waiting.no_wait {
        return done(output, &said);
    }
    wait(session, limit(waiting), &why(group), |status| is_stopped(status, group))?;
    done(output, &format!("group {group} is stopped"))
}

fn is_stopped(status: &Status, group: &GroupId) -> Progress {
    match find(status, group) {
        None => Progress::Done,
        Some(found) if found.owner.is_none() => Progress::Done,
        Some(found) if found.phase == GroupPhase::StopFailed => {
            Progress::Failed(format!("group {group} did not stop: {}", found.reason))
        }
        Some(found) => Progress::Waiting(format!("group {group} is {}", phase(found.phase))),
    }
}

fn all(
    session: &mut Session,
    up: bool,
    waiting: Waiting,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let command = if up { Command::StartCluster } else { Command::StopCluster };
    let said = session.change(command)?;
    if waiting.no_wait {
        return done(output, &said);
    }
    wait(session, limit(waiting), "`crm status` shows every group", |status| {
        for group in &status.groups {
            let progress = if up {
                if group.stopped_by_operator {
                    continue;
                }
                runs(status, &group.id, None)
            } else {
                is_stopped(status, &group.id)
            };
            if !matches!(progress, Progress::Done) {
                return progress;
            }
        }
        Progress::Done
    })?;
    done(output, if up { "the cluster runs" } else { "every group is stopped" })
}

fn restart(
    session: &mut Session,
    group: &GroupId,
    waiting: Waiting,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let said = session.change(Command::Restart { group: group.clone() })?;
    if waiting.no_wait {
        return done(output, &said);
    }
    // A restart can be over between two looks; that it begins is given a moment to be seen.
    let mut looks = 0;
    let mut left = false;
    wait(session, limit(waiting), &why(group), |status| {
        looks += 1;
        let progress = runs(status, group, None);
        left |= !matches!(progress, Progress::Done);
        if matches!(progress, Progress::Done) && !left && looks < 10 {
            return Progress::Waiting(format!("group {group} has not begun to restart"));
        }
        progress
    })?;
    done(output, &format!("group {group} was restarted"))
}

fn migrate(
    session: &mut Session,
    group: &GroupId,
    node: Option<&str>,
    waiting: Waiting,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let before = session.status()?;
    let from = find(&before, group).and_then(|found| found.owner.clone());
    let to = node.map(NodeId::new);
    let said = session.change(Command::Migrate { group: group.clone(), to: to.clone() })?;
    if waiting.no_wait || (to.is_some() && to == from) {
        return done(output, &said);
    }
    let mut arrived = None;
    wait(session, limit(waiting), &why(group), |status| {
        let Some(found) = find(status, group) else { return runs(status, group, None) };
        let moved = found.owner != from || to.is_some() && found.owner == to;
        // The pin ends when the group has arrived or the move has failed.
        if found.pinned_to.is_none()
            && found.owner == from
            && found.phase == GroupPhase::Running
            && !found.ending
        {
            let failures: Vec<String> =
                found.failures.iter().map(|(node, text)| format!("on {node} {text}")).collect();
            let detail =
                if failures.is_empty() { found.reason.clone() } else { failures.join("; ") };
            return Progress::Failed(format!("group {group} did not move: {detail}"));
        }
        arrived.clone_from(&found.owner);
        match runs(status, group, to.as_ref()) {
            Progress::Done if !moved => {
                Progress::Waiting(format!("group {group} has not moved yet"))
            }
            progress => progress,
        }
    })?;
    let arrived = arrived.map_or_else(String::new, |node| format!(" on {node}"));
    done(output, &format!("group {group} runs{arrived}"))
}

fn standby(
    session: &mut Session,
    node: &str,
    waiting: Waiting,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let id = NodeId::new(node);
    let said = session.change(Command::Standby { node: id.clone() })?;
    if waiting.no_wait {
        return done(output, &said);
    }
    wait(session, limit(waiting), "`crm status` shows what is left there", |status| {
        let left: Vec<&str> = status
            .groups
            .iter()
            .filter(|group| group.owner.as_ref() == Some(&id))
            .map(|group| group.id.as_str())
            .collect();
        if left.is_empty() {
            Progress::Done
        } else {
            Progress::Waiting(format!("still on {node}: {}", left.join(", ")))
        }
    })?;
    done(output, &format!("node {node} runs nothing"))
}

fn fence(
    session: &mut Session,
    node: &str,
    waiting: Waiting,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let question = format!("power node {node} off, with everything that runs there?");
    if !waiting.yes && !agreed(&question)? {
        return Err(Failure::refused("not confirmed", "--yes answers the question beforehand"));
    }
    let said = session.change(Command::Fence { node: NodeId::new(node) })?;
    done(output, &said)
}

/// R20: the operator types the name, sees when the node was last heard, and is refused while
/// anybody hears it.
fn confirm_dead(
    session: &mut Session,
    node: &str,
    certain: Option<String>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let status = session.status()?;
    let Some(found) = status.nodes.iter().find(|found| found.id.as_str() == node) else {
        return Err(Failure::refused(format!("there is no node {node}"), "see `crm status`"));
    };
    if matches!(found.state, NodeState::Online | NodeState::Joining) {
        return Err(Failure::refused(
            format!("node {node} is heard, so it is not dead"),
            "power it off first; if it only has to be emptied: `crm standby`",
        ));
    }
    say(price_of_the_word(node, found.silent_for, status.quorum, status.stamp));
    let typed = match certain {
        Some(typed) => typed,
        None => question("type its name to say that its power is off: ")?,
    };
    if typed.trim() != node {
        return Err(Failure::refused("the name does not match", "nothing was changed"));
    }
    let said = session.change(Command::ConfirmDead { node: NodeId::new(node) })?;
    done(output, &said)
}

/// R20: what an operator accepts who calls a node dead. Where somebody leads, the record is whole without it; where nobody
/// does, the word itself makes the record of this side the one that counts.
fn price_of_the_word(node: &str, silent: Option<Span>, led: bool, stamp: Stamp) -> String {
    let heard = silent.map_or_else(
        || "has never been heard by this daemon".to_owned(),
        |silent| format!("was last heard {silent} ago"),
    );
    let lost = if led {
        format!("What it ran is started elsewhere; data that only {node} has is not there.")
    } else {
        format!(
            "Nobody leads here: this side would go on by record {stamp}, the newest it has. What {node} has acknowledged\n\
             since the two last ran together may be lost: changes of operators, and its data."
        )
    };
    format!("node {node} {heard}. If it still runs, its data and this cluster's will part.\n{lost}")
}

fn ending(session: &mut Session, request: Request, output: &mut Output) -> Result<Exit, Failure> {
    match session.ask(request)? {
        Reply::Ending => done(output, "the daemon ends"),
        other => Err(Failure::failed(format!("unexpected answer: {other:?}"))),
    }
}

pub(super) fn limit(waiting: Waiting) -> Duration {
    Duration::from_secs(waiting.timeout.clamp(1, 86_400))
}

/// Asks on the terminal; without one nobody can agree.
pub(crate) fn agreed(text: &str) -> Result<bool, Failure> {
    let answer = question(&format!("{text} [y/N] "))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

pub(super) fn question(text: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "this needs an answer and there is no terminal to ask on",
            "see the options that answer it beforehand (--yes, --i-am-certain)",
        ));
    }
    eprint(text);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

fn eprint(text: &str) {
    use std::io::Write;
    let mut err = std::io::stderr().lock();
    // A terminal that went away asks nothing.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// `30m`, `1h`, `90s`, `2` (seconds).
fn duration(text: &str) -> Result<Span, Failure> {
    crm_config::parse_duration(text)
        .map_err(|reason| Failure::usage(reason, "such as 30m, 1h or 90s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r20_who_gives_his_word_is_told_what_it_costs() {
        let stamp = Stamp { epoch: crm_core::id::Epoch(3), version: 14 };
        let led = price_of_the_word("alpha", Some(Span::secs(90)), true, stamp);
        assert!(led.contains("alpha was last heard 90s ago"), "{led}");
        assert!(led.contains("data that only alpha has") && !led.contains("3.14"), "{led}");
        let alone = price_of_the_word("alpha", None, false, stamp);
        assert!(alone.contains("never been heard"), "{alone}");
        assert!(alone.contains("by record 3.14") && alone.contains("may be lost"), "{alone}");
    }
}
