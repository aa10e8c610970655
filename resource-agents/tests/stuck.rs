//! Processes that no signal ends, since they wait in the kernel: real ones, on a filesystem whose server does not answer.
//! Nothing that cannot be seen or killed may count as stopped.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Resource, isolated, may_run, wait_for};

const HANG: &str = include_str!("common/hang.py");

/// The filesystem: whoever dies with its file open hangs, without memory, until it is ended.
struct Hang {
    server: Child,
    file: PathBuf,
}

impl Hang {
    fn on(directory: &Path) -> Option<Hang> {
        if !may_run("/dev/fuse", Path::new("/dev/fuse").exists()) {
            return None;
        }
        let at = directory.join("hang");
        fs::create_dir(&at).expect("mount point");
        let server = Command::new("python3").args(["-c", HANG]).arg(&at).spawn().expect("python3");
        let file = at.join("file");
        wait_for("the filesystem", || file.exists());
        Some(Hang { server, file })
    }

    fn end(mut self) {
        self.server.kill().expect("kill");
        self.server.wait().expect("wait");
        common::tool(&format!("umount -l {}", self.file.with_file_name("").display()));
    }
}

/// A shell that has opened the file, and then does what `words` say.
fn spawn(program: &Path, arguments: &[&str], within: &Path, hang: &Hang, words: &str) -> Child {
    let words = format!("exec 3<{}; echo >opened; {words}", hang.file.display());
    let mut command = Command::new(program);
    command.args(arguments).args(["-c", &words]).current_dir(within).stdin(Stdio::null());
    let child = command.spawn().expect("runs");
    wait_for("its start", || within.join("opened").exists());
    child
}

fn short(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn i1_a_start_that_failed_forgets_nothing_that_lives() {
    isolated("i1_a_start_that_failed_forgets_nothing_that_lives", |directory| {
        let Some(hang) = Hang::on(directory) else { return };
        let command = format!("exec 3<{}; exec sleep 6401", hang.file.display());
        let service = Resource::new("process", directory, &[("command", &command)])
            .with("shell", "true")
            .with("ready_tcp", "127.0.0.1:4711")
            .timeout(short(3));
        let answer = service.run("start").code(1).because("it is not ready in time");
        assert!(answer.reason().contains("cannot be killed: "), "{answer:#?}");
        service.run("stop").code(1).because("cannot be killed");
        hang.end();
        service.run("stop").ok();
        service.run("status").code(7).because("has not been started");
    });
}

/// What has left the session is known by its environment only, which goes with its memory.
#[test]
fn i1_a_member_that_hangs_without_environment_is_not_stopped() {
    isolated("i1_a_member_that_hangs_without_environment_is_not_stopped", |directory| {
        let Some(hang) = Hang::on(directory) else { return };
        let here = directory.display();
        let apart = format!("exec 3<{}; echo >{here}/open; exec sleep 6402", hang.file.display());
        let command = format!("setsid sh -c '{apart}' & exec sleep 6403");
        let service = Resource::new("process", directory, &[("command", &command)])
            .with("shell", "true")
            .timeout(short(3));
        service.run("start").ok();
        wait_for("the file", || directory.join("open").exists());
        service.run("stop").code(1).because("cannot be killed");
        hang.end();
        service.run("stop").ok();
    });
}

#[test]
fn i1_a_server_that_hangs_without_program_works_in_its_directory() {
    isolated("i1_a_server_that_hangs_without_program_works_in_its_directory", |directory| {
        let Some(hang) = Hang::on(directory) else { return };
        let data = directory.join("data");
        fs::create_dir(&data).expect("data");
        let server = directory.join("mysqld");
        fs::copy("/bin/bash", &server).expect("a program of that name");
        // The last word keeps the shell from becoming `sleep`.
        let mut child = spawn(&server, &[], &data, &hang, "sleep 6404; :");
        let datadir = data.display().to_string();
        let mysql = Resource::new("mysql", directory, &[("datadir", &datadir)]).timeout(short(3));
        mysql.run("stop").code(1).because("expected no server in");
        mysql.run("stop").code(1).because("expected no server in");
        mysql.run("status").code(1);
        hang.end();
        child.wait().expect("wait");
        mysql.run("stop").ok();
    });
}

/// Its first thread has ended, and another has not: the kernel shows its program with that one only.
#[test]
fn i1_a_server_without_its_first_thread_works_in_its_directory() {
    isolated("i1_a_server_without_its_first_thread_works_in_its_directory", |directory| {
        let words = "import ctypes, os, threading, time\n\
            threading.Thread(target=time.sleep, args=(6405,)).start()\n\
            open('program', 'w').write(os.readlink('/proc/self/exe'))\n\
            os.rename('program', 'started')\n\
            ctypes.CDLL(None).syscall(93 if os.uname().machine == 'aarch64' else 60, 0)";
        let mut child = Command::new("python3")
            .args(["-c", words])
            .current_dir(directory)
            .spawn()
            .expect("python3");
        let stat = format!("/proc/{}/stat", child.id());
        let state = || fs::read_to_string(&stat).unwrap_or_default();
        wait_for("the end of its first thread", || state().contains(") Z "));
        let program = fs::read_to_string(directory.join("started")).expect("program");
        let datadir = directory.display().to_string();
        let mysql = Resource::new("mysql", directory, &[("datadir", &datadir)])
            .with("program", &program)
            .timeout(short(5));
        let answer = mysql.run("stop").ok();
        assert!(answer.stderr.contains("shutting down what somebody else"), "{answer:#?}");
        assert!(child.try_wait().expect("wait").is_some(), "it lives");
    });
}

#[test]
fn i1_a_process_of_oracle_that_hangs_without_words_is_not_stopped() {
    isolated("i1_a_process_of_oracle_that_hangs_without_words_is_not_stopped", |directory| {
        let Some(hang) = Hang::on(directory) else { return };
        fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .expect("mode");
        let mut child = spawn(
            Path::new("/usr/bin/setpriv"),
            &["--reuid=nobody", "--clear-groups", "/bin/bash"],
            directory,
            &hang,
            "exec -a ora_pmon_TEST01 sleep 6406",
        );
        let oracle = Resource::new("oracle", directory, &[("sid", "TEST01"), ("user", "nobody")])
            .with("environment_file", "/no/such/file")
            .timeout(short(3));
        oracle.run("status").code(5);
        oracle.run("stop").code(1).because("expected no process of TEST01");
        hang.end();
        child.wait().expect("wait");
        oracle.run("stop").ok();
    });
}
