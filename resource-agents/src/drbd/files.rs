//! DRBD's configuration, read from its files: the same as `drbdadm dump`, without two processes.

use std::path::{Path, PathBuf};

use crm_drbd::conf::{self, Source};

/// One resource as the files have it; `None` if that cannot be said for certain.
pub(super) fn resource(name: &str) -> Option<conf::Resource> {
    resource_in(Path::new(DIRECTORY), name)
}

fn resource_in(directory: &Path, name: &str) -> Option<conf::Resource> {
    // 8.4's drbdadm takes the first of these that is there.
    if BEFORE.iter().any(|file| directory.join(file).exists()) {
        return None;
    }
    let file = directory.join("drbd.conf");
    let text = std::fs::read_to_string(&file).ok()?;
    let whole = conf::read(&file.display().to_string(), &text, &mut Files).ok()?;
    if !whole.unknown.is_empty() {
        return None;
    }
    whole.resources.into_iter().find(|resource| resource.name == name)
}

/// Files that `include` names, relative to the file that names them, as drbdadm does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

impl Source for Files {
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

const DIRECTORY: &str = "/etc";
const BEFORE: [&str; 4] = ["drbd-84.conf", "drbd-83.conf", "drbd-82.conf", "drbd-08.conf"];

#[cfg(test)]
mod tests {
    use super::*;
    use crm_drbd::conf::read;

    #[test]
    fn a_resource_is_told_only_if_every_word_was_understood() {
        let directory = std::env::temp_dir().join(format!("crm-drbd-files-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let write =
            |name: &str, text: &str| std::fs::write(directory.join(name), text).expect("write");
        let good = include_str!("../../../docs/layouts/r0.res");
        write("r0.res", good);
        write(
            "drbd.conf",
            "global { usage-count no; }\ncommon { net { protocol C; } }\ninclude \"*.res\";\n",
        );
        let found = resource_in(&directory, "r0").expect("r0");
        let names: Vec<_> = found.hosts.iter().flat_map(|host| &host.names).collect();
        assert_eq!(names, ["alpha", "beta"]);
        assert_eq!(resource_in(&directory, "r1"), None);
        write("r1.res", "resource r1 { something new; }");
        assert_eq!(resource_in(&directory, "r0"), None, "there may be more to it");
        write("r1.res", "resource r1 {");
        assert_eq!(resource_in(&directory, "r0"), None, "drbdadm would refuse it too");
        write("r1.res", "");
        assert!(resource_in(&directory, "r0").is_some());
        write("drbd-84.conf", "");
        assert_eq!(resource_in(&directory, "r0"), None, "drbdadm reads another file");
        std::fs::remove_dir_all(&directory).expect("removed");
    }

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
        let found = read(&file.display().to_string(), &text, &mut Files);
        std::fs::remove_dir_all(&directory).expect("removed");
        let found = found.expect("read");
        let names: Vec<&str> = found.resources.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found.resources[0].protocol().map(|one| one.value.as_str()), Some("B"));
    }
}
