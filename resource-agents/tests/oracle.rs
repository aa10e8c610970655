//! `oracle` with a stand-in for `sqlplus`: two instances on one node.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::{Resource, isolated};

/// It keeps an instance's state in a file and its monitor as a sleeping process of the right name.
/// Like the real one, it returns 0 whatever became of the statement.
const SQLPLUS: &str = r#"#!/bin/bash
# A stand-in: it is not Oracle's sqlplus.
state=$HERE/$ORACLE_SID
[ "$1 $2 $3" = "-S -L / as sysdba" ] || { echo "SP2-0306: invalid option"; exit 0; }
[ -z "$CRM_GROUP" ] || { echo "the agent's variables are here"; exit 0; }
runs() { grep -q ^ora_pmon_ "/proc/$(cat "$state.pid")/cmdline" 2>/dev/null; }
echo "$ORACLE_SID $COLOUR" >>"$HERE/calls"
while read -r line; do
    case $line in
        startup)
            if [ -e "$state.broken" ]; then echo "ORA-00205: error in identifying control file"
            else
                (exec -a "ora_pmon_$ORACLE_SID" sleep 6300) </dev/null >/dev/null 2>&1 &
                echo $! >"$state.pid"
                until runs; do :; done
                cat "$state.opens" >"$state" 2>/dev/null || echo OPEN >"$state"
            fi ;;
        "shutdown immediate") [ -e "$state.busy" ] || kill "$(cat "$state.pid")" ;;
        "shutdown abort") [ -e "$state.stuck" ] || kill "$(cat "$state.pid")" ;;
        select*) if runs; then echo "state=$(cat "$state")"
            else echo "ORA-01034: ORACLE not available"; fi ;;
    esac
done
exit 0
"#;

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
