//! Calls of a daemon that is gone.

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
    let entry = Entry { leader: Some((i32::MAX, u64::MAX)), ..begun("nobody.1", Action::Start) };
    let since = std::time::Instant::now();
    assert_eq!(run(end(&[entry])), Ok(Vec::new()));
    assert!(since.elapsed() >= STARTING, "{:?}", since.elapsed());
}

#[test]
fn i1_what_cannot_be_seen_is_not_settled() {
    for action in [Action::Start, Action::Status] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("runtime");
        let entry = begun("unseen.1", action);
        let ended = crate::testing::without_descriptors(move || {
            let ended = runtime.block_on(end(std::slice::from_ref(&entry)));
            ended.map(|held| held.into_iter().map(|(_, why)| why).collect::<Vec<_>>())
        });
        let text = match (action, ended) {
            (Action::Start, Err(text)) => {
                assert!(text.contains("tries again") && !text.contains("reboot"), "{text}");
                text
            }
            (Action::Status, Ok(held)) => held.join("; "),
            (_, other) => panic!("{action:?}: {other:?}"),
        };
        assert!(text.contains("/proc cannot be read"), "{text}");
    }
}

/// No heartbeat is sent until all of them are settled.
#[test]
fn h16_many_calls_take_no_longer_than_one() {
    let entry = |number: u64| Entry {
        leader: Some((i32::MAX, u64::MAX)),
        ..begun(&format!("many.{number}"), Action::Start)
    };
    let entries: Vec<Entry> = (0..80).map(entry).collect();
    let since = std::time::Instant::now();
    assert_eq!(run(end(&entries)), Ok(Vec::new()));
    assert!(since.elapsed() < STARTING * 40, "{:?}", since.elapsed());
}

#[test]
fn h16_what_changes_nothing_and_cannot_be_seen_holds_up_no_start() {
    let entries = [begun("unseen.2", Action::Status), begun("unseen.3", Action::Status)];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("runtime");
    let since = std::time::Instant::now();
    let held = crate::testing::without_descriptors(move || {
        runtime.block_on(end(&entries)).map(|held| held.len())
    });
    assert_eq!(held, Ok(2));
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
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
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
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
        if let Err(text) = settled {
            assert!(text.contains("reboot"), "{text}");
        }
    }
}

/// Starts that hang in the kernel stay in the journal, and a stop was called beside them: all of it is over before
/// the resource is stopped again.
#[test]
fn h15_what_was_cut_off_is_ended_before_anything_is_called() {
    let dir = crate::testing::Dir::new();
    let beside = dir.path().join("beside");
    let stops = dir.path().join("stops");
    let mut old = Command::new("sleep").arg("300").env(TOKEN, "former.4").spawn().expect("child");
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

/// Its memory is gone, and with it the token, before its files are closed.
#[test]
fn i1_who_was_of_a_call_is_so_until_it_has_ended() {
    let mut child = Command::new("sleep").arg("300").spawn().expect("child");
    let stat = procfs::stat(child.id().cast_signed()).expect("seen").expect("it sleeps");
    let entry = Entry { leader: Some((i32::MAX, stat.started)), ..begun("known.1", Action::Start) };
    let mut calls = [Call::of(&entry)];
    let found = |calls: &mut [Call<'_>]| {
        run(look(calls));
        calls.iter().any(|call| call.left.ours.contains(&stat))
    };
    let before = found(&mut calls);
    calls[0].known.insert((stat.pid, stat.started));
    let after = found(&mut calls);
    let _ = child.kill();
    let _ = child.wait();
    assert!(!before && after);
    assert!(!found(&mut calls), "it has ended");
}

#[test]
fn i1_without_a_cgroup_two_looks_in_a_row_must_find_nobody() {
    let entry = begun("twice.1", Action::Start);
    let mut call = Call::of(&entry);
    let mut look = |is_populated: bool, millis: u64| {
        call.left = Left { is_populated, ..Left::default() };
        call.is_over(Duration::from_millis(millis))
    };
    assert!(!look(false, 0) && !look(false, 20), "it may be starting");
    assert!(look(false, 60));
    assert!(!look(true, 80) && !look(false, 100), "the first look that finds nobody");
    assert!(look(false, 120));
    let mut call = Call { cgroup: Some(Cgroup::at("/nowhere".as_ref())), ..Call::of(&entry) };
    assert!(call.is_over(Duration::ZERO), "a cgroup knows its own");
}
