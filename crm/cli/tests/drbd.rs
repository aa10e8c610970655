//! `crm drbd` with stand-ins for DRBD's tools that replay what real ones said.

#[path = "../../../resource-agents/tests/common/stand_in.rs"]
mod stand_in;

use stand_in::StandIn;
use std::path::Path;
use std::process::{Command, Output};

fn crm(stand_in: &StandIn, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crm"))
        .arg("drbd")
        .args(args)
        .env("PATH", stand_in.search_path())
        .env("CRM_CONFIG_DIR", &stand_in.directory)
        .output()
        .expect("runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn status_tells_the_state_and_what_it_means() {
    let stand_in = StandIn::new("cli").found_in("12-link-cut.b").answers("get-gi", "12-link-cut.b");
    let output = crm(&stand_in, &["status"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(
        text(&output),
        "r0: Primary\n\
         \x20 this node's copy is the newest\n\
         \x20 volume 0 /dev/drbd0: UpToDate, 63.9 MiB\n\
         \x20 peer peer: Connecting, Unknown\n\
         \x20   volume 0: Off, DUnknown\n\
         \x20 identifiers of volume 0: 935540A4D2F77773:4EBD7FA74FB658E1\n"
    );
    let json = crm(&stand_in, &["status", "r0", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["resources"][0]["eligible"], "yes");
    assert_eq!(json["resources"][0]["resource"]["role"], "Primary");
    let missing = crm(&stand_in, &["status", "r9"]);
    assert_eq!(missing.status.code(), Some(3), "{}", text(&missing));
}

#[test]
fn a_split_brain_is_proved_by_the_identifiers_of_the_other_side() {
    let state = "14-split-brain.a";
    let stand_in = StandIn::new("split").found_in(state).answers("get-gi", state);
    let alone = text(&crm(&stand_in, &["status"]));
    assert!(alone.contains("perhaps a split brain"), "{alone}");
    let theirs =
        "935540A4D2F77773:4EBD7FA74FB658E1:966FD821FAC96E78:966ED821FAC96E78:1:1:1:0:0:0:0";
    let both = text(&crm(&stand_in, &["status", "r0", "--other", theirs]));
    assert!(both.contains("split brain: the identifiers of the data have parted"), "{both}");
    assert!(both.contains("36 KiB changed since they parted"), "{both}");
    let same = "8199F6D2D35F9504:0000000000000000:966FD821FAC96E78:966ED821FAC96E78:1:1:0:0:0:0:0";
    let ruled_out = text(&crm(&stand_in, &["status", "r0", "--other", same]));
    assert!(!ruled_out.contains("split brain"), "{ruled_out}");
    assert_eq!(crm(&stand_in, &["status", "r0", "--other", "x"]).status.code(), Some(2));
}

#[test]
fn what_config_writes_for_both_ha_check_accepts() {
    let stand_in = StandIn::new("config");
    let mut whole = String::new();
    for (name, minor, disk, port) in
        [("drbd0", "0", "sda7", "7788"), ("drbd1", "1", "sda8", "7799")]
    {
        let nodes = [("test01", "165"), ("test02", "166")]
            .map(|(node, ip)| format!("--node={node}=192.168.123.{ip}:/dev/{disk}"));
        let mut args = vec!["config", name, "--minor", minor, "--port", port];
        args.extend(nodes.iter().map(String::as_str));
        let output = crm(&stand_in, &args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        whole.push_str(&text(&output));
    }
    let file = stand_in.directory.join("pair.res");
    std::fs::write(&file, &whole).expect("write");
    let cluster = "cluster: shop\nnodes: {test01: {links: [10.0.0.1]}, test02: {links: [10.0.0.2]}}\n\
        fencing: none\ngroups:\n  one: {unsafe_failover: true, resources: [drbd: drbd0, mysql: /data1]}\n";
    std::fs::write(stand_in.directory.join("cluster.yaml"), cluster).expect("write");
    let path = file.display().to_string();
    let good = crm(&stand_in, &["check", &path]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    assert!(text(&good).ends_with("2 resources, 0 errors, 0 warnings\n"), "{}", text(&good));

    std::fs::write(&file, whole.replace("protocol C", "protocol A")).expect("write");
    let bad = text(&crm(&stand_in, &["check", &path]));
    assert!(bad.contains("drbd0: protocol A under a database"), "the cluster says so: {bad}");
    assert!(bad.contains("warning: drbd1: protocol A"), "{bad}");

    std::fs::write(&file, whole.replace("drbd0 {", "other {")).expect("write");
    let unknown = crm(&stand_in, &["check", &path]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown).contains("group one promotes it"), "{}", text(&unknown));

    std::fs::write(&file, "resource r0 {\n").expect("write");
    let broken = crm(&stand_in, &["check", &path, "--json"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(text(&broken).contains("pair.res:2: expected `}`"), "{}", text(&broken));
}

/// The `.res` files of the documentation are what the commands beside them write, and nothing is wrong with them.
#[test]
fn hb14_the_volumes_of_the_layouts_are_written_by_their_commands_and_found_good() {
    let layouts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/layouts");
    let stand_in = StandIn::new("layouts");
    let mut written = 0;
    for entry in std::fs::read_dir(&layouts).expect("layouts") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ending| ending != "md") {
            continue;
        }
        let chapter = std::fs::read_to_string(&path).expect("a chapter");
        for command in chapter.split("crm drbd config ").skip(1) {
            let command = command.split(['`', '\n', '>']).next().expect("a line");
            let args: Vec<&str> =
                ["config"].into_iter().chain(command.split_whitespace()).collect();
            let file = layouts.join(format!("{}.res", args[1]));
            let expected = std::fs::read_to_string(&file).expect("the file that it writes");
            assert_eq!(text(&crm(&stand_in, &args)), expected, "{command} in {}", path.display());
            written += 1;
        }
        let Ok(cluster) = std::fs::read_to_string(path.with_extension("yaml")) else { continue };
        std::fs::write(stand_in.directory.join("cluster.yaml"), &cluster).expect("write");
        let volumes: Vec<&str> = cluster.split("- drbd: ").skip(1).collect();
        let mut whole = String::new();
        for volume in &volumes {
            let name = volume.lines().next().expect("a name");
            whole += &std::fs::read_to_string(layouts.join(format!("{name}.res"))).expect("a file");
        }
        let file = stand_in.directory.join("all.res");
        std::fs::write(&file, whole).expect("write");
        let judged = crm(&stand_in, &["check", &file.display().to_string()]);
        assert_eq!(judged.status.code(), Some(0), "{}: {}", path.display(), text(&judged));
        assert!(text(&judged).ends_with(" 0 errors, 0 warnings\n"), "{}", text(&judged));
    }
    assert!(written >= 3, "expected commands in the chapters, found {written}");
}

const THEIRS: &str =
    "935540A4D2F77773:4EBD7FA74FB658E1:966FD821FAC96E78:966ED821FAC96E78:1:1:1:0:0:0:0";

/// The recorded split brain, after the group was stopped here, with a device to give up.
fn given_up(test: &str) -> StandIn {
    let state = "14-split-brain.a";
    let stand_in = StandIn::new(test).found_in(state).answers("get-gi", state);
    let says = stand_in.directory.join("says");
    let text =
        std::fs::read_to_string(&says).expect("state").replace("role:Primary", "role:Secondary");
    let device = stand_in.directory.join("device");
    std::fs::write(&device, "what this node wrote alone").expect("device");
    stand_in.on("sh-ll-dev", &format!("echo '{}'", device.display()));
    stand_in.on("connect", "");
    stand_in.says(&text)
}

fn resolve(stand_in: &StandIn, args: &[&str]) -> Output {
    let mut all = vec!["resolve", "r0"];
    all.extend(args);
    crm(stand_in, &all)
}

#[test]
fn a_split_brain_is_resolved_with_a_copy_of_what_is_given_up() {
    let stand_in = given_up("resolve");
    let kept = stand_in.directory.join("kept").display().to_string();
    let output = resolve(&stand_in, &["--other", THEIRS, "--keep", &kept, "--i-am-certain", "r0"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("36 KiB changed on this node"), "{}", text(&output));
    assert_eq!(std::fs::read_to_string(&kept).expect("kept"), "what this node wrote alone");
    let calls = stand_in.calls();
    assert_eq!(calls.last().map(String::as_str), Some("drbdadm connect --discard-my-data r0"));
    assert_eq!(stand_in.count("drbdadm disconnect r0"), 0, "it stood alone already");
}

#[test]
fn nothing_is_given_up_without_proof_word_and_room() {
    let older = "4EBD7FA74FB658E0:0000000000000000:966FD821FAC96E78:966ED821FAC96E78:1:1:0:0:0:0:0";
    let stand_in = given_up("refuse");
    let there = stand_in.directory.join("says").display().to_string();
    let kept = stand_in.directory.join("kept").display().to_string();
    for (args, code, reason) in [
        (&["--other", older, "--keep-nothing", "--i-am-certain", "r0"][..], 3, "has not parted"),
        (&["--other", THEIRS, "--keep", &there, "--i-am-certain", "r0"], 3, "is there already"),
        (&["--other", THEIRS, "--keep", &kept, "--i-am-certain", "r1"], 2, "not r0"),
        (&["--other", THEIRS, "--keep", &kept], 2, "nobody can be asked here"),
        (&["--other", THEIRS, "--i-am-certain", "r0"], 2, "--keep"),
        (&["--other", "x", "--keep-nothing"], 2, "generation identifiers"),
    ] {
        let output = resolve(&stand_in, args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(reason), "{args:?}: {}", text(&output));
    }
    assert!(!Path::new(&kept).exists());
    stand_in.on("sh-ll-dev", "echo /no/such/device");
    let output = resolve(&stand_in, &["--other", THEIRS, "--keep", &kept, "--i-am-certain", "r0"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    // Who serves the data gives up nothing.
    let serving = StandIn::new("serves").found_in("14-split-brain.a");
    let serving = serving.answers("get-gi", "14-split-brain.a");
    let output = resolve(&serving, &["--other", THEIRS, "--keep-nothing", "--i-am-certain", "r0"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("its data is in use"), "{}", text(&output));
    for stand_in in [&stand_in, &serving] {
        assert!(stand_in.calls().iter().all(|call| !call.contains("connect")));
    }
}
