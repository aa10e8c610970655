//! What somebody meets who has never used the program: its own words, and what it refuses.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use support::{Machine, said};

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A machine on which nothing was done yet.
struct Fresh(PathBuf);

impl Fresh {
    fn machine() -> Fresh {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("crm-first-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).expect("a directory");
        Fresh(home)
    }

    fn crm(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crm"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("OCF_ROOT", self.0.join("ocf"));
        command.env("CRM_AGENTS_DIR", self.0.join("agents"));
        command.env("CRM_CONFIG_DIR", self.0.join("etc")).env("CRM_STATE", self.0.join("state"));
        command.env("CRM_RUN", self.0.join("run")).stdin(Stdio::null());
        command.args(arguments).output().expect("crm")
    }

    /// What `crm check` says of a group with these resources.
    fn check(&self, resources: &str) -> String {
        let file = self.0.join("cluster.yaml");
        let text = format!(
            "cluster: shop\nnodes:\n  alpha: {{links: [10.0.0.1, 10.1.0.1]}}\n  beta: {{links: [10.0.0.2, 10.1.0.2]}}\n\
             fencing: none\ngroups:\n  web: {{resources: [{resources}], unsafe_failover: true}}\n"
        );
        fs::write(&file, text).expect("a file");
        said(&self.crm(&["check", &file.display().to_string()]))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_misspelt_agent_is_one_error_and_the_right_word() {
    let fresh = Fresh::machine();
    for wrong in [
        "vpi: 192.0.2.1/24",
        "vpi: {address: 192.0.2.1/24}",
        "filesytem: {device: /dev/sda1, at: /data}",
    ] {
        let text = fresh.check(wrong);
        let meant = if wrong.starts_with("vpi") { "vip" } else { "filesystem" };
        assert!(text.contains(&format!("did you mean `{meant}`?")), "{text}");
        assert!(text.ends_with(": 1 error, 0 warnings\n"), "{text}");
    }
    let text = fresh.check("vpi: 192.0.2.1/24, filesytem: {device: /dev/sda1, at: /data}");
    assert!(text.ends_with(": 2 errors, 0 warnings\n"), "{text}");
}

#[test]
fn a_check_without_a_file_names_the_first_step() {
    let fresh = Fresh::machine();
    let output = fresh.crm(&["check"]);
    let text = said(&output);
    assert!(!output.status.success());
    assert!(
        text.contains("there is no ") && text.contains("`crm init` writes a first one"),
        "{text}"
    );
    let text = said(&fresh.crm(&["check", "/nowhere.yaml"]));
    assert!(text.contains("/nowhere.yaml cannot be read") && !text.contains("crm init"), "{text}");
}

#[test]
fn init_refuses_a_fencing_program_that_cannot_be_called() {
    let fresh = Fresh::machine();
    fs::write(fresh.0.join("plain"), "").expect("a file");
    let plain = fresh.0.join("plain").display().to_string();
    let init = |fencing: &str| {
        fresh.crm(&[
            "init",
            "--cluster",
            "shop",
            "--node",
            "alpha",
            "--link",
            "127.0.0.1",
            "--fencing",
            fencing,
        ])
    };
    for (fencing, reason) in [
        ("/nope", "there is no such file"),
        ("/nope --off", "there is no such file"),
        (&plain, "it is not an executable file"),
        ("no-such-program-at-all", "there is no such program in PATH"),
        ("./off", "expected a path from `/`"),
    ] {
        let output = init(fencing);
        let text = said(&output);
        assert!(!output.status.success() && text.contains(reason), "{fencing}: {text}");
        assert!(!fresh.0.join("etc/cluster.yaml").exists(), "{fencing}: nothing is written");
    }
    let output = init("/bin/true");
    assert!(output.status.success(), "{}", said(&output));
    assert!(fresh.0.join("etc/cluster.yaml").exists());
}

#[test]
fn the_usage_of_start_and_stop_shows_all() {
    let fresh = Fresh::machine();
    for word in ["start", "stop"] {
        let help = said(&fresh.crm(&[word, "--help"]));
        let usage = help.lines().find(|line| line.starts_with("Usage:")).unwrap_or_default();
        assert!(usage.contains("--all"), "{usage}");
        for wrong in [&[word][..], &[word, "web", "--all"]] {
            assert_eq!(fresh.crm(wrong).status.code(), Some(2), "{wrong:?}");
        }
    }
}

#[test]
fn help_is_a_command_too() {
    let fresh = Fresh::machine();
    let output = fresh.crm(&["help"]);
    assert!(output.status.success() && said(&output).contains("Usage: crm"), "{}", said(&output));
    let output = fresh.crm(&["help", "migrate"]);
    assert!(
        output.status.success() && said(&output).contains("Usage: crm migrate"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_man_page_has_every_subcommand_with_its_options() {
    let page = said(&Fresh::machine().crm(&["generate", "man"])).replace('\\', "");
    for part in [
        ".SH COMMANDS",
        ".SS crm init",
        "--watchdog",
        ".SS crm fence-drill",
        "--cycle",
        ".SS crm drbd resolve",
        "--keep-nothing",
        ".SS crm agents test",
        ".SS crm witness serve",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    assert!(!page.contains("generate"), "hidden commands stay hidden");
    assert_eq!(
        page.matches(".SH OPTIONS").count(),
        1,
        "a subcommand's options stand below its own heading"
    );
    let page = said(&Fresh::machine().crm(&["generate", "man-witness"])).replace('\\', "");
    assert!(page.contains(".SS crm witness check") && page.contains("witness.yaml to start from"));
}

#[test]
fn the_status_as_json_tells_when_each_device_was_last_proved() {
    let machine = Machine::start("  web: {resources: [ocf:test:switch]}\n");
    let old = fs::read_to_string(machine.home.join("etc/cluster.yaml")).expect("the configuration");
    let beta = old
        .replace("heartbeat:", "  beta: {links: [127.0.0.2]}\nheartbeat:")
        .replace("fencing: none", "fencing:\n  alpha: {agent: command, command: 'false', check: 'true'}\n  beta: {agent: command, command: 'false', check: 'true'}");
    machine.write("etc/cluster.yaml", &beta);
    let output = machine.crm(&["apply", "--yes"]);
    assert!(output.status.success(), "{}", said(&output));
    machine.wait("a proof of beta's device", |machine| {
        let output = machine.crm(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let Some(device) = status["devices"].get(0) else { return false };
        assert_eq!(
            (&device["node"], &device["agent"]),
            (&"beta".into(), &"command".into()),
            "{status}"
        );
        assert_eq!(status["cluster"], "shop", "the status itself is there as before");
        device["proved_secs"].is_u64()
    });
}
