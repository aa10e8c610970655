//! Calls of real scripts, with everything agents get wrong.

mod heartbeat_scripts;
mod hiding;
mod launching;

use super::testing::{operation, script, surroundings};
use super::*;
use crm_core::time::Span;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Longer than any call here may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// Runs one call to its end; `cancel_when` is a file whose appearance cancels it.
fn run(dir: &Path, operation: &Operation, cancel_when: Option<&Path>) -> (OpResult, Vec<Watch>) {
    // As in the daemon; without it a process that leaves its session is nobody's.
    nix::sys::prctl::set_child_subreaper(true).expect("subreaper");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (surroundings, _inbox) = surroundings(dir);
        let (cancel, cancelled) = oneshot::channel();
        let canceller = async {
            if let Some(file) = cancel_when {
                wait_for(|| file.exists()).await;
                let _ = cancel.send(());
            }
            std::future::pending::<()>().await;
        };
        let result = tokio::select! {
            result = carry_out(&surroundings, operation, cancelled) => result,
            () = canceller => unreachable!("it waits for ever"),
            () = tokio::time::sleep(PATIENCE) => panic!("the call does not end"),
        };
        let (open, broken) = surroundings.journal.open_calls().expect("journal");
        assert!(open.is_empty() && broken.is_empty(), "the journal is clean: {open:?}");
        assert!(surroundings.awaited.borrow().is_empty(), "nobody is awaited any more");
        result
    })
}

