//! Where an OCF agent lies and what it expects in its environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where OCF agents live on every distribution.
pub const OCF_ROOT: &str = "/usr/lib/ocf";

/// The file of `ocf:PROVIDER:NAME`; `None` if a part could lead out of the directory.
pub fn agent_path(root: &str, provider: &str, name: &str) -> Option<PathBuf> {
    let plain = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.contains('/') && !part.contains('\0')
    };
    (plain(provider) && plain(name))
        .then(|| PathBuf::from(root).join("resource.d").join(provider).join(name))
}

/// The variables of OCF's resource agent API for one call.
///
/// `instance` is the resource's name in the cluster, `timeout_ms` the call's limit.
pub fn environment(
    root: &str,
    provider: &str,
    name: &str,
    instance: &str,
    timeout_ms: u64,
    parameters: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = parameters
        .iter()
        .map(|(name, value)| (format!("OCF_RESKEY_{name}"), value.clone()))
        .collect();
    for (name, value) in [
        ("OCF_ROOT", root),
        ("OCF_RA_VERSION_MAJOR", "1"),
        ("OCF_RA_VERSION_MINOR", "1"),
        ("OCF_RESOURCE_INSTANCE", instance),
        ("OCF_RESOURCE_PROVIDER", provider),
        ("OCF_RESOURCE_TYPE", name),
        ("OCF_RESKEY_CRM_meta_timeout", &timeout_ms.to_string()),
        ("OCF_RESKEY_crm_feature_set", "3.0.9"),
        ("LC_ALL", "C"),
    ] {
        all.insert(name.to_owned(), value.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        let path = agent_path(OCF_ROOT, "heartbeat", "Dummy").expect("path");
        assert_eq!(path, PathBuf::from("/usr/lib/ocf/resource.d/heartbeat/Dummy"));
        for (provider, name) in [("..", "Dummy"), ("heartbeat", "../x"), ("", "x"), ("a", "")] {
            assert_eq!(agent_path(OCF_ROOT, provider, name), None);
        }
    }

    #[test]
    fn parameters_cannot_displace_the_contract() {
        let given = BTreeMap::from([("CRM_meta_timeout".to_owned(), "9".to_owned())]);
        let all = environment(OCF_ROOT, "heartbeat", "Dummy", "d", 20_000, &given);
        assert_eq!(all.get("OCF_RESKEY_CRM_meta_timeout").map(String::as_str), Some("20000"));
    }
}
