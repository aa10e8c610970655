//! What a handler has to know of the cluster, and how it asks for a commit.

use super::Call;
use crm_api::{Client, Reply, Request};
use crm_core::id::{GroupId, NodeId};
use crm_core::model::{AgentClass, Cluster, Resource};
use crm_core::operator::{Command, Outcome};
use crm_core::status::{GroupStatus, Status};
use std::time::{Duration, Instant};

/// Between two tries while nobody can commit; longer and longer.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Why nothing was committed.
#[derive(Debug)]
pub(super) enum Why {
    /// It may be otherwise in a moment.
    NotNow(String),
    /// Asking again would not help.
    Never(String),
}

/// The cluster as this node's daemon shows it.
pub(super) struct Seen {
    pub(super) me: NodeId,
    pub(super) group: GroupId,
    /// The DRBD resources that the group promotes.
    pub(super) copies: Vec<String>,
    pub(super) status: Status,
}

impl Seen {
    pub(super) fn group(&self) -> Option<&GroupStatus> {
        self.status.groups.iter().find(|group| group.id == self.group)
    }
}

/// Tries until it is done, cannot be done, or the time is over.
pub(super) fn persist<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> Result<T, Why>,
) -> Result<T, String> {
    let until = Instant::now() + patience;
    let mut pause = RETRY_FIRST;
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(Why::Never(reason)) => return Err(reason),
            Err(Why::NotNow(reason)) if Instant::now() + pause > until => return Err(reason),
            Err(Why::NotNow(_)) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
    }
}

/// `group`, or the one that promotes the resource of this call.
pub(super) fn look(call: &Call, group: Option<GroupId>) -> Result<(Client, Seen), Why> {
    let mut client = Client::connect(&call.socket).map_err(|e| Why::NotNow(e.to_string()))?;
    let status = match ask(&mut client, Request::Status)? {
        Reply::Status(status) => *status,
        _ => return Err(Why::NotNow("the daemon does not tell its status".to_owned())),
    };
    let text = match ask(&mut client, Request::Config)? {
        Reply::Config(report) => report.text,
        _ => None,
    };
    let cluster = text
        .and_then(|text| crm_config::check("cluster.yaml", &text, &crm_config::NoCatalog).cluster)
        .ok_or_else(|| Why::NotNow("the daemon has no configuration".to_owned()))?;
    let group = group
        .or_else(|| group_of(&cluster, &call.resource))
        .ok_or_else(|| Why::Never(format!("no group of the cluster promotes {}", call.resource)))?;
    let promoted = cluster.group(&group).into_iter().flat_map(|group| &group.resources);
    let copies = promoted.filter_map(copy).cloned().collect();
    let me = status.node.clone();
    let me = me.ok_or_else(|| Why::NotNow("the daemon does not know its name yet".to_owned()))?;
    Ok((client, Seen { me, group, copies, status }))
}

/// The DRBD resources that a group promotes, by a configuration that is in force.
pub(crate) fn copies_of(text: &str, group: &GroupId) -> Vec<String> {
    let cluster = crm_config::check("cluster.yaml", text, &crm_config::NoCatalog).cluster;
    let group = cluster.as_ref().and_then(|cluster| cluster.group(group));
    group.into_iter().flat_map(|group| &group.resources).filter_map(copy).cloned().collect()
}

/// The DRBD resource that this one promotes.
fn copy(resource: &Resource) -> Option<&String> {
    let drbd = resource.agent.class == AgentClass::Own && resource.agent.name == "drbd";
    resource.params.get("drbd_resource").filter(|_| drbd)
}

/// The group that promotes a DRBD resource.
fn group_of(cluster: &Cluster, resource: &str) -> Option<GroupId> {
    let promotes = |one: &Resource| copy(one).is_some_and(|name| name == resource);
    let group = cluster.groups.iter().find(|group| group.resources.iter().any(promotes))?;
    Some(group.id.clone())
}

/// Success only after the commit.
pub(super) fn commit(client: &mut Client, command: Command) -> Result<String, Why> {
    match ask(client, Request::Command(Box::new(command)))? {
        Reply::Outcome(Outcome::Done { message, .. }) => Ok(message),
        Reply::Outcome(Outcome::Refused { reason, hint }) => {
            Err(Why::Never(format!("{reason}; {hint}")))
        }
        Reply::Outcome(Outcome::NoQuorum { reason } | Outcome::Unknown { reason }) => {
            Err(Why::NotNow(reason))
        }
        _ => Err(Why::NotNow("the daemon answered something else than was asked".to_owned())),
    }
}

fn ask(client: &mut Client, request: Request) -> Result<Reply, Why> {
    client.request(request).map_err(|error| Why::NotNow(error.to_string()))
}