async fn wait_for(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn lives(pid_file: &Path) -> bool {
    let text = fs::read_to_string(pid_file).expect("pid");
    let pid = text.trim().parse().expect("number");
    procfs::stat(pid).expect("seen").is_some_and(|stat| !stat.zombie)
}

fn kill(pid_file: &Path) {
    let text = fs::read_to_string(pid_file).expect("pid");
    let pid = nix::unistd::Pid::from_raw(text.trim().parse().expect("number"));
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
}

fn with_timeout(agent: &str, action: Action, millis: u64) -> Operation {
    Operation { timeout: Span::millis(millis), ..operation(agent, action) }
}

#[test]
fn an_agent_is_heard_on_descriptor_three_and_by_its_exit() {
    let dir = crate::testing::Dir::new();
    script(
        dir.path(),
        "agent",
        "echo 'reason it is '$CRM_GROUP >&3; echo 'attribute lag 3' >&3\n\
         echo 'watch process 4242' >&3; exit 7",
    );
    let (result, watches) = run(dir.path(), &operation("agent", Action::Status), None);
    assert_eq!(result.outcome, OpOutcome::NotRunning);
    assert_eq!(result.reason.as_deref(), Some("it is g"));
    assert_eq!(result.attributes["lag"], "3");
    assert_eq!(watches, [Watch::Process(4242)]);
}

#[test]
fn an_agent_sees_a_clean_environment_an_empty_input_and_no_foreign_descriptors() {
    let dir = crate::testing::Dir::new();
    let out = dir.path().join("out");
    script(
        dir.path(),
        "agent",
        &format!(
            "{{ env; echo input=$(cat | wc -c); echo $(ls /proc/self/fd); }} > {}",
            out.display()
        ),
    );
    let (result, _) = run(dir.path(), &operation("agent", Action::Start), None);
    assert_eq!(result.outcome, OpOutcome::Done);
    let text = fs::read_to_string(out).expect("output");
    assert!(!text.contains("CARGO"), "{text}");
    assert!(text.contains("CRM_RESOURCE=r\n") && text.contains("input=0"), "{text}");
    // 0 to 3; the shell has its script at 10, and `ls` opens a directory.
    let open = text.lines().last().unwrap_or_default();
    assert!(open.split(' ').all(|fd| ["0", "1", "2", "3", "4", "10"].contains(&fd)), "{text}");
}

#[test]
fn the_last_line_of_the_output_is_the_reason_where_the_agent_gives_none() {
    let dir = crate::testing::Dir::new();
    script(dir.path(), "agent", "echo first; echo 'cannot do it' >&2; exit 1");
    let (result, _) = run(dir.path(), &operation("agent", Action::Start), None);
    assert_eq!(result.outcome, OpOutcome::Failed { code: 1 });
    assert_eq!(result.reason.as_deref(), Some("cannot do it"));
}

/// A file system that does not answer any more: who writes to it cannot be killed.
pub(super) struct DeadStorage(crate::testing::Dir);

impl DeadStorage {
    /// `None`: this user may not mount.
    pub(super) fn new() -> Option<DeadStorage> {
        let storage = DeadStorage(crate::testing::Dir::new());
        let made = storage.sh(
            "dd if=/dev/zero of=$D/image bs=1M count=8 && mkfs.ext4 -q $D/image && mkdir $D/at && \
             mount -o loop $D/image $D/at",
        );
        made.then_some(storage)
    }

    pub(super) fn at(&self) -> std::path::PathBuf {
        self.0.path().join("at")
    }

    pub(super) fn sh(&self, command: &str) -> bool {
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", command]).env("D", self.0.path());
        shell.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stderr(std::process::Stdio::null());
        shell.status().is_ok_and(|status| status.success())
    }
}

impl Drop for DeadStorage {
    fn drop(&mut self) {
        // What hung is killed by then, but needs its moment.
        self.sh("fsfreeze -u $D/at; for n in 1 2 3 4 5 6 7 8 9; do umount $D/at && break; sleep 0.2; done");
    }
}

/// A call that hangs in the kernel holds its group no longer than its time; but nobody believes that what it may still
/// start is stopped.
#[test]
fn h15_r21_what_cannot_be_killed_is_reported_and_held_against_every_word_of_a_stop() {
    let Some(storage) = DeadStorage::new() else { return };
    let dir = crate::testing::Dir::new();
    let body = format!(
        "[ \"$1\" != $(cat {0}/hangs) ] || echo x >{0}/at/file; exit 0",
        storage.0.path().display()
    );
    script(dir.path(), "agent", &body);
    let hangs = |action: &str| fs::write(storage.0.path().join("hangs"), action).expect("written");
    nix::sys::prctl::set_child_subreaper(true).expect("subreaper");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (surroundings, _inbox) = surroundings(dir.path());
        let number = std::cell::Cell::new(0);
        let outcome = async |action, millis| {
            let (_keep, never) = oneshot::channel();
            number.set(number.get() + 1);
            let op = OpId(number.get());
            let operation = Operation { op, ..with_timeout("agent", action, millis) };
            let call = carry_out(&surroundings, &operation, never);
            tokio::time::timeout(PATIENCE, call).await.expect("it ends").0.outcome
        };
        let held = &surroundings.held;
        // On a busy machine its time may be over before it gets as far as the dead file.
        let hang = async |action| {
            let begun = Instant::now();
            while held.is_empty() {
                assert_eq!(outcome(action, 300).await, OpOutcome::TimedOut);
                assert!(begun.elapsed() < PATIENCE, "it does not hang");
            }
        };
        let open = || surroundings.journal.open_calls().expect("journal").0.len();
        let unclear = OpOutcome::Failed { code: 1 };

        hangs("status");
        assert!(storage.sh("fsfreeze -f $D/at"), "{}", storage.at().display());
        hang(Action::Status).await;
        let calls = number.get();
        assert_eq!(outcome(Action::Status, 5000).await, unclear, "no second one hangs beside it");
        assert_eq!(outcome(Action::Start, 5000).await, unclear);
        assert_eq!(outcome(Action::Stop, 5000).await, OpOutcome::Done, "a status starts nothing");
        assert_eq!((open(), number.get() - calls), (0, 3));
        assert!(storage.sh("fsfreeze -u $D/at"));
        wait_for(|| held.is_empty()).await;

        hangs("start");
        assert!(storage.sh("fsfreeze -f $D/at"));
        hang(Action::Start).await;
        assert_eq!(outcome(Action::Stop, 5000).await, unclear, "it may still start something");
        assert_eq!(outcome(Action::Status, 5000).await, unclear);
        assert_eq!(open(), 1, "the next daemon waits for it too");
        assert!(storage.sh("fsfreeze -u $D/at"));
        wait_for(|| held.is_empty()).await;
        assert_eq!(outcome(Action::Stop, 5000).await, OpOutcome::Done);
        assert_eq!(open(), 0);
    });
}

/// The run directory is full: what runs did not fail for that, nor is the machine shot for its stop.
#[test]
fn r21_without_a_journal_nothing_is_started_and_what_runs_is_looked_at_and_stopped() {
    let dir = crate::testing::Dir::new();
    script(dir.path(), "agent", "exit 0");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (surroundings, _inbox) = surroundings(dir.path());
        fs::remove_dir(dir.path().join("ops")).expect("removed");
        for (action, outcome) in [
            (Action::Start, OpOutcome::Failed { code: 1 }),
            (Action::Status, OpOutcome::Done),
            (Action::Demote, OpOutcome::Done),
            (Action::Stop, OpOutcome::Done),
        ] {
            let (_keep, never) = oneshot::channel();
            let (result, _) = carry_out(&surroundings, &operation("agent", action), never).await;
            assert_eq!(result.outcome, outcome, "{action:?}");
        }
    });
}

