//! Relations that a configuration must keep, by the acceptance rows and rules they come from.

use crm_config::{
    AgentCatalog, AgentFacts, FenceAgent, FenceParameter, NoCatalog, Protection, Severity, budget,
    check, parse,
};
use crm_core::model::{AgentClass, AgentRef, Fencing};
use crm_core::time::Span;

const NODES: &str = "nodes: {a: {links: [10.0.0.1, 10.1.0.1]}, b: {links: [10.0.0.2, 10.1.0.2]}}\n";
const ARMED: &str = "nodes:\n  a: {links: [10.0.0.1, 10.1.0.1], watchdog: /dev/watchdog}\n  \
                     b: {links: [10.0.0.2, 10.1.0.2], watchdog: /dev/watchdog}\n";

fn messages(text: &str, severity: Severity) -> Vec<String> {
    check("x", text, &NoCatalog)
        .diagnostics
        .into_iter()
        .filter(|found| found.severity == severity)
        .map(|found| found.message)
        .collect()
}

fn errors(rest: &str) -> Vec<String> {
    messages(&format!("cluster: x\n{rest}"), Severity::Error)
}

fn warnings(rest: &str) -> Vec<String> {
    messages(&format!("cluster: x\n{rest}"), Severity::Warning)
}

#[test]
fn hb5_heartbeats_own_terms_are_enough() {
    let text =
        format!("cluster: x\n{NODES}fencing: none\nheartbeat: {{keepalive: 2, deadtime: 5}}\n");
    let timing = parse(&text).unwrap().timing;
    assert_eq!(timing.keepalive, Span::secs(2));
    assert_eq!(timing.warntime, Span::millis(3500));
    assert_eq!(timing.deadtime, Span::secs(5));
    assert!(timing.deadtime + timing.election + timing.keepalive < timing.lease);
}

#[test]
fn impossible_times_are_refused_each_with_its_reason() {
    for (times, reason) in [
        ("keepalive: 500ms, warntime: 500ms", "`keepalive` must be shorter than `warntime`"),
        ("warntime: 1s, deadtime: 1s", "`warntime` must be shorter than `deadtime`"),
        ("initdead: 999ms", "`deadtime` must be shorter than `initdead`"),
        ("lease: 1700ms", "`lease` is too short for this `deadtime`"),
        ("lease: 2s, election: 1s", "`lease` is too short for this `deadtime`"),
        ("watchdog: 3500ms", "`watchdog` is too short"),
        ("rejoin_after: 9s, watchdog: 10s", "`watchdog` is too short"),
        ("keepalive: 1ms", "`keepalive` is too short"),
        ("deadtime: 0", "`deadtime` is 0s"),
        ("lease: 25h", "`lease` is 25h"),
    ] {
        let found =
            errors(&format!("{ARMED}witness: 10.0.0.9\nfencing: none\nheartbeat: {{{times}}}\n"));
        assert_eq!(found, [reason], "{times}");
    }
    let fine = format!(
        "{ARMED}witness: 10.0.0.9\nfencing: none\nheartbeat: {{lease: 1701ms, watchdog: 3501ms}}\n"
    );
    assert_eq!(errors(&fine), [""; 0]);
}

#[test]
fn the_delay_in_a_tie_is_longer_than_the_slowest_node_takes() {
    let devices = "fencing: {a: [{agent: fence_x, timeout: 8s}, {agent: fence_y, timeout: 12s}], b: {agent: fence_x}}\n";
    let cluster = parse(&format!("cluster: x\n{NODES}{devices}")).unwrap();
    let Fencing::Devices { delay, .. } = cluster.fencing else { panic!("no devices") };
    assert_eq!(delay, Span::secs(25));
    let short = "`fencing_delay` is shorter than a device may take";
    assert_eq!(warnings(&format!("{NODES}{devices}fencing_delay: 20s\n")), [short]);
    assert_eq!(warnings(&format!("{NODES}{devices}fencing_delay: 20001ms\n")), [""; 0]);
    assert_eq!(
        warnings(&format!("{NODES}{devices}fencing_delay: 5s\nwitness: 10.0.0.9\n")),
        [""; 0],
        "three vote: there is no tie"
    );
}

#[test]
fn hb13_a_volume_without_a_name_is_refused() {
    let found = errors(&format!("{NODES}fencing: none\ngroups: {{g: {{resources: [drbd]}}}}\n"));
    assert_eq!(found, ["`drbd` needs `drbd_resource`"]);
}

