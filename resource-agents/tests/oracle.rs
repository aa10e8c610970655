//! `oracle` with a stand-in for `sqlplus`: two instances on one node.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::{Resource, isolated};

/// Not Oracle's.
const SQLPLUS: &str = include_str!("common/sqlplus");

#[test]
fn hb42_to_hb48_only_a_probe_counts_and_two_instances_stay_apart() {
    isolated("hb42_to_hb48_only_a_probe_counts_and_two_instances_stay_apart", |directory| {
        let bin = directory.join("home/bin");
        fs::create_dir_all(&bin).expect("home");
        fs::write(bin.join("sqlplus"), SQLPLUS).expect("sqlplus");
        fs::set_permissions(bin.join("sqlplus"), fs::Permissions::from_mode(0o755)).expect("mode");
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).expect("mode");
        let variables = directory.join("oracle");
        let text = format!(
            "ORACLE_HOME={0}/home\nHERE={0}\nexport COLOUR=blue\nORACLE_SID=WRONG\n",
            directory.display()
        );
        fs::write(&variables, text).expect("environment");
        let instance = |sid: &'static str| {
            Resource::new("oracle", directory, &[("sid", sid), ("user", "nobody")])
                .named(sid)
                .with("environment_file", &variables.display().to_string())
                .timeout(Duration::from_secs(10))
        };
        let flag = |name: &str| fs::write(directory.join(name), "").expect("flag");
        let (one, two) = (instance("TEST01"), instance("TEST02"));
        one.run("validate").ok();
        one.run("status").code(7);
        one.run("stop").ok();
        one.run("start").ok();
        one.run("start").ok();
        two.run("status").code(7);
        two.run("start").ok();
        let answer = one.run("status").ok();
        assert!(answer.has_line("attribute state open"), "{answer:#?}");
        assert!(answer.lines.iter().any(|line| line.starts_with("watch process ")), "{answer:#?}");
        one.run("stop").ok();
        one.run("status").code(7);
        two.run("status").ok();
        // HB44: the environment is the file's, and the instance is the resource's own.
        let calls = fs::read_to_string(directory.join("calls")).expect("calls");
        assert!(calls.contains("TEST01 blue") && !calls.contains("WRONG"), "{calls}");

        // HB46: sqlplus returns 0 though nothing was started, or not opened.
        flag("TEST01.broken");
        one.run("start").code(1).because("ORA-00205");
        one.run("status").code(7);
        fs::remove_file(directory.join("TEST01.broken")).expect("flag");
        fs::write(directory.join("TEST01.opens"), "MOUNTED").expect("state");
        let quick = instance("TEST01").timeout(Duration::from_secs(2));
        quick.run("start").code(1).because("to be OPEN after `startup`, found MOUNTED");
        one.run("status").code(1).because("found MOUNTED");
        // What is half started is ended before the next start.
        fs::remove_file(directory.join("TEST01.opens")).expect("state");
        one.run("start").ok();

        // A stop that `immediate`, and then `abort`, does not bring about.
        flag("TEST01.busy");
        let answer = instance("TEST01").timeout(Duration::from_secs(3)).run("stop").ok();
        assert!(answer.stderr.contains("did not end it"), "{answer:#?}");
        flag("TEST01.stuck");
        one.run("start").ok();
        instance("TEST01").timeout(Duration::from_secs(3)).run("stop").ok();
        one.run("status").code(7);
        two.run("status").ok();
        two.run("stop").ok();

        // HB43: what does not lie on the volume is told while it runs, and does not have to be found out elsewhere.
        let volume = directory.join("volume");
        fs::create_dir_all(directory.join("home/dbs")).expect("dbs");
        fs::create_dir(&volume).expect("volume");
        common::tool(&format!("mount -t tmpfs none {}", volume.display()));
        let placed = instance("TEST01").with("mount", &volume.display().to_string());
        let files = |outside: &str| {
            let text = format!("file={}/system01.dbf\n{outside}", volume.display());
            fs::write(directory.join("TEST01.files"), text).expect("files");
        };
        for flag in ["TEST01.busy", "TEST01.stuck"] {
            fs::remove_file(directory.join(flag)).expect("flag");
        }
        placed.run("start").ok();
        files("");
        let tells = |answer: &common::Answer, what: &str| {
            answer
                .lines
                .iter()
                .any(|line| line.starts_with("attribute degraded ") && line.ends_with(what))
        };
        let answer = placed.run("status").ok();
        assert!(!tells(&answer, ""), "{answer:#?}");
        files("file=/opt/oracle/control02.ctl\n");
        let answer = placed.run("status").ok();
        assert!(tells(&answer, " are /opt/oracle/control02.ctl"), "{answer:#?}");
        files("");
        let passwords = directory.join("home/dbs/orapwTEST01");
        fs::write(&passwords, "").expect("passwords");
        let answer = placed.run("status").ok();
        assert!(tells(&answer, "/home/dbs/orapwTEST01"), "{answer:#?}");
        fs::remove_file(&passwords).expect("passwords");
        fs::write(volume.join("orapwTEST01"), "").expect("passwords");
        std::os::unix::fs::symlink(volume.join("orapwTEST01"), &passwords).expect("link");
        let answer = placed.run("status").ok();
        assert!(!tells(&answer, ""), "a link into the volume is as good: {answer:#?}");
        placed.run("stop").ok();
        common::tool(&format!("umount {}", volume.display()));

        // HB45: without its environment nothing is started, and that is a failure; what runs can still be ended.
        two.run("start").ok();
        fs::remove_file(&variables).expect("environment");
        one.run("start").code(5).because("cannot read the environment file");
        two.run("status").code(5).because("cannot read the environment file");
        let answer = two.run("stop").ok();
        assert!(answer.stderr.contains("killing"), "{answer:#?}");
        two.run("status").code(7);
        instance("../x").run("start").code(6).because("letters and digits");
    });
}