/// The package of an agent is taken away while what it started runs; the next daemon looks.
#[test]
fn i1_an_agent_that_is_gone_proves_nothing_of_what_it_started() {
    let dir = crate::testing::Dir::new();
    let agent = dir.path().join("agent");
    let outcome = |action| run(dir.path(), &operation("agent", action), None).0.outcome;
    let unclear = OpOutcome::Failed { code: 1 };
    assert_eq!(outcome(Action::Status), OpOutcome::Missing, "it was never there");
    script(dir.path(), "agent", "exit 0");
    assert_eq!(outcome(Action::Start), OpOutcome::Done);
    fs::rename(&agent, dir.path().join("away")).expect("rename");
    let (result, _) = run(dir.path(), &operation("agent", Action::Status), None);
    assert_eq!(result.outcome, unclear);
    assert!(result.reason.is_some_and(|why| why.contains("started here")), "it says why");
    assert_eq!(outcome(Action::Stop), OpOutcome::Missing);
    assert_eq!(outcome(Action::Status), unclear, "nothing was stopped");
    script(dir.path(), "agent", "exit 5");
    assert_eq!(outcome(Action::Stop), OpOutcome::Missing);
    assert_eq!(outcome(Action::Status), unclear, "nor by an agent that lacks something");
    fs::rename(dir.path().join("away"), &agent).expect("rename");
    assert_eq!(outcome(Action::Status), OpOutcome::Done);
    assert_eq!(outcome(Action::Stop), OpOutcome::Done);
    fs::remove_file(&agent).expect("remove");
    assert_eq!(outcome(Action::Status), OpOutcome::Missing, "it was stopped in order");
}

#[test]
fn a_missing_agent_is_missing_and_one_that_cannot_be_executed_has_failed() {
    let dir = crate::testing::Dir::new();
    let (result, _) = run(dir.path(), &operation("nosuch", Action::Start), None);
    assert_eq!(result.outcome, OpOutcome::Missing);
    script(dir.path(), "bad", "");
    fs::write(dir.path().join("bad"), "#!/nonexistent/interpreter\n").expect("write");
    let (result, _) = run(dir.path(), &operation("bad", Action::Start), None);
    assert_eq!(result.outcome, OpOutcome::Failed { code: 126 });
}

#[test]
fn an_agent_that_prints_without_end_costs_no_memory_and_holds_nobody_up() {
    let dir = crate::testing::Dir::new();
    script(
        dir.path(),
        "agent",
        "head -c 100000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero >&3; echo; echo end; exit 1",
    );
    let operation = with_timeout("agent", Action::Start, 60_000);
    let (result, _) = run(dir.path(), &operation, None);
    assert_eq!(result.outcome, OpOutcome::Failed { code: 1 });
    assert_eq!(result.reason.as_deref(), Some("end"));
}

#[test]
fn a_daemon_that_keeps_the_pipes_open_does_not_hold_up_its_start_and_stays() {
    let dir = crate::testing::Dir::new();
    let pid = dir.path().join("pid");
    script(
        dir.path(),
        "agent",
        &format!("setsid sleep 300 & echo $! > {}; echo reason up >&3; exit 0", pid.display()),
    );
    let begun = Instant::now();
    let (result, _) = run(dir.path(), &operation("agent", Action::Start), None);
    assert_eq!(result.outcome, OpOutcome::Done);
    assert_eq!(result.reason.as_deref(), Some("up"));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(lives(&pid), "what a start leaves running on purpose stays");
    kill(&pid);
}

#[test]
fn what_a_failed_start_left_behind_is_gone_when_it_is_reported() {
    let dir = crate::testing::Dir::new();
    let pid = dir.path().join("pid");
    script(dir.path(), "agent", &format!("setsid sleep 300 & echo $! > {}; exit 1", pid.display()));
    let (result, _) = run(dir.path(), &operation("agent", Action::Start), None);
    assert_eq!(result.outcome, OpOutcome::Failed { code: 1 });
    assert!(!lives(&pid));
}

#[test]
fn h15_a_call_that_hangs_is_killed_whole_even_where_it_forked_away_and_ignores_signals() {
    let dir = crate::testing::Dir::new();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    script(
        dir.path(),
        "agent",
        &format!(
            "trap '' TERM HUP\n\
             ( setsid sh -c 'trap \"\" TERM; echo $$ > {}; sleep 300' & )\n\
             sh -c 'trap \"\" TERM; echo $$ > {}; sleep 300' &\n\
             sleep 300",
            first.display(),
            second.display()
        ),
    );
    let begun = Instant::now();
    let operation = with_timeout("agent", Action::Stop, 1500);
    let (result, _) = run(dir.path(), &operation, None);
    assert_eq!(result.outcome, OpOutcome::TimedOut);
    assert_eq!(result.reason, None, "it said nothing itself");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(!lives(&first) && !lives(&second), "the whole tree is gone");
}

