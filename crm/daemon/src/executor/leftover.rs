//! What a former daemon left open is killed and settled before the core is started (H15, R17).

use super::cgroup::Cgroup;
use super::environ;
use super::environment::TOKEN;
use super::journal::Entry;
use super::tree::STARTING;
use super::{Surroundings, carry_out, procfs};
use crm_core::event::Event;
use crm_core::operation::OpOutcome;
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// How long killed processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 30 });

/// Kills what is left of open calls, and stops what a cut-off start may have half started.
///
/// # Errors
/// Something cannot be killed, or the journal cannot be read: the daemon must not say anything of
/// those resources, so it does not start.
pub(crate) async fn settle(surroundings: &Surroundings) -> Result<Vec<Event>, String> {
    let (entries, broken) = surroundings
        .journal
        .open_calls()
        .map_err(|error| format!("the journal of open calls cannot be read: {error}"))?;
    if let Some(path) = broken.first() {
        return Err(format!(
            "{} is damaged, so it is not known which agent call was open; stop the resources of \
             this node by hand or reboot it, then remove the file",
            path.display()
        ));
    }
    let mut events = Vec::new();
    // All of them, before anything is called: of one resource there may be a start and a stop, and nothing runs beside
    // what is left of either.
    for entry in &entries {
        let left = end(entry).await?;
        let text = format!("{} was cut off by the end of the former daemon", entry.what.text());
        events.push(Event::warning("operation-settled", text));
        if let Some(pids) = left {
            let what = entry.what.text();
            let text = format!("{what} hangs in the kernel, for a disk or a server: {pids}");
            events.push(Event::error("operation-hangs", text));
        }
    }
    for (number, entry) in (0u64..).zip(&entries) {
        if let Some(stop) = entry.what.undo(u64::MAX - number) {
            let (_keep, never) = oneshot::channel();
            let (result, _) = carry_out(surroundings, &stop, never).await;
            if result.outcome != OpOutcome::Done {
                let reason = result.reason.unwrap_or_else(|| format!("{:?}", result.outcome));
                let text = format!("stop after a start that was cut off failed: {reason}");
                let event = Event::error("settle-failed", text);
                events.push(event.group(&stop.group).resource(&stop.resource));
            }
        }
        surroundings.journal.end(&entry.token);
    }
    if let Some(cgroups) = &surroundings.cgroups {
        cgroups.sweep();
    }
    Ok(events)
}

