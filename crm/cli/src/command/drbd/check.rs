//! `crm drbd check`: what in DRBD's configuration breaks promises.

use crate::args::Place;
use crate::output::{Failure, Output, Tone, counted, read_file};
use crm_agents::drbd::Files;
use crm_api::Exit;
use crm_core::model::{AgentClass, Cluster};
use crm_drbd::conf::{Configuration, Context, Severity, check, read};
use std::path::Path;

/// Agents whose data must survive to the last acknowledged write.
const DATABASES: &[&str] = &["mysql", "oracle", "pgsql"];

pub(super) fn run(
    place: &Place,
    file: &Path,
    json: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let text = read_file(file)?;
    let configuration = read(&file.display().to_string(), &text, &mut Files)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let cluster = std::fs::read_to_string(place.cluster_file())
        .ok()
        .and_then(|text| crm_config::check("cluster.yaml", &text, &crm_config::NoCatalog).cluster);
    let findings = check(&configuration, &context(cluster.as_ref()));
    let mut lines: Vec<(Severity, String)> =
        findings.iter().map(|finding| (finding.severity, finding.to_string())).collect();
    lines.extend(
        missing(&configuration, cluster.as_ref()).into_iter().map(|line| (Severity::Error, line)),
    );
    let errors = lines.iter().filter(|(severity, _)| *severity == Severity::Error).count();
    let warnings = lines.len() - errors;
    if json {
        let said: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        output.json(&serde_json::json!({
            "file": file.display().to_string(),
            "resources": configuration.resources.iter().map(|one| &one.name).collect::<Vec<_>>(),
            "errors": errors,
            "warnings": warnings,
            "findings": said,
        }))?;
    } else {
        for (severity, line) in &lines {
            let tone = if *severity == Severity::Error { Tone::Bad } else { Tone::Warn };
            let line = output.tone(tone, line);
            output.line(line)?;
        }
        output.line(format!(
            "{}: {}, {}, {}",
            file.display(),
            counted(configuration.resources.len(), "resource"),
            counted(errors, "error"),
            counted(warnings, "warning")
        ))?;
    }
    Ok(if errors == 0 { Exit::Done } else { Exit::Failed })
}

fn context(cluster: Option<&Cluster>) -> Context {
    let Some(cluster) = cluster else { return Context::default() };
    let has_database = |group: &&crm_core::model::Group| {
        group.resources.iter().any(|resource| {
            resource.agent.class == AgentClass::Own
                && DATABASES.contains(&resource.agent.name.as_str())
        })
    };
    let groups = cluster.groups.iter().filter(has_database);
    Context {
        nodes: cluster.nodes.iter().map(|node| node.id.as_str().to_owned()).collect(),
        databases: groups.flat_map(names).collect(),
    }
}

/// The DRBD resources of a group.
fn names(group: &crm_core::model::Group) -> Vec<String> {
    let ours = group.resources.iter().filter(|resource| {
        resource.agent.class == AgentClass::Own && resource.agent.name == "drbd"
    });
    ours.filter_map(|resource| resource.params.get("drbd_resource").cloned()).collect()
}

/// What a group promotes and DRBD does not know.
fn missing(configuration: &Configuration, cluster: Option<&Cluster>) -> Vec<String> {
    let known = |name: &String| configuration.resources.iter().any(|one| one.name == *name);
    let groups = cluster.map(|cluster| cluster.groups.as_slice()).unwrap_or_default();
    groups
        .iter()
        .flat_map(|group| names(group).into_iter().map(move |name| (group, name)))
        .filter(|(_, name)| !known(name))
        .map(|(group, name)| {
            format!(
                "error: {name}: group {} promotes it, but it is not in DRBD's configuration; \
                 `crm drbd config {name}` writes one",
                group.id
            )
        })
        .collect()
}