#[test]
fn h15_a_cancelled_start_is_gone_before_it_is_reported() {
    let dir = crate::testing::Dir::new();
    let pid = dir.path().join("pid");
    script(dir.path(), "agent", &format!("echo $$ > {}; exec sleep 300", pid.display()));
    let operation = with_timeout("agent", Action::Start, 60_000);
    let (result, _) = run(dir.path(), &operation, Some(&pid));
    assert_eq!(result.outcome, OpOutcome::Cancelled);
    assert!(!lives(&pid));
}

#[test]
fn a_signal_from_elsewhere_is_told_apart_from_a_kill_of_ours() {
    let dir = crate::testing::Dir::new();
    script(dir.path(), "agent", "kill -SEGV $$");
    let (result, _) = run(dir.path(), &operation("agent", Action::Start), None);
    assert_eq!(result.outcome, OpOutcome::Signalled { signal: 11 });
}

#[test]
fn where_there_is_a_cgroup_it_holds_what_left_its_session_and_its_environment() {
    let Some(cgroups) = CgroupParent::find("crm-executor-test").expect("seen") else {
        eprintln!("not checked: no writable cgroup v2 here");
        return;
    };
    let dir = crate::testing::Dir::new();
    let pid = dir.path().join("pid");
    // Nothing but the cgroup knows this process any more.
    script(
        dir.path(),
        "agent",
        &format!(
            "( env -i PATH=$PATH setsid sh -c 'echo $$ > {}; sleep 300' & )\n\
             while [ ! -s {} ]; do sleep 0.01; done; exit 1",
            pid.display(),
            pid.display()
        ),
    );
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (plain, _inbox) = surroundings(dir.path());
        let mut with_cgroups = Rc::into_inner(plain).expect("only one");
        with_cgroups.cgroups = Some(cgroups.clone());
        let (_keep, cancelled) = oneshot::channel();
        let operation = operation("agent", Action::Start);
        let call = carry_out(&with_cgroups, &operation, cancelled);
        let (result, _) = tokio::time::timeout(PATIENCE, call).await.expect("it ends");
        assert_eq!(result.outcome, OpOutcome::Failed { code: 1 });
        assert!(!lives(&pid));
    });
    cgroups.sweep();
}

#[test]
fn h15_what_a_former_daemon_left_open_is_killed_and_a_cut_off_start_is_stopped() {
    nix::sys::prctl::set_child_subreaper(true).expect("subreaper");
    let dir = crate::testing::Dir::new();
    let (pid, stopped) = (dir.path().join("pid"), dir.path().join("stopped"));
    script(
        dir.path(),
        "agent",
        &format!(
            "case $1 in start) echo $$ > {}; sleep 300;; stop) touch {};; esac",
            pid.display(),
            stopped.display()
        ),
    );
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (former, _inbox) = surroundings(dir.path());
        let (_keep, cancelled) = oneshot::channel();
        let start = with_timeout("agent", Action::Start, 60_000);
        // The former daemon dies in the middle of the call: its future is dropped.
        tokio::select! {
            _ = carry_out(&former, &start, cancelled) => panic!("it hangs"),
            () = wait_for(|| pid.exists() && fs::read_to_string(&pid).is_ok_and(|t| !t.is_empty())) => {}
        }
        assert!(lives(&pid), "the agent outlives its daemon");
        let (present, _inbox) = surroundings(dir.path());
        let events = settle(&present).await.expect("settled");
        assert!(!lives(&pid));
        assert!(stopped.exists());
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(present.journal.open_calls().expect("journal").0.is_empty());
    });
}

#[test]
fn a_call_that_is_cancelled_before_it_runs_ends_and_leaves_nothing() {
    let dir = crate::testing::Dir::new();
    let ran = dir.path().join("ran");
    let now = dir.path().join("now");
    fs::write(&now, "").expect("write");
    let body = format!("sleep 300 & echo $! > {}; wait", ran.display());
    script(dir.path(), "agent", &body);
    let (result, _) = run(dir.path(), &operation("agent", Action::Start), Some(&now));
    assert_eq!(result.outcome, OpOutcome::Cancelled);
    assert!(!ran.exists() || !lives(&ran), "its child is gone with it");
}
