//! The configuration of the design reads into the model, every default filled in.

use crm_config::{parse, parse_for_core};
use crm_core::model::{AgentClass, Failback, Fencing, OnDiskError, OnFail, Timing};
use crm_core::time::Span;

const SHOP: &str = r#"
cluster: shop
nodes:
  alpha: {links: [192.168.123.165, 10.0.0.1]}
  beta:  {links: [192.168.123.166, 10.0.0.2], watchdog: /dev/watchdog}
witness: 192.168.123.9
heartbeat: {keepalive: 200ms, warntime: 500ms, deadtime: 1s, initdead: 30}
fencing:
  alpha: {agent: fence_ipmilan, ip: 10.1.0.1, username: crm, password_file: /etc/crm/alpha.ipmi}
  beta:
    - {agent: fence_ipmilan, ip: 10.1.0.2, username: 0123, password_file: /etc/crm/beta.ipmi, timeout: 8s}
    - {agent: command, command: "/usr/local/sbin/off beta"}
tiebreak: {ping: 192.168.123.1}
operators: [kim, lee]
groups:
  db1:
    prefer: [alpha, beta]
    failback: auto
    on_disk_error: stay
    restarts: 1
    restart_window: 5m
    resources:
      - drbd: r0
      - filesystem: {device: /dev/drbd0, at: /data1, type: ext4}
      - mysql: {datadir: /data1/mysql, timeouts: {start: 2m}, on_fail: move, interval: 1.5s}
      - vip: 192.168.123.170/24
      - vip: 192.168.123.171/24
      - systemd:nginx
      - ocf:heartbeat:docker: {params: {name: web}, image: "nginx:1", stateless: true}
      - heartbeat:oractl: {args: [TEST01], name: oracle1}
"#;

#[test]
fn the_example_of_the_design_reads_into_the_model() {
    let cluster = parse(SHOP).unwrap();
    assert_eq!(cluster.name, "shop");
    assert_eq!(cluster.nodes.len(), 2);
    assert_eq!(cluster.nodes[0].links, ["192.168.123.165", "10.0.0.1"]);
    assert!(cluster.nodes.iter().all(|node| node.voter));
    assert_eq!(cluster.nodes[1].watchdog.as_deref(), Some("/dev/watchdog"));
    assert_eq!(cluster.witness.as_ref().map(|w| w.address.as_str()), Some("192.168.123.9"));
    assert_eq!(cluster.timing, Timing::default());
    assert_eq!(cluster.tiebreak_ping.as_deref(), Some("192.168.123.1"));
    assert_eq!(cluster.operators, ["kim", "lee"]);

    let Fencing::Devices { devices, delay } = &cluster.fencing else { panic!("no devices") };
    let beta = &devices[&"beta".into()];
    assert_eq!(beta[0].params["username"], "0123");
    assert_eq!(beta[0].timeout, Span::secs(8));
    assert_eq!(beta[1].params["command"], "/usr/local/sbin/off beta");
    assert_eq!(*delay, Span::secs(35), "a quarter more than 8 s and 20 s");

    let group = &cluster.groups[0];
    assert_eq!(group.failback, Failback::Auto);
    assert_eq!(group.on_disk_error, OnDiskError::Stay);
    assert_eq!((group.restart.count, group.restart.window), (1, Span::secs(300)));
    let ids: Vec<&str> = group.resources.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids, ["drbd", "filesystem", "mysql", "vip", "vip-2", "nginx", "docker", "oracle1"]);
    assert_eq!(group.resources[0].params["drbd_resource"], "r0");
    assert!(group.resources[0].observe_everywhere && !group.resources[0].stateless);
    assert_eq!(group.resources[2].timeouts.start, Span::secs(120));
    assert_eq!(group.resources[2].timeouts.stop, Span::secs(60));
    assert_eq!(group.resources[2].on_fail, OnFail::Move);
    assert_eq!(group.resources[2].interval, Span::millis(1500));
    assert!(group.resources[3].stateless);
    assert!(!group.resources[5].stateless, "systemd units have data unless the admin says not");
    assert_eq!(group.resources[6].agent.to_string(), "ocf:heartbeat:docker");
    assert_eq!(group.resources[6].params["name"], "web");
    assert!(group.resources[6].stateless);
    assert_eq!(group.resources[7].agent.class, AgentClass::Heartbeat);
    assert_eq!(group.resources[7].args, ["TEST01"]);
}

#[test]
fn roles_are_followed() {
    let cluster = parse(
        "cluster: pair\nnodes: {a: {links: [10.0.0.1]}, b: {links: [10.0.0.2]}}\n\
         witness: 10.0.0.9\nfencing: none\n\
         services:\n  pg: {agent: pgsql, datadir: /srv/pg, nodes: [a, b], max_lag: 16MiB, max_lag_age: 30s}\n\
         groups:\n  rw: {follow: pg primary, resources: [vip: 10.0.0.33/24]}\n\
         \x20 ro: {follow: pg standby, otherwise: primary, resources: [vip: 10.0.0.34/24]}\n",
    )
    .unwrap();
    assert_eq!(cluster.services[0].max_lag_bytes, Some(16 << 20));
    assert_eq!(cluster.services[0].max_lag_age, Some(Span::secs(30)));
    let follow = cluster.groups[1].follow.as_ref().unwrap();
    assert_eq!((follow.service.as_str(), follow.role.as_str()), ("pg", "standby"));
    assert_eq!(follow.otherwise.as_deref(), Some("primary"));
}

#[test]
fn the_core_gets_one_line() {
    let error = parse_for_core("cluster: x\nnodes: {a: {links: [10.0.0.300]}}\nfencing: nope\n")
        .unwrap_err();
    assert!(error.contains("cluster.yaml:2:21: this link is not an IP address"), "{error}");
    assert!(error.contains("(and 1 more)"), "{error}");
    assert!(!error.contains('\n'));
}