#[test]
fn hb17_one_instance_in_two_groups_is_refused() {
    for (resource, refused) in [
        ("heartbeat:mysqld", true),
        ("lsb:oractl: {args: [start, T1]}", true),
        ("systemd:mysqld", true),
        ("drbd: r0", true),
        ("mysql: {datadir: /data/mysql, config: /data/my.cnf}", true),
        ("vip: 10.0.0.77/24", true),
        ("ocf:heartbeat:Filesystem: {device: /dev/sdb}", true),
        ("process: {command: /usr/bin/worker}", false),
        ("apache", true),
        ("apache: /data/httpd.conf", true),
        ("tomcat: /data/tomcat", true),
        ("oracle: TEST01", true),
        ("nfs: {directories: /d/a, clients: '*', mount: /d}", true),
    ] {
        let text = format!(
            "{NODES}fencing: none\ngroups: {{g: {{resources: [{resource}]}}, h: {{resources: [{resource}]}}}}\n"
        );
        assert_eq!(errors(&text).len(), usize::from(refused), "{resource}: {:?}", errors(&text));
    }
    let checks = format!(
        "{NODES}fencing: none\ngroups:\n  g: {{resources: [lsb:oractl: {{check: a}}]}}\n  \
         h: {{resources: [lsb:oractl: {{check: b}}]}}\n"
    );
    assert_eq!(errors(&checks).len(), 1, "HB47: another check is no other instance");
    let apart = format!(
        "{NODES}fencing: none\ngroups:\n  g: {{resources: [heartbeat:oractl: {{args: [T1]}}, filesystem: {{device: tmpfs, at: /a}}]}}\n  \
         h: {{resources: [heartbeat:oractl: {{args: [T2]}}, filesystem: {{device: tmpfs, at: /b}}]}}\n"
    );
    assert_eq!(errors(&apart), [""; 0]);
}

#[test]
fn hb17_two_servers_on_one_port_are_found_where_their_groups_may_meet() {
    let of = |g: &str, h: &str, more: &str| {
        errors(&format!(
            "{NODES}fencing: none\ngroups:\n  g: {{resources: [mysql: {{datadir: /a/db{g}}}]{more}}}\n  \
             h: {{prefer: [b], only_preferred: true, resources: [mysql: {{datadir: /b/db{h}}}]}}\n"
        ))
    };
    let both = "group `g` and group `h` both open port ";
    assert_eq!(of("", "", ""), [format!("{both}3306")]);
    assert_eq!(of("", ", port: 3306", ""), [format!("{both}3306")]);
    assert_eq!(of(", port: 3307", ", port: 3307", ""), [format!("{both}3307")]);
    let wide = ", bind_address: 0.0.0.0";
    assert_eq!(of(", bind_address: 10.0.0.5", wide, ""), [format!("{both}3306")]);
    // However it is written.
    assert_eq!(of(", port: 03306", "", ""), [format!("{both}3306")]);
    let (long, list) = (", bind_address: '0:0::1'", ", bind_address: '10.0.0.5, ::1'");
    assert_eq!(of(long, list, ""), [format!("{both}3306")]);
    let elsewhere = ", prefer: [a], only_preferred: true";
    for (g, h, more) in [
        (", port: 3307", "", ""),
        (", config: /a/my.cnf", "", ""),
        (", bind_address: 10.0.0.5", ", bind_address: 10.0.0.6", ""),
        (", options: --skip-networking", "", ""),
        ("", "", elsewhere),
    ] {
        assert_eq!(of(g, h, more), [""; 0], "{g} {h} {more}");
    }
    let servers = |g: &str, h: &str| {
        let text = format!(
            "{NODES}fencing: none\ngroups: {{g: {{resources: [{g}]}}, h: {{resources: [{h}]}}}}\n"
        );
        errors(&text)
    };
    let samba = |group: &str, address: &str| {
        format!("samba: {{config: /{group}/smb.conf, address: {address}}}")
    };
    assert_eq!(servers(&samba("a", "10.0.0.5/24"), &samba("b", "10.0.0.6/24")), [""; 0]);
    let same = servers(&samba("a", "10.0.0.5/24"), &samba("b", "10.0.0.5"));
    assert_eq!(same, [format!("{both}445")]);
    // The kernel has one NFS server.
    let nfs =
        |group: &str| format!("nfs: {{directories: /{group}/x, clients: '*', mount: /{group}}}");
    assert_eq!(servers(&nfs("a"), &nfs("b")), [format!("{both}2049")]);
    let socket = ", socket: /run/s, port: 1";
    assert_eq!(of(socket, ", socket: /run/s", "").len(), 1);
}

