//! The short configurations of these tests.

use crm_core::id::{GroupId, NodeId};
use crm_core::model::{
    AgentClass, AgentRef, Cluster, Failback, FenceDevice, Fencing, Group, NodeSpec, OnDiskError,
    OnFail, Resource, RestartPolicy, Timeouts, Timing,
};
use crm_core::time::Span;
use std::cell::Cell;
use std::collections::BTreeMap;

thread_local! {
    /// Whether the daemon that reads now is of a version that refuses a configuration that ends in `new-key`.
    pub(crate) static IS_OLD: Cell<bool> = const { Cell::new(false) };
}

/// The first word of a configuration text: `device` or `none`; then the nodes; then after `|` the
/// groups, each with its preferred nodes, `:auto` for failback, `:after=GROUP,…`, `:with=GROUP,…`,
/// `:of=RESOURCE,…`, `:priority=N`, `:block` for what is done about a failure. A resource named `copy…` has one on every node.
pub(crate) fn parse(text: &str) -> Result<Cluster, String> {
    if IS_OLD.get() && text.contains("new-key") {
        return Err("unknown key `new-key`".to_owned());
    }
    let text = text.trim_end_matches(" new-key");
    let (head, groups) = text.split_once('|').unwrap_or((text, ""));
    let mut words = head.split_whitespace();
    let protection = words.next().ok_or("empty")?;
    // `L=30` and such set timing in seconds, `ping` a tie-break address, `a+` has a watchdog, `a-` no vote.
    let mut timing = Timing { initdead: Span::secs(2), ..Timing::default() };
    let mut tiebreak_ping = None;
    let mut witness = None;
    let mut nodes: Vec<NodeSpec> = Vec::new();
    for word in words.by_ref() {
        if let Some((key, value)) = word.split_once('=') {
            let span = Span::secs(value.parse().map_err(|_| "number")?);
            match key {
                "L" => timing.lease = span,
                "port" => timing.port = value.parse().map_err(|_| "port")?,
                "S" => timing.stop_margin = span,
                _ => timing.watchdog = span,
            }
        } else if word == "witness" {
            witness = Some(crm_core::model::WitnessSpec { address: "10.0.0.9".into() });
        } else if word == "ping" {
            tiebreak_ping = Some("10.0.0.254".to_owned());
        } else {
            // `a@x,y`: at other addresses.
            let (word, links) = word.split_once('@').unwrap_or((word, ""));
            let name = word.trim_end_matches(['+', '-']);
            let links: Vec<String> =
                links.split(',').filter(|link| !link.is_empty()).map(str::to_owned).collect();
            let own = vec![format!("10.0.0.{name}")];
            nodes.push(NodeSpec {
                id: NodeId::new(name),
                links: if links.is_empty() { own } else { links },
                voter: !word.ends_with('-'),
                watchdog: word.ends_with('+').then(|| "/dev/watchdog".into()),
            });
        }
    }
    let device =
        FenceDevice { agent: "command".into(), params: BTreeMap::new(), timeout: Span::secs(10) };
    let fencing = match protection {
        "device" => Fencing::Devices {
            devices: nodes.iter().map(|n| (n.id.clone(), vec![device.clone()])).collect(),
            delay: Span::millis(100),
        },
        _ => Fencing::None,
    };
    let groups = groups
        .split_whitespace()
        .map(|word| {
            let mut options = word.split(':');
            let head = options.next().unwrap_or_default();
            let (name, prefer) = head.split_once('@').unwrap_or((head, ""));
            let (mut failback, mut after, mut with) = (Failback::Manual, vec![], vec![]);
            let mut things = vec!["r"];
            let (mut on_fail, mut priority, mut unsafe_failover) = (OnFail::Restart, 0, false);
            for option in options {
                let (key, value) = option.split_once('=').unwrap_or((option, ""));
                let named = || value.split(',').map(GroupId::new).collect();
                match key {
                    "auto" => failback = Failback::Auto,
                    "after" => after = named(),
                    "with" => with = named(),
                    "of" => things = value.split(',').collect(),
                    "priority" => priority = value.parse().unwrap_or_else(|_| panic!("{value}")),
                    "block" => on_fail = OnFail::Block,
                    "unsafe" => unsafe_failover = true,
                    other => panic!("unknown option {other}"),
                }
            }
            Group {
                id: name.into(),
                prefer: prefer.split(',').filter(|p| !p.is_empty()).map(NodeId::new).collect(),
                only_preferred: false,
                failback,
                on_disk_error: OnDiskError::Move,
                resources: things
                    .into_iter()
                    .map(|thing| Resource { on_fail, ..resource(thing, protection) })
                    .collect(),
                runs_with: with,
                avoids: vec![],
                starts_after: after,
                follow: None,
                priority,
                restart: RestartPolicy { count: 3, window: Span::secs(600) },
                failure_expiry: Span::secs(3600),
                unsafe_failover,
            }
        })
        .collect();
    Ok(Cluster {
        name: "test".into(),
        nodes,
        witness,
        timing,
        fencing,
        tiebreak_ping,
        groups,
        services: vec![],
        operators: vec![],
    })
}

/// `x` is something of that name, `data…` always of data; `x#1` and `x#2` are one mount with two sets of options.
fn resource(word: &str, protection: &str) -> Resource {
    let (name, options) = word.split_once('#').unwrap_or((word, ""));
    let (agent, params) = if options.is_empty() {
        ("vip", [("of", name.to_owned())].to_vec())
    } else {
        ("filesystem", [("at", format!("/{name}")), ("options", options.to_owned())].to_vec())
    };
    Resource {
        id: name.into(),
        agent: AgentRef { class: AgentClass::Own, name: agent.into() },
        params: params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        args: vec![],
        timeouts: Timeouts::default(),
        interval: Span::secs(10),
        on_fail: OnFail::Restart,
        stateless: protection == "stateless" && !name.starts_with("data"),
        observe_everywhere: name.starts_with("copy"),
    }
}
