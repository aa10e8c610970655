//! `crm check`: is this a configuration, is it a wise one, and how long does a failover take?

use crate::args::{Check, Place};
use crate::output::{Failure, Output, read_file};
use crm_api::Exit;
use crm_config::{Checked, Severity};
use std::path::Path;

pub(crate) fn run(place: &Place, args: Check, output: &mut Output) -> Result<Exit, Failure> {
    let path = args.file.clone().unwrap_or_else(|| place.cluster_file());
    let text = read_file(&path)?;
    let checked = check(&path, &text);
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
        output.line(format!("{}: {errors} errors, {warnings} warnings", path.display()))?;
    }
    Ok(if checked.cluster.is_some() { Exit::Done } else { Exit::Failed })
}

pub(crate) fn check(path: &Path, text: &str) -> Checked {
    crm_config::check(&path.display().to_string(), text, &crate::catalog::Installed)
}
