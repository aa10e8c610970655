//! Tests that need root run themselves again in namespaces of their own: whatever they leave
//! behind there (addresses, mounts, processes) goes with the namespaces.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const INSIDE: &str = "CRM_TEST_INSIDE";
const DIRECTORY: &str = "CRM_TEST_DIRECTORY";

/// Runs `body` as root in new network, mount and process namespaces, with a directory of its own.
/// Skips where that is not possible, unless `CRM_TEST_REQUIRE_ALL=1`.
pub fn isolated(test: &str, body: impl FnOnce(&Path)) {
    if std::env::var(INSIDE).is_ok_and(|name| name == test) {
        let directory = PathBuf::from(std::env::var(DIRECTORY).expect("set by the outer run"));
        return body(&directory);
    }
    if !may_run("root", nix::unistd::geteuid().is_root()) {
        return;
    }
    let directory = Directory::new(test);
    let output = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
        ])
        .arg(std::env::current_exe().expect("own path"))
        .args(["--exact", test, "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(INSIDE, test)
        .env(DIRECTORY, &directory.0)
        .output()
        .expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "inside the namespaces:\n{text}");
    assert!(text.contains("1 passed"), "the inner run found no test {test}:\n{text}");
}

/// False, with a message, if something is missing that this test needs.
pub fn may_run(need: &str, there: bool) -> bool {
    if !there {
        assert!(
            std::env::var("CRM_TEST_REQUIRE_ALL").is_err(),
            "{need} is needed and not there, and CRM_TEST_REQUIRE_ALL is set"
        );
        eprintln!("skipped: {need} is needed and not there");
    }
    there
}

/// A directory that goes away, with the loop devices that were made on files in it.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short, for the paths of sockets may have 107 bytes.
        let name = format!("crm-{:.24}-{}-{number}", test.replace("::", "-"), std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("temporary directory");
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let list = Command::new("losetup").args(["-n", "-O", "NAME,BACK-FILE"]).output();
        if let Ok(list) = list {
            for line in String::from_utf8_lossy(&list.stdout).lines() {
                if line.contains(&*self.0.to_string_lossy())
                    && let Some(device) = line.split_whitespace().next()
                {
                    let _ = Command::new("losetup").args(["-d", device]).output();
                }
            }
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How an action ended.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The lines on descriptor 3.
    pub lines: Vec<String>,
    pub took: Duration,
}

impl Answer {
    #[track_caller]
    pub fn ok(self) -> Answer {
        self.code(0)
    }

    #[track_caller]
    pub fn code(self, code: i32) -> Answer {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// The reason must hold this text.
    #[track_caller]
    pub fn because(self, text: &str) -> Answer {
        assert!(self.reason().contains(text), "expected {text:?} in {self:#?}");
        assert!(self.stderr.contains(self.reason().trim()), "also for people: {self:#?}");
        self
    }

    pub fn reason(&self) -> &str {
        self.lines.iter().find_map(|line| line.strip_prefix("reason ")).unwrap_or_default()
    }

    pub fn has_line(&self, wanted: &str) -> bool {
        self.lines.iter().any(|line| line == wanted)
    }
}

/// A resource of one of our agents, with its parameters.
pub struct Resource {
    agent: &'static str,
    name: &'static str,
    parameters: BTreeMap<String, String>,
    state: PathBuf,
    timeout: Duration,
    within: PathBuf,
    search_path: Option<String>,
}

impl Resource {
    pub fn new(agent: &'static str, directory: &Path, parameters: &[(&str, &str)]) -> Resource {
        Resource {
            agent,
            name: agent,
            parameters: parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            state: directory.join("state"),
            timeout: Duration::from_secs(20),
            within: PathBuf::from("/"),
            search_path: None,
        }
    }

    /// Its name in the group; else the agent's.
    pub fn named(mut self, name: &'static str) -> Resource {
        self.name = name;
        self
    }

    /// The directories in which the agent looks for programs.
    pub fn search_path(mut self, path: &str) -> Resource {
        self.search_path = Some(path.to_owned());
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Resource {
        self.timeout = timeout;
        self
    }

    /// Calls the agent from this directory.
    pub fn within(mut self, directory: &Path) -> Resource {
        self.within = directory.to_owned();
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Resource {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Begins one action and does not wait for it; nobody hears its lines.
    pub fn begin(&self, action: &str) -> std::process::Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crm-agent"));
        command.args([self.agent, action]);
        self.surround(&mut command);
        command.spawn().expect("runs")
    }

    fn surround(&self, command: &mut Command) {
        command
            .current_dir(&self.within)
            .env("CRM_GROUP", "group")
            .env("CRM_RESOURCE", self.name)
            .env("CRM_NODE", "here")
            .env("CRM_STATE_DIR", &self.state)
            .env("CRM_TIMEOUT_MS", self.timeout.as_millis().to_string())
            .stdin(Stdio::null());
        for (name, value) in &self.parameters {
            command.env(format!("CRM_{}", name.to_uppercase()), value);
        }
        if let Some(path) = &self.search_path {
            command.env("PATH", path);
        }
    }

    /// Runs one action with descriptor 3 open.
    pub fn run(&self, action: &str) -> Answer {
        let (mut reader, writer) = std::io::pipe().expect("pipe");
        let mut command = Command::new("/bin/bash");
        // The shell, which must know numbers above 9, moves the pipe to descriptor 3; 9 is one that somebody forgot to close.
        let number = std::os::fd::AsRawFd::as_raw_fd(&writer);
        command
            .arg0("bash")
            .args(["-c", &format!("exec 3>&{number} {number}>&- 9</dev/zero; exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_crm-agent"))
            .args([self.agent, action]);
        self.surround(&mut command);
        nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))
            .expect("inherit");
        let began = Instant::now();
        let Output { status, stdout, stderr } = command.output().expect("runs");
        let took = began.elapsed();
        drop(writer);
        // Ends only if nothing that was started still holds the pipe.
        let mut lines = String::new();
        reader.read_to_string(&mut lines).expect("lines");
        assert!(began.elapsed() < took + Duration::from_secs(2), "a child holds descriptor 3");
        Answer {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            lines: lines.lines().map(str::to_owned).collect(),
            took,
        }
    }
}

/// Runs a tool that must succeed, and returns what it printed.
#[track_caller]
pub fn tool(words: &str) -> String {
    let mut parts = words.split_whitespace();
    let output = Command::new(parts.next().expect("a program"))
        .args(parts)
        .output()
        .unwrap_or_else(|error| panic!("{words}: {error}"));
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `done`, at most ten seconds.
#[track_caller]
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