/// Kills until nothing is left; or answers what the kernel does not let die, where that can change nothing here.
async fn end(entry: &Entry) -> Result<Option<String>, String> {
    let begun = Instant::now();
    let cgroup = entry.cgroup.as_deref().map(Cgroup::at);
    loop {
        if let Some(cgroup) = &cgroup {
            cgroup.kill();
        }
        let left = processes(entry).await.map(|(mut alive, unknown)| {
            for stat in &alive {
                procfs::kill(stat);
            }
            // The cgroup knows its own.
            if cgroup.is_none() {
                alive.extend(unknown);
            }
            alive
        });
        let is_populated = cgroup.as_ref().is_some_and(Cgroup::is_populated);
        // Who is just executing a program has no environment for a moment; a cgroup knows it all the same.
        let may_be_starting = cgroup.is_none() && begun.elapsed() < STARTING;
        if left.as_ref().is_ok_and(Vec::is_empty) && !is_populated && !may_be_starting {
            if let Some(cgroup) = &cgroup {
                let _ = cgroup.remove();
            }
            return Ok(None);
        }
        if begun.elapsed() > PATIENCE {
            let who = match left {
                Ok(left) => left.iter().map(|s| s.pid.to_string()).collect::<Vec<_>>().join(", "),
                Err(error) => format!("unknown, for /proc cannot be read: {error}"),
            };
            if entry.what.changes_nothing() {
                return Ok(Some(who));
            }
            return Err(format!(
                "{} was open when the former daemon ended, and its processes cannot be killed \
                 (the kernel holds them): {who}; reboot this machine",
                entry.what.text(),
            ));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Everything that carries the token, and the session of the first process; and what hangs, so that nobody can tell whose
/// it is.
///
/// # Errors
/// They cannot be seen.
async fn processes(entry: &Entry) -> io::Result<(Vec<procfs::Stat>, Vec<procfs::Stat>)> {
    let session = match entry.leader {
        Some((pid, started)) if procfs::is_or_was(pid, started)? => Some(pid),
        _ => None,
    };
    let me = std::process::id().cast_signed();
    let (mut ours, mut unknown) = (Vec::new(), Vec::new());
    for stat in procfs::all()? {
        let older = entry.leader.is_some_and(|(_, since)| stat.started < since);
        if stat.zombie || stat.pid == me || older {
            continue;
        }
        let is_ours = match session {
            Some(session) if session == stat.session => Some(true),
            _ => environ::of(&stat).await.has(TOKEN, &entry.token),
        };
        match is_ours {
            Some(true) => ours.push(stat),
            Some(false) => {}
            None => unknown.push(stat),
        }
    }
    Ok((ours, unknown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::testing::{operation, script, surroundings};
    use crate::executor::{Entry, What};
    use crm_core::operation::Action;
    use std::process::Command;

    /// The former daemon ended, the agent did so by itself, and what it left has cleared its environment.
    #[test]
    fn h15_the_session_of_a_call_is_ended_also_when_its_first_process_is_gone() {
        use std::io::{BufRead, BufReader};
        use std::process::Stdio;
        let dir = crate::testing::Dir::new();
        script(dir.path(), "agent", "exit 0");
        let mut first = Command::new("setsid");
        first.args(["sh", "-c", "env -i sleep 300 & echo $!; read -r _"]);
        first.env(TOKEN, "gone.1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut first = first.spawn().expect("child");
        let mut line = String::new();
        let said = first.stdout.take().expect("a pipe");
        BufReader::new(said).read_line(&mut line).expect("a number");
        let left = procfs::stat(line.trim().parse().expect("a number")).expect("seen");
        let left = left.expect("it sleeps");
        let begun = std::time::Instant::now();
        while procfs::read(format!("/proc/{}/comm", left.pid)).expect("its name") != "sleep\n" {
            assert!(begun.elapsed() < Duration::from_secs(20), "it clears its environment");
            std::thread::sleep(Duration::from_millis(2));
        }
        let leader = procfs::stat(first.id().cast_signed()).expect("seen").expect("it reads");
        drop(first.stdin.take());
        let _ = first.wait();
        let entry = Entry {
            token: "gone.1".to_owned(),
            cgroup: None,
            leader: Some((leader.pid, leader.started)),
            what: What::of(&operation("agent", Action::Start)),
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let settled = tokio::task::LocalSet::new().block_on(&runtime, async {
            let (present, _inbox) = surroundings(dir.path());
            present.journal.begin(&entry).expect("begun");
            settle(&present).await
        });
        let lives = procfs::stat(left.pid).expect("seen") == Some(left);
        procfs::kill(&left);
        assert_eq!(settled.expect("settled").len(), 1);
        assert_eq!(left.session, leader.pid, "setsid(1) made the session");
        assert!(!lives, "it was overlooked");
    }

    fn begun(token: &str, action: Action) -> Entry {
        Entry {
            token: token.to_owned(),
            cgroup: None,
            leader: None,
            what: What::of(&operation("agent", action)),
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(future)
    }

    /// Whoever is just executing a program has no environment to be known by.
    #[test]
    fn h15_that_nothing_is_left_is_not_believed_at_once() {
        // All processes are older than this one was, so nothing takes time but the doubt.
        let entry =
            Entry { leader: Some((i32::MAX, u64::MAX)), ..begun("nobody.1", Action::Start) };
        let since = std::time::Instant::now();
        assert_eq!(run(end(&entry)), Ok(None));
        assert!(since.elapsed() >= STARTING, "{:?}", since.elapsed());
    }

    #[test]
    fn i1_what_cannot_be_seen_is_not_settled() {
        for action in [Action::Start, Action::Status] {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("runtime");
            let entry = begun("unseen.1", action);
            let ended = crate::testing::without_descriptors(move || runtime.block_on(end(&entry)));
            match (action, ended) {
                (Action::Start, Err(text)) => {
                    assert!(text.contains("/proc cannot be read"), "{text}")
                }
                (Action::Status, Ok(Some(who))) => assert!(who.starts_with("unknown"), "{who}"),
                (_, other) => panic!("{action:?}: {other:?}"),
            }
        }
    }

    /// Its storage is dead: what else this node runs must not be lost for a look at it. A start is another thing.
    #[test]
    fn r17_a_status_that_hangs_keeps_no_daemon_from_starting() {
        use crate::executor::tests::DeadStorage;
        for (action, starts) in [(Action::Status, true), (Action::Start, false)] {
            let Some(storage) = DeadStorage::new() else { return };
            assert!(storage.sh("fsfreeze -f $D/at"));
            let mut hung = Command::new("sh");
            hung.args(["-c", "echo x >$AT/file"]).env("AT", storage.at()).env(TOKEN, "hung.1");
            let mut hung = hung.spawn().expect("child");
            let state = format!("/proc/{}/status", hung.id());
            let begun = std::time::Instant::now();
            while !procfs::read(&state).is_ok_and(|text| text.contains("State:\tD")) {
                assert!(begun.elapsed() < Duration::from_secs(20), "it hangs");
                std::thread::sleep(Duration::from_millis(2));
            }
            let entry = Entry {
                token: "hung.1".to_owned(),
                cgroup: None,
                leader: None,
                what: What::of(&operation("agent", action)),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("runtime");
            let dir = crate::testing::Dir::new();
            let (settled, open) = tokio::task::LocalSet::new().block_on(&runtime, async {
                let (present, _inbox) = surroundings(dir.path());
                present.journal.begin(&entry).expect("begun");
                let settled = settle(&present).await;
                (settled, present.journal.open_calls().expect("journal").0.len())
            });
            assert!(storage.sh("fsfreeze -u $D/at"));
            let _ = hung.kill();
            let _ = hung.wait();
            assert_eq!((settled.is_ok(), open == 0), (starts, starts), "{action:?}: {settled:?}");
        }
    }

    /// Starts that hang in the kernel stay in the journal, and a stop was called beside them: all of it is over before
    /// the resource is stopped again.
    #[test]
    fn h15_what_was_cut_off_is_ended_before_anything_is_called() {
        let dir = crate::testing::Dir::new();
        let beside = dir.path().join("beside");
        let stops = dir.path().join("stops");
        let mut old =
            Command::new("sleep").arg("300").env(TOKEN, "former.4").spawn().expect("child");
        let body = format!(
            "grep -q '^State:.[^Z]' /proc/{}/status 2>/dev/null && echo yes >> {}; echo >> {}",
            old.id(),
            beside.display(),
            stops.display()
        );
        script(dir.path(), "agent", &body);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let local = tokio::task::LocalSet::new();
        let settled = local.block_on(&runtime, async {
            let (present, _inbox) = surroundings(dir.path());
            // A directory is read in the order of its making, or the other way round, or by some sum of the names.
            for number in 0..9 {
                let action = if number == 4 { Action::Stop } else { Action::Start };
                let entry = Entry {
                    token: format!("former.{number}"),
                    cgroup: None,
                    leader: None,
                    what: What::of(&operation("agent", action)),
                };
                present.journal.begin(&entry).expect("begun");
            }
            let settled = settle(&present).await;
            (settled, present.journal.open_calls().expect("journal").0)
        });
        let _ = old.kill();
        let _ = old.wait();
        let (events, open) = settled;
        assert_eq!(events.expect("settled").len(), 9);
        assert!(open.is_empty(), "{open:?}");
        assert_eq!(std::fs::read_to_string(&stops).expect("stopped").lines().count(), 8);
        assert!(!beside.exists(), "a stop ran beside the one that was cut off");
    }
}
