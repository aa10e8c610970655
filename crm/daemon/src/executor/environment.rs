//! The environment of an agent: clean, the same at every call, without a secret of the daemon.

use super::call::Places;
use crm_core::id::NodeId;
use crm_core::model::AgentClass;
use crm_core::operation::{Action, Operation};
use std::collections::BTreeMap;

/// Marks every process of one call, so that a daemon that restarts can find what is left (H15).
pub(crate) const TOKEN: &str = "CRM_OPERATION";

/// `freshest`: every other copy of the group's data is recorded as stale (I8).
const DATA: &str = "CRM_DATA";
/// Nodes that are proved dead, with commas: see [`crm_core::operation::DataWord`].
const PEERS_DEAD: &str = "CRM_PEERS_DEAD";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What every child of the daemon gets.
pub(crate) fn clean(token: &str) -> BTreeMap<String, String> {
    [("PATH", PATH), ("LC_ALL", "C"), (TOKEN, token)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What an agent gets.
pub(crate) fn environment(
    places: &Places,
    operation: &Operation,
    token: &str,
) -> BTreeMap<String, String> {
    let spec = &operation.spec;
    let mut all = BTreeMap::new();
    for (name, value) in &spec.params {
        all.insert(format!("OCF_RESKEY_{name}"), value.clone());
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        all.insert(format!("CRM_{plain}"), value.clone());
    }
    // Only the cluster says these, and most often it does not.
    all.remove(DATA);
    all.remove(PEERS_DEAD);
    let timeout = operation.timeout.as_millis().to_string();
    let instance = format!("{}.{}", operation.group, operation.resource);
    let mut set = |name: &str, value: &str| all.insert(name.to_owned(), value.to_owned());
    if let AgentClass::Ocf { provider } = &spec.agent.class {
        let probe = operation.action == Action::Status;
        set("OCF_ROOT", &places.ocf_root.display().to_string());
        set("OCF_RA_VERSION_MAJOR", "1");
        set("OCF_RA_VERSION_MINOR", "0");
        set("OCF_RESOURCE_INSTANCE", &instance);
        set("OCF_RESOURCE_TYPE", &spec.agent.name);
        set("OCF_RESOURCE_PROVIDER", provider);
        set("OCF_CHECK_LEVEL", "0");
        set("OCF_RESKEY_CRM_meta_timeout", &timeout);
        set("OCF_RESKEY_CRM_meta_name", if probe { "monitor" } else { operation.action.as_str() });
        let interval = if probe { spec.interval.as_millis() } else { 0 };
        set("OCF_RESKEY_CRM_meta_interval", &interval.to_string());
        set("OCF_RESKEY_CRM_meta_on_node", &places.node);
    }
    set("CRM_GROUP", operation.group.as_str());
    set("CRM_RESOURCE", operation.resource.as_str());
    set("CRM_NODE", &places.node);
    set("CRM_TIMEOUT_MS", &timeout);
    set("CRM_STATE_DIR", &places.agent_state_dir.display().to_string());
    if operation.word.freshest {
        set(DATA, "freshest");
    }
    if !operation.word.peers_dead.is_empty() {
        let names: Vec<&str> = operation.word.peers_dead.iter().map(NodeId::as_str).collect();
        set(PEERS_DEAD, &names.join(","));
    }
    // Last: no parameter can replace these.
    all.extend(clean(token));
    // A variable cannot hold a zero byte; the configuration refuses it, and so would exec.
    all.retain(|name, value| !name.contains(['=', '\0']) && !value.contains('\0'));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::testing::{operation, places};

    #[test]
    fn an_ocf_agent_finds_the_whole_ocf_environment() {
        let dir = crate::testing::Dir::new();
        let mut operation = operation("ocf:heartbeat:IPaddr2", Action::Status);
        let spec = std::sync::Arc::make_mut(&mut operation.spec);
        spec.params.insert("ip".into(), "192.0.2.1".into());
        let all = environment(&places(dir.path()), &operation, "token");
        for (name, value) in [
            ("OCF_RESKEY_ip", "192.0.2.1"),
            ("CRM_IP", "192.0.2.1"),
            ("OCF_RESOURCE_TYPE", "IPaddr2"),
            ("OCF_RESOURCE_PROVIDER", "heartbeat"),
            ("OCF_RESOURCE_INSTANCE", "g.r"),
            ("OCF_RA_VERSION_MAJOR", "1"),
            ("OCF_RESKEY_CRM_meta_name", "monitor"),
            ("OCF_RESKEY_CRM_meta_timeout", "5000"),
            ("LC_ALL", "C"),
            ("CRM_OPERATION", "token"),
        ] {
            assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[test]
    fn i8_an_agent_is_told_what_the_record_says_of_its_data() {
        let dir = crate::testing::Dir::new();
        let mut operation = operation("drbd", Action::Start);
        operation.word.freshest = true;
        operation.word.peers_dead = ["beta", "gamma"].map(NodeId::new).into();
        let all = environment(&places(dir.path()), &operation, "token");
        assert_eq!(all["CRM_DATA"], "freshest");
        assert_eq!(all["CRM_PEERS_DEAD"], "beta,gamma");
    }

    #[test]
    fn a_parameter_cannot_take_the_place_of_what_the_daemon_says() {
        let dir = crate::testing::Dir::new();
        let mut operation = operation("process", Action::Start);
        let spec = std::sync::Arc::make_mut(&mut operation.spec);
        spec.params.insert("operation".into(), "mine".into());
        spec.params.insert("node".into(), "mine".into());
        spec.params.insert("a=b".into(), "mine".into());
        spec.params.insert("peers_dead".into(), "beta".into());
        spec.params.insert("data".into(), "freshest".into());
        let all = environment(&places(dir.path()), &operation, "token");
        assert!(!all.contains_key("CRM_PEERS_DEAD") && !all.contains_key("CRM_DATA"), "{all:?}");
        assert_eq!(all["CRM_OPERATION"], "token");
        assert_eq!(all["CRM_NODE"], "alpha");
        assert!(!all.keys().any(|name| name.contains('=')));
    }
}