#[test]
fn h4_h36_what_nothing_protects_waits_and_says_so() {
    let groups = "groups:\n  data: {resources: [drbd: r0]}\n  brave: {resources: [drbd: r1], unsafe_failover: true}\n  \
                  ip: {resources: [vip: 10.0.0.7/24]}\n";
    let unarmed = format!("cluster: x\n{NODES}fencing: none\n{groups}");
    let pair = format!("cluster: x\n{ARMED}fencing: none\n{groups}");
    for text in [&unarmed, &pair] {
        let kinds: Vec<Protection> =
            budget(&parse(text).unwrap()).iter().map(|line| line.protection).collect();
        assert_eq!(kinds, [Protection::Operator, Protection::Silence, Protection::Silence]);
        assert_eq!(
            messages(text, Severity::Warning),
            [
                "group `data` waits for the operator when its node falls silent",
                "two nodes may run group `brave` at once",
                "two nodes may hold group `ip` at once",
            ]
        );
    }
}

#[test]
fn budgets_follow_the_protection() {
    let group = "groups: {data: {resources: [drbd: r0]}}\n";
    for (protection, kind, failover) in [
        (
            "fencing: {a: {agent: fence_x}, b: {agent: fence_x, timeout: 9s}}\n",
            Protection::Device,
            Some(21_000),
        ),
        ("fencing: {a: {agent: fence_x}}\n", Protection::Operator, None),
        ("fencing: none\nwitness: 10.0.0.9\n", Protection::Watchdog, Some(26_450)),
        ("fencing: none\n", Protection::Operator, None),
    ] {
        let cluster = parse(&format!("cluster: x\n{ARMED}{protection}{group}")).unwrap();
        let line = &budget(&cluster)[0];
        assert_eq!(line.protection, kind, "{protection}");
        assert_eq!(line.failover, failover.map(Span::millis), "{protection}");
        assert!(line.at_worst >= line.failover);
    }
    // A tie: the side that hosts less waits before it shoots.
    let devices = "fencing: {a: {agent: fence_x}, b: {agent: fence_x}}\n";
    let cluster = parse(&format!("cluster: x\n{NODES}{devices}{group}")).unwrap();
    assert_eq!(budget(&cluster)[0].at_worst, Some(Span::millis(46_700)));
    let said = budget(&cluster)[0].to_string();
    assert!(said.contains("within 21s of its node's death"), "{said}");
    assert!(said.contains("within 46s where the node that takes over hosted less"), "{said}");
    assert!(said.ends_with("46.700s at worst"), "{said}");
    // A third vote decides without a wait.
    let witness = format!("cluster: x\n{NODES}{devices}witness: 10.0.0.9\n{group}");
    assert!(!budget(&parse(&witness).unwrap())[0].to_string().contains("hosted less"));
    let lone = "groups: {data: {resources: [drbd: r0], prefer: a, only_preferred: true}}\n";
    let cluster = parse(&format!("cluster: x\n{NODES}{devices}{lone}")).unwrap();
    assert_eq!(budget(&cluster)[0].protection, Protection::NoOtherNode);
}

#[test]
fn circles_and_contradictions_over_several_groups_are_found() {
    let group = |name: &str, rest: &str, last: u8| {
        format!("  {name}: {{{rest}, resources: [vip: 10.0.0.{last}/24]}}\n")
    };
    let text = format!(
        "{NODES}fencing: none\ngroups:\n{}{}{}{}",
        group("p", "starts_after: q", 11),
        group("q", "starts_after: r", 12),
        group("r", "starts_after: q, runs_with: s", 13),
        group("s", "runs_with: p, avoids: r", 14),
    );
    assert_eq!(
        errors(&text),
        ["`starts_after` goes in a circle", "`s` must run with `r` and avoid it"]
    );
    let text = format!(
        "{NODES}fencing: none\ngroups:\n{}{}",
        group("p", "runs_with: q", 11),
        group("q", "runs_with: p", 12),
    );
    assert_eq!(errors(&text), ["`runs_with` goes in a circle"]);
    let text = format!(
        "{NODES}fencing: none\ngroups:\n{}{}{}{}",
        group("p", "starts_after: [q, r]", 11),
        group("q", "starts_after: s", 12),
        group("r", "starts_after: s", 13),
        group("s", "avoids: p", 14),
    );
    assert_eq!(errors(&text), [""; 0], "a diamond is no circle");
}

