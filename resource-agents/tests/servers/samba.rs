//! `samba` with Debian's Samba, asked by Debian's client.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{Resource, isolated, may_run, tool, wait_for};

const ADDRESS: &str = "10.77.0.100";

#[test]
#[ignore = "needs samba and smbclient: tests/run namespaces"]
fn samba_serves_its_own_share_on_its_own_address_and_leaves_no_process() {
    let name = "samba::samba_serves_its_own_share_on_its_own_address_and_leaves_no_process";
    isolated(name, |directory| {
        assert!(may_run("samba", Path::new("/usr/sbin/smbd").exists()));
        tool("ip link set lo up");
        let root = directory.join("volume");
        fs::create_dir_all(root.join("share")).expect("share");
        tool(&format!("chmod 777 {}", root.join("share").display()));
        let config = root.join("smb.conf");
        let text = format!(
            "[global]\nserver role = standalone server\nmap to guest = Bad User\nsmb1 unix extensions = no\n\
             load printers = no\n[share]\npath = {}/share\nread only = no\nguest ok = yes\nsync always = yes\n",
            root.display()
        );
        fs::write(&config, &text).expect("config");
        let path = config.display().to_string();
        let resource = || {
            let address = format!("{ADDRESS}/24");
            Resource::new("samba", directory, &[("config", &path), ("address", &address)])
                .named("files")
        };
        let samba = resource();
        samba.run("validate").ok();
        samba.run("status").code(7);
        samba.run("start").code(1).because("its `vip` comes before this");
        tool(&format!("ip addr add {ADDRESS}/24 dev lo"));
        let elsewhere = resource().with("mount", "/nowhere");
        elsewhere.run("start").code(5).because("expected a filesystem mounted at /nowhere");
        samba.run("start").ok();
        samba.run("start").ok();
        samba.run("status").ok();

        // A client writes and reads; nothing answers on another address, and nothing was written elsewhere.
        let file = directory.join("note");
        fs::write(&file, "a note\n").expect("note");
        client(ADDRESS, &format!("put {} note", file.display())).expect("put");
        assert_eq!(fs::read_to_string(root.join("share/note")).expect("there"), "a note\n");
        client("127.0.0.1", "ls").expect_err("it listens on its own address only");
        for part in ["private", "lock", "lib", "cache"] {
            assert!(root.join("state").join(part).is_dir(), "{part}");
        }
        assert!(root.join("state/private/secrets.tdb").exists(), "passwords lie on the volume");

        // It hangs: that is seen. It ends: that is seen, and nothing is left.
        let line = samba.run("status").ok().lines.join(" ");
        let pid = line.rsplit(' ').next().expect("a pid").to_owned();
        tool(&format!("kill -STOP {pid}"));
        samba.run("status").code(1).because("runs and does not serve");
        tool(&format!("kill -CONT {pid}"));
        samba.run("status").ok();
        samba.run("stop").ok();
        samba.run("status").code(7);
        samba.run("stop").ok();
        assert_eq!(processes(), "");

        samba.run("start").ok();
        let line = samba.run("status").ok().lines.join(" ");
        tool(&format!("kill -9 {}", line.rsplit(' ').next().expect("a pid")));
        wait_for("its end", || samba.run("status").code != 0);
        samba.run("stop").ok();
        assert_eq!(processes(), "");

        // What the configuration says is not undone by what is on the machine already, and a mistake is told.
        fs::write(&config, format!("{text}[broken\n")).expect("config");
        samba.run("start").code(6).because("Samba refuses the configuration");
        samba.run("validate").code(6);
        fs::remove_file(&config).expect("remove");
        samba.run("start").code(5).because("is its filesystem mounted");
        samba.run("validate").ok();
    });
}

/// What the client printed, or what it said when it failed.
fn client(address: &str, command: &str) -> Result<String, String> {
    let mut smbclient = Command::new("smbclient");
    smbclient.arg(format!("//{address}/share")).args(["-N", "-t", "5", "-c", command]);
    let output = smbclient.output().expect("smbclient runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text) } else { Err(text) }
}

/// In this namespace of processes: all of Samba's that live.
fn processes() -> String {
    let output = Command::new("ps").args(["-eo", "stat=,args="]).output().expect("ps runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours =
        |line: &&str| !line.starts_with('Z') && (line.contains("smbd") || line.contains("samba-"));
    text.lines().filter(ours).collect::<Vec<_>>().join("\n")
}
