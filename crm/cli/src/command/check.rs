//! `crm check`: is this a configuration, is it a wise one, and how long does a failover take?

use crate::args::{Check, Place};
use crate::catalog::Installed;
use crate::output::{Failure, Output, counted, read_file};
use crate::session::Session;
use crate::started_at_boot::started_at_boot;
use crm_api::Exit;
use crm_config::{Checked, Here, MeasuredGap, Severity};
use crm_core::status::{NodeState, NodeStatus};
use std::path::Path;

pub(crate) fn run(place: &Place, args: Check, output: &mut Output) -> Result<Exit, Failure> {
    let path = args.file.clone().unwrap_or_else(|| place.cluster_file());
    if args.file.is_none() && !path.exists() {
        return Err(Failure::new(
            Exit::Failed,
            format!("there is no {}", path.display()),
            "`crm init` writes a first one; `crm check FILE` looks at another",
        ));
    }
    let text = read_file(&path)?;
    let here = here(place, &text);
    let file = path.display().to_string();
    let checked = crm_config::check_here(&file, &text, &Installed, &here);
    let errors = checked.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = checked.diagnostics.len() - errors;
    let budgets = checked.cluster.as_ref().map(crm_config::budget).unwrap_or_default();
    if args.json {
        let lines: Vec<String> = checked.diagnostics.iter().map(|d| d.one_line()).collect();
        let budgets: Vec<String> = budgets.iter().map(ToString::to_string).collect();
        output.json(&serde_json::json!({
            "file": path.display().to_string(),
            "accepted": checked.cluster.is_some(),
            "errors": errors,
            "warnings": warnings,
            "diagnostics": lines,
            "failover_budgets": budgets,
        }))?;
    } else {
        let colours = output.is_terminal();
        for diagnostic in &checked.diagnostics {
            output.line(diagnostic.render(colours))?;
        }
        if !budgets.is_empty() {
            output.line("failover budget, from the last sign of life to the start elsewhere:")?;
        }
        for budget in &budgets {
            output.line(format!("  {budget}"))?;
        }
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        output.line(format!("{}: {errors}, {warnings}", path.display()))?;
    }
    Ok(if checked.cluster.is_some() { Exit::Done } else { Exit::Failed })
}

pub(crate) fn check(path: &Path, text: &str) -> Checked {
    crm_config::check(&path.display().to_string(), text, &Installed)
}

/// What this machine knows: whether its watchdog is there, what init starts, and what its daemon has measured.
fn here(place: &Place, text: &str) -> Here {
    let mut here = Here::default();
    let Ok(cluster) = crm_config::parse(text) else { return here };
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let host = host.split('.').next().unwrap_or_default();
    if let Some(node) = cluster.nodes.iter().find(|node| node.id.as_str() == host) {
        here.node = Some(node.id.clone());
        let device = node.watchdog.iter().filter(|device| !Path::new(device).exists());
        here.missing_watchdogs.extend(device.cloned());
        here.started_at_boot = started_at_boot(Path::new("/"), &cluster);
    }
    let status = Session::open(place).and_then(|mut session| session.status());
    let Some(status) = status.ok().filter(|status| status.cluster == cluster.name) else {
        return here;
    };
    // While nothing is to be done, nothing is armed either.
    if status.maintenance.is_none() && !status.cluster_stopped {
        let unarmed =
            |node: &&NodeStatus| node.state == NodeState::Online && node.armed == Some(false);
        here.unarmed = status.nodes.iter().filter(unarmed).map(|node| node.id.clone()).collect();
    }
    for peer in &status.nodes {
        let gaps = peer.links.iter().filter(|link| link.received >= MEASURED_MIN);
        here.gaps.extend(gaps.map(|link| MeasuredGap {
            peer: peer.id.clone(),
            link: link.link,
            longest_gap: link.longest_gap,
            supports: link.supported_deadtime,
        }));
    }
    here
}

/// Fewer heartbeats are no history.
const MEASURED_MIN: u64 = 100;