#[test]
fn sizes_of_clusters_are_bounded() {
    let nodes = |count: usize| {
        let lines: String =
            (1..=count).map(|n| format!("  n{n}: {{links: [10.0.0.{n}, 10.1.0.{n}]}}\n")).collect();
        format!("fencing: none\nnodes:\n{lines}")
    };
    assert_eq!(errors(&nodes(32)), [""; 0]);
    assert_eq!(errors(&nodes(33)), ["33 nodes are too many"]);
    assert_eq!(errors("fencing: none\nnodes: {}\n"), ["there are no nodes"]);
    let cluster = parse(&format!("cluster: x\n{}", nodes(9))).unwrap();
    assert_eq!(cluster.nodes.iter().filter(|node| node.voter).count(), 7);
}

/// A machine that has `vip`, one own agent, and one OCF agent.
struct Machine;

impl AgentCatalog for Machine {
    fn facts(&self, agent: &AgentRef) -> Option<AgentFacts> {
        let (parameters, required): (&[&str], &[&str]) = match agent.name.as_str() {
            "vip" => (&["address", "interface"], &["address"]),
            "queue" => (&["spool", "user"], &["spool"]),
            "docker" => (&["image"], &["image"]),
            _ => return None,
        };
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Some(AgentFacts { parameters: Some(list(parameters)), required: list(required) })
    }
    fn knows_class(&self, _: &AgentClass) -> bool {
        true
    }
    fn fence_agent(&self, name: &str) -> FenceAgent {
        let parameter =
            |name: &str, replaces: Option<&str>, required, values: &[&str]| FenceParameter {
                name: name.to_owned(),
                replaces: replaces.map(str::to_owned),
                required,
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            };
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match name {
            "fence_apc" => FenceAgent::Told {
                parameters: vec![
                    parameter("action", None, true, &[]),
                    parameter("ip", Some("ipaddr"), true, &[]),
                    parameter("ipaddr", None, false, &[]),
                    parameter("password", Some("passwd"), true, &[]),
                    parameter("plug", Some("port"), true, &[]),
                    parameter("port", None, false, &[]),
                    parameter("auth", None, false, &["md5", "none"]),
                ],
                actions: list(&["on", "off", "status"]),
            },
            "fence_kdump" => {
                FenceAgent::Told { parameters: Vec::new(), actions: list(&["off", "monitor"]) }
            }
            _ => FenceAgent::Absent,
        }
    }
}

#[test]
fn as3_a_fence_agent_is_held_against_what_it_says_of_itself() {
    let said = |device: &str| -> Vec<(usize, String)> {
        let text = format!(
            "cluster: x\n{NODES}fencing:\n  a: {{agent: command, command: x}}\n  b: {{agent: {device}}}\n"
        );
        let checked = check("x", &text, &Machine);
        let line = text.lines().position(|line| line.starts_with("  b: {agent")).unwrap() + 1;
        assert!(checked.cluster.is_some(), "{device}: {:?}", checked.diagnostics);
        let found = checked.diagnostics.iter().filter(|found| found.message.contains("fence_"));
        found.map(|found| (found.line.abs_diff(line), found.message.clone())).collect()
    };
    let one = |text: &str| vec![(0, text.to_owned())];
    let good = "fence_apc, ip: 192.0.2.1, plug: 7, password_file: /etc/crm/apc";
    assert_eq!(said(good), []);
    // By its older names as well.
    assert_eq!(said("fence_apc, ipaddr: 192.0.2.1, port: 7, password_file: /x"), []);
    assert_eq!(said(&good.replace("plug: 7, ", "")), one("`fence_apc` needs `plug`"));
    assert_eq!(
        said(&good.replace(", password_file: /etc/crm/apc", "")),
        one("`fence_apc` needs `password`")
    );
    assert_eq!(said(&format!("{good}, plgu: 7")), one("`fence_apc` has no parameter `plgu`"));
    assert_eq!(said(&format!("{good}, auth: md5")), []);
    assert_eq!(said(&format!("{good}, auth: md6")), one("`auth` of `fence_apc` cannot be `md6`"));
    assert_eq!(said("fence_kdump"), one("`fence_kdump` does not know `status`"));
    assert_eq!(said("fence_none_here"), one("`fence_none_here` is not installed on this machine"));
    // Of several levels, the one that is meant, and in it the word.
    let levels = format!(
        "cluster: x\n{NODES}fencing:\n  a: {{agent: command, command: x}}\n  b:\n    - {{agent: command, command: x}}\n    - agent: fence_apc\n      ip: x\n      plgu: 7\n"
    );
    let checked = check("x", &levels, &Machine);
    let found = checked.diagnostics.iter().filter(|found| found.message.contains("fence_"));
    let found: Vec<String> =
        found.map(|found| format!("{} {}", found.line, found.message)).collect();
    let line = levels.lines().position(|line| line.contains("fence_apc")).unwrap() + 1;
    assert_eq!(
        found,
        [
            format!("{line} `fence_apc` needs `password`"),
            format!("{line} `fence_apc` needs `plug`"),
            format!("{} `fence_apc` has no parameter `plgu`", line + 2),
        ]
    );
}

