//! `crm demo` as a newcomer runs it: the built program, with and without root, to its end, and
//! ended half-way. Nothing may be left behind.

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// An ordinary user, the one that every Linux has.
const NOBODY: &str = "65534";
/// Far above what the demo takes.
const LIMIT: Duration = Duration::from_secs(90);

/// A place of its own for one demo: its program, and all that it makes.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let directory = std::env::temp_dir().join(format!("demo-{name}-{}", std::process::id()));
        let temporary = directory.join("tmp");
        std::fs::create_dir_all(&temporary).expect("a directory");
        for path in [&directory, &temporary] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("permissions");
        }
        // The build directory may be out of an ordinary user's reach.
        std::fs::copy(env!("CARGO_BIN_EXE_crm"), directory.join("crm")).expect("the program");
        Place(directory)
    }

    /// `crm demo` as this user, or as nobody.
    fn demo(&self, as_nobody: bool, arguments: &[&str]) -> Command {
        let program = self.0.join("crm");
        let mut command = if as_nobody {
            let mut command = Command::new("setpriv");
            let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
            command.args(user).arg("--clear-groups").arg(program);
            command
        } else {
            Command::new(program)
        };
        command.arg("demo").args(arguments);
        command.env("TMPDIR", self.0.join("tmp")).stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// The demo's own directories that are there.
    fn directories(&self) -> Vec<PathBuf> {
        let found = std::fs::read_dir(self.0.join("tmp")).expect("readable");
        found.flatten().map(|entry| entry.path()).collect()
    }

    /// Processes that belong to this demo: their words or their environment name its place.
    fn processes(&self) -> Vec<i32> {
        let place = self.0.to_string_lossy().into_owned();
        let names = |file: PathBuf| {
            std::fs::read(file)
                .is_ok_and(|words| words.windows(place.len()).any(|w| w == place.as_bytes()))
        };
        let all = std::fs::read_dir("/proc").expect("readable").flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| *pid != i32::try_from(std::process::id()).unwrap_or_default())
            .filter(|pid| {
                let of = Path::new("/proc").join(pid.to_string());
                names(of.join("cmdline")) || names(of.join("environ"))
            })
            .collect()
    }

    fn wait_until_empty(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "left behind: {processes:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running demo; a test that fails takes it along.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(child: &mut Child) -> ExitStatus {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        if Instant::now() > until {
            panic!("the demo did not end within {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn plays_to_its_end(name: &str, as_nobody: bool) {
    let place = Place::new(name);
    let mut demo = Running(place.demo(as_nobody, &["--json"]).spawn().expect("the demo"));
    let out = demo.0.stdout.take().expect("piped");
    let status = wait(&mut demo.0);
    let text = std::io::read_to_string(out).expect("text");
    assert!(status.success(), "{status}: {text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
    let word = |field: &str| report[field].as_str().unwrap_or_default().to_owned();
    let figure =
        |field: &str| report[field].as_u64().unwrap_or_else(|| panic!("{field}: {report}"));

    let nodes: Vec<&str> =
        report["nodes"].as_array().into_iter().flatten().filter_map(|n| n.as_str()).collect();
    assert_eq!(nodes.len(), 2, "{report}");
    assert!(nodes.contains(&word("killed").as_str()), "{report}");
    assert!(nodes.contains(&word("survivor").as_str()), "{report}");
    assert_ne!(word("killed"), word("survivor"));
    // Silence is measured from the last heartbeat, so it is noticed one keepalive early, and by as much as a busy
    // machine let that heartbeat be late.
    let (detection, outage) = (figure("detection_ms"), figure("outage_ms"));
    let early = 200 + 300;
    assert!(detection + early >= figure("deadtime_ms"), "{report}");
    assert!(outage >= detection, "served before the death was noticed: {report}");
    assert!(outage < 20_000, "{report}");
    assert!(figure("migration_gap_ms") < 10_000, "{report}");
    assert!(figure("answered") > 0, "{report}");

    place.wait_until_empty();
    assert_eq!(place.directories(), Vec::<PathBuf>::new());
}

#[test]
fn the_demo_plays_to_its_end() {
    plays_to_its_end("own", false);
}

#[test]
fn the_demo_needs_no_root() {
    if !geteuid().is_root() {
        // The test above was without root already.
        return;
    }
    plays_to_its_end("nobody", true);
}

/// Whether processes of the demo that carry this word in their command line block SIGTERM.
fn blocks_termination(place: &Place, word: &str) -> Vec<bool> {
    let of = |pid: i32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
    let named = |pid: &i32| of(*pid, "cmdline").is_ok_and(|words| words.starts_with(word));
    let blocked = |pid: i32| {
        let status = of(pid, "status").ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        Some(mask & (1 << (Signal::SIGTERM as i32 - 1)) != 0)
    };
    place.processes().into_iter().filter(named).filter_map(blocked).collect()
}

/// A demo that has come as far as a running service.
fn half_way(place: &Place) -> Running {
    let mut demo = Running(place.demo(false, &[]).spawn().expect("the demo"));
    let mut lines = BufReader::new(demo.0.stdout.take().expect("piped")).lines();
    let serves = lines.any(|line| line.is_ok_and(|line| line.contains("group web runs on")));
    assert!(serves, "the demo ended early: {:?}", demo.0.wait());
    assert!(!place.processes().is_empty(), "processes of a running demo are found");
    demo
}

fn end(demo: &mut Running, signal: Signal) -> ExitStatus {
    let pid = i32::try_from(demo.0.id()).expect("a process number");
    kill(Pid::from_raw(pid), signal).expect("a signal");
    wait(&mut demo.0)
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    let place = Place::new("interrupted");
    let mut demo = half_way(&place);
    // One or both: it kills the first one soon. A child of theirs has their name, and blocks all for a moment.
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let blocked = blocks_termination(&place, "crmd");
        if !blocked.is_empty() && !blocked.contains(&true) {
            break;
        }
        assert!(Instant::now() < until, "daemons can be told to end: {blocked:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!end(&mut demo, Signal::SIGINT).success());
    place.wait_until_empty();
    assert_eq!(place.directories(), Vec::<PathBuf>::new());
}

#[test]
fn a_killed_demo_leaves_no_process_and_the_next_one_sweeps_up() {
    let place = Place::new("killed");
    let mut demo = half_way(&place);
    assert!(!end(&mut demo, Signal::SIGKILL).success());
    place.wait_until_empty();
    let left = place.directories();
    assert_eq!(left.len(), 1, "the directory of a killed demo: {left:?}");
    let mut demo = half_way(&place);
    let now = place.directories();
    assert_eq!(now.len(), 1, "{now:?}");
    assert_ne!(left, now);
    assert!(!end(&mut demo, Signal::SIGTERM).success());
    place.wait_until_empty();
    assert_eq!(place.directories(), Vec::<PathBuf>::new());
}

#[test]
fn a_kernel_that_permits_no_namespaces_is_named_with_the_setting() {
    let place = Place::new("refused");
    // Inside a user namespace that may hold no further ones, as a user who is not its root.
    let script = "echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all \
                  --inh-caps=-all \"$0\" demo";
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script])
        .arg(place.0.join("crm"))
        .env("TMPDIR", place.0.join("tmp"))
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    for words in ["as a user: unshare", "user.max_user_namespaces is 0", "sysctl -w"] {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    assert_eq!(place.directories(), Vec::<PathBuf>::new());
}
