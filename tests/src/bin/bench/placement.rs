//! How long one placement takes: many groups on many nodes, one of which has just died; every
//! tenth group avoids the next, every seventh runs with the one before, every fourth starts after it.

use crate::table::Table;
use crm_core::id::{GroupId, NodeId, Stamp};
use crm_core::model::{
    Cluster, Failback, Fencing, Group, NodeSpec, OnDiskError, RestartPolicy, Timing,
};
use crm_core::packet::GroupPhase;
use crm_core::place::{NodeSituation, Situation, place};
use crm_core::record::{Grant, Intents};
use crm_core::time::Span;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const GROUPS: usize = 1_000;
const NODES: usize = 32;
const ROUNDS: usize = 201;
const GOAL: Duration = Duration::from_millis(5);

pub(crate) fn measure(_rounds: usize, table: &mut Table) {
    let node = |at: usize| NodeId::new(&format!("node{:02}", at % NODES));
    let group = |at: usize| GroupId::new(&format!("group{at:04}"));
    let nodes = (0..NODES)
        .map(|at| NodeSpec { id: node(at), links: vec![], voter: at < 7, watchdog: None })
        .collect();
    let groups = (0..GROUPS)
        .map(|at| Group {
            id: group(at),
            prefer: if at % 3 == 0 { vec![] } else { vec![node(at), node(at * 7 + 1)] },
            only_preferred: false,
            failback: if at % 5 == 0 { Failback::Auto } else { Failback::Manual },
            on_disk_error: OnDiskError::Move,
            resources: vec![],
            runs_with: if at % 7 == 6 { vec![group(at - 1)] } else { vec![] },
            avoids: if at % 10 == 0 { vec![group(at + 1)] } else { vec![] },
            starts_after: if at % 4 == 3 { vec![group(at - 1)] } else { vec![] },
            follow: None,
            priority: (at % 3) as i32,
            restart: RestartPolicy { count: 3, window: Span::secs(600) },
            failure_expiry: Span::secs(3600),
            unsafe_failover: false,
        })
        .collect();
    let cluster = Cluster {
        name: "speed".to_owned(),
        nodes,
        witness: None,
        timing: Timing::default(),
        fencing: Fencing::Devices { devices: BTreeMap::new(), delay: Span::ZERO },
        tiebreak_ping: None,
        groups,
        services: vec![],
        operators: vec![],
    };
    let situations = (0..NODES)
        .map(|at| (node(at), if at == 5 { NodeSituation::Gone } else { NodeSituation::Online }))
        .collect();
    // Four in five have an owner already; the others, and those of the dead node, need one.
    let grant = |at| Grant::held(node(at), Stamp::default());
    let owned = (0..GROUPS).filter(|at| at % 5 != 4);
    let grants = owned.clone().map(|at| (group(at), grant(at))).collect();
    let phases = owned.map(|at| (group(at), GroupPhase::Running)).collect();
    let situation = Situation {
        cluster: &cluster,
        nodes: &situations,
        intents: &Intents::default(),
        failures: &BTreeMap::new(),
        bans: &BTreeMap::new(),
        grants: &grants,
        retired: &BTreeMap::new(),
        phases: &phases,
        eligible: &BTreeMap::new(),
        roles: &BTreeMap::new(),
    };
    let took: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            let placement = place(&situation);
            let took = begin.elapsed();
            assert_eq!(placement.groups.len(), GROUPS);
            took
        })
        .collect();
    table.times(&format!("placing {GROUPS} groups on {NODES} nodes"), &took, Some(GOAL));
}