#[test]
fn as3_a_slip_in_the_name_of_a_check_is_told() {
    let said = |more: &str| -> Vec<String> {
        let text = format!(
            "cluster: x\n{NODES}fencing:\n  a: {{agent: command, command: x, port: 7{more}}}\n  b: {{agent: command, command: x}}\n"
        );
        let checked = check("x", &text, &Machine);
        let found = checked.diagnostics.iter().filter(|found| found.message.contains("passed on"));
        found.map(|found| found.message.clone()).collect()
    };
    assert_eq!(said(", chekc: y"), ["`chekc` is only passed on to the command"]);
    assert_eq!(said(", chekc: y, check: z"), [""; 0]);
    assert_eq!(said(", check: z"), [""; 0]);
    assert_eq!(said(""), [""; 0]);
}

#[test]
fn the_machine_sharpens_the_check_and_never_the_meaning() {
    let text = |resource: &str| {
        format!("cluster: x\n{NODES}fencing: none\ngroups: {{g: {{resources: [{resource}]}}}}\n")
    };
    for (resource, severity, message, help) in [
        (
            "vip: {address: 10.0.0.7, interfcae: eth0}",
            Severity::Error,
            "`vip` has no parameter `interfcae`",
            "`interface`",
        ),
        ("vpi", Severity::Error, "there is no agent `vpi`", "`vip`"),
        ("queue: {user: mail}", Severity::Error, "`queue` needs `spool`", ""),
        (
            "ocf:heartbeat:docker: {image: x, nmae: y}",
            Severity::Warning,
            "`ocf:heartbeat:docker` has no parameter `nmae`",
            "image",
        ),
        ("ocf:heartbeat:docker", Severity::Error, "`ocf:heartbeat:docker` needs `image`", ""),
        (
            "systemd:nginx",
            Severity::Warning,
            "`systemd:nginx` is not installed on this machine",
            "cannot run",
        ),
        ("process: /bin/x", Severity::Warning, "`process` is not installed on this machine", ""),
        (
            "pgsql: /data",
            Severity::Warning,
            "the agent `pgsql` is not built yet",
            "`systemd:postgresql`, or `ocf:heartbeat:pgsql` without roles, does its work meanwhile",
        ),
    ] {
        let text = text(resource);
        let checked = check("x", &text, &Machine);
        let found = checked
            .diagnostics
            .iter()
            .find(|found| found.message == message)
            .unwrap_or_else(|| panic!("{resource}: {:?}", checked.diagnostics));
        assert_eq!(found.severity, severity, "{resource}");
        assert!(
            found.help.clone().unwrap_or_default().contains(help),
            "{resource}: {:?}",
            found.help
        );
        let alone = parse(&text).unwrap();
        if let Some(cluster) = checked.cluster {
            assert_eq!(cluster, alone, "{resource}");
        }
    }
    assert!(check("x", &text("queue: {spool: /var/q}"), &Machine).cluster.is_some());
}

