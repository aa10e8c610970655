//! `crm drbd` with stand-ins for DRBD's tools that replay what real ones said.

#[path = "../../../resource-agents/tests/common/stand_in.rs"]
mod stand_in;

use stand_in::StandIn;
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
