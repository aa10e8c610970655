//! `cluster.yaml`: read, checked, every diagnostic drawn, and what follows from it.

use crate::planted;
use crm_config::{DIAGNOSTICS_MAX, NoCatalog, Severity, check};

pub fn feed(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let checked = check("cluster.yaml", text, &NoCatalog);
    assert!(checked.diagnostics.len() <= DIAGNOSTICS_MAX);
    let refused = checked.diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_eq!(refused, checked.cluster.is_none());
    for diagnostic in &checked.diagnostics {
        assert!(!diagnostic.render(true).is_empty());
        assert!(!diagnostic.one_line().contains('\n'));
    }
    // What the core reads is what was checked.
    assert!(refused || crm_config::parse_for_core(text).is_ok());
    if let Some(cluster) = &checked.cluster {
        crm_config::budget(cluster).iter().for_each(|line| drop(line.to_string()));
        drop(crm_config::describe_change(cluster, cluster));
        planted::reached(cluster.name != "shop");
    }
}