#[test]
fn a_witness_that_no_link_leads_to_is_refused() {
    let found = errors(&format!("{ARMED}witness: 2001:db8::9\nfencing: none\n"));
    assert_eq!(found, ["no link leads to the witness"]);
    let other = ARMED.replace("10.1.0.", "2001:db8::");
    assert_eq!(errors(&format!("{other}witness: 2001:db8::9\nfencing: none\n")), [""; 0]);
}

#[test]
fn a_watchdog_that_is_not_armed_is_told_at_its_line() {
    use crm_config::{Here, check_here};
    let text = format!("cluster: x\n{ARMED}fencing: none\n");
    let said = |unarmed: &[&str]| -> Vec<(usize, String)> {
        let unarmed = unarmed.iter().map(|node| (*node).into()).collect();
        let here = Here { unarmed, ..Here::default() };
        let found = check_here("x", &text, &NoCatalog, &here).diagnostics;
        let found = found.into_iter().filter(|found| found.message.contains("not armed"));
        found.map(|found| (found.line, found.message)).collect()
    };
    assert_eq!(said(&[]), []);
    let line = text.lines().position(|line| line.trim_start().starts_with("b:")).unwrap() + 1;
    assert_eq!(said(&["b"]), [(line, "the watchdog of node `b` is not armed".to_owned())]);
    // Not one of this file.
    assert_eq!(said(&["z"]), []);
}

#[test]
fn as6_what_init_starts_is_told_at_its_resource() {
    use crm_config::{Here, StartedAtBoot, check_here};
    let text = format!(
        "cluster: x\n{ARMED}fencing: none\ngroups:\n  g:\n    resources:\n      - vip: 10.1.0.99/24\n      - systemd:nginx\n"
    );
    let by = |resource: usize, by: &str| StartedAtBoot {
        group: "g".into(),
        resource,
        by: by.to_owned(),
    };
    for (by, help) in [
        (by(1, "nginx.service"), "systemctl disable --now nginx.service"),
        (by(1, "/etc/rc3.d/S20nginx"), "update-rc.d"),
        (by(1, "/etc/fstab (/dev/x)"), "noauto"),
    ] {
        let here = Here { started_at_boot: vec![by.clone()], ..Here::default() };
        let checked = check_here("x", &text, &NoCatalog, &here);
        let found =
            checked.diagnostics.iter().find(|found| found.message.contains(&by.by)).unwrap();
        let line = text.lines().position(|line| line.contains("systemd:nginx")).unwrap() + 1;
        assert_eq!((found.line, found.severity), (line, Severity::Warning));
        assert!(found.help.as_deref().unwrap_or_default().contains(help), "{:?}", found.help);
    }
}

#[test]
fn what_was_measured_is_held_against_the_deadtime() {
    use crm_config::{Here, MeasuredGap, check_here};
    let text = format!("cluster: x\n{ARMED}heartbeat:\n  deadtime: 1s\nfencing: none\n");
    let gap = |link: u8, gap: u64| MeasuredGap {
        peer: "b".into(),
        link,
        longest_gap: Span::millis(gap),
        supports: Span::millis(2 * gap + 200),
    };
    let said = |gaps: Vec<MeasuredGap>, missing: &[&str]| {
        let missing_watchdogs = missing.iter().map(|device| (*device).to_owned()).collect();
        let here = Here { node: Some("a".into()), gaps, missing_watchdogs, ..Here::default() };
        let checked = check_here("x", &text, &NoCatalog, &here);
        let lines = checked.diagnostics.iter().map(|found| (found.line, found.one_line()));
        lines.filter(|(_, line)| line.contains("measured") || line.contains("no /dev")).collect()
    };
    let none: Vec<(usize, String)> = Vec::new();
    assert_eq!(said(vec![gap(0, 300)], &[]), none);
    // The other link was never silent for long: the peer was heard all the time.
    assert_eq!(said(vec![gap(0, 900), gap(1, 300)], &[]), none);
    let short: Vec<(usize, String)> = said(vec![gap(0, 900), gap(1, 700)], &[]);
    assert!(matches!(&short[..], [(6, line)] if line.contains("silent for 700ms on link 1")));
    let missing: Vec<(usize, String)> = said(Vec::new(), &["/dev/watchdog"]);
    assert!(
        matches!(&missing[..], [(3, line)] if line.contains("no /dev/watchdog")),
        "{missing:?}"
    );
}
