//! `crm drbd check`: what in DRBD's configuration breaks promises.

use crate::args::Place;
use crate::output::{Failure, Output, Tone, counted, read_file};
use crm_api::Exit;
use crm_core::model::{AgentClass, Cluster};
use crm_drbd::conf::{Configuration, Context, Severity, Source, check, read};
use std::path::{Path, PathBuf};

/// Agents whose data must survive to the last acknowledged write.
const DATABASES: &[&str] = &["mysql", "oracle", "pgsql"];

pub(super) fn run(
    place: &Place,
    file: &Path,
    json: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let text = read_file(file)?;
    let configuration = read(&file.display().to_string(), &text, &mut Disk)
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

/// Files that `include` names, relative to the file that names them, as drbdadm does.
struct Disk;

impl Source for Disk {
    fn include(&mut self, pattern: &str, from: &str) -> Result<Vec<(String, String)>, String> {
        let base = Path::new(from).parent().unwrap_or(Path::new("/"));
        let whole = base.join(pattern);
        let mut files =
            if pattern.contains(['*', '?', '[']) { matching(&whole)? } else { vec![whole] };
        files.sort();
        let read = |file: PathBuf| {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            Ok((file.display().to_string(), text))
        };
        files.into_iter().map(read).collect()
    }
}

/// The files whose last part fits; wildcards in directories are not used by anybody.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let directory = pattern.parent().unwrap_or(Path::new("/"));
    if directory.to_string_lossy().contains(['*', '?', '[']) || name.contains(['?', '[']) {
        return Err("only `*` in the last part of the path is understood".to_owned());
    }
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(Vec::new()) };
    let paths = entries.flatten().map(|entry| entry.path());
    let fits_name = |path: &PathBuf| {
        path.file_name().and_then(|own| own.to_str()).is_some_and(|own| fits(name, own))
    };
    Ok(paths.filter(|path| path.is_file() && fits_name(path)).collect())
}

/// `*` is any text; a leading dot has to be said.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_fit_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.res", "r0.res", true),
            ("*.res", ".res", false),
            ("*.res", "r0.res.old", false),
            ("r*0*.res", "r10.res", true),
            ("r*0*.res", "r1.res", false),
            ("r0.res", "r0.res", true),
            ("r0.res", "r0.res2", false),
            ("*", "anything", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn included_files_are_found_beside_the_file_that_names_them() {
        let directory = std::env::temp_dir().join(format!("crm-drbd-check-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("drbd.d")).expect("directory");
        let write =
            |name: &str, text: &str| std::fs::write(directory.join(name), text).expect("write");
        write("drbd.conf", "include \"drbd.d/common.conf\";\ninclude \"drbd.d/*.res\";\n");
        write("drbd.d/common.conf", "common { net { protocol B; } }");
        write("drbd.d/b.res", "resource b { }");
        write("drbd.d/a.res", "resource a { }");
        write("drbd.d/a.res.dpkg-old", "resource a { }");
        let file = directory.join("drbd.conf");
        let text = std::fs::read_to_string(&file).expect("read");
        let found = read(&file.display().to_string(), &text, &mut Disk);
        std::fs::remove_dir_all(&directory).expect("removed");
        let found = found.expect("read");
        let names: Vec<&str> = found.resources.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found.resources[0].protocol().map(|one| one.value.as_str()), Some("B"));
    }
}
