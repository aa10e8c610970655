//! The demo's directory: private, and removed also after a demo that was killed outright.

use crate::output::Failure;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const PREFIX: &str = "crm-demo-";

/// Makes it, and removes those of demos that are no more.
pub(super) fn make() -> Result<PathBuf, Failure> {
    let place = std::env::temp_dir();
    sweep(&place);
    for attempt in 0..100 {
        let path = place.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
        // Never one that is there already: it may be somebody's trap.
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(Failure::failed(format!(
                    "the demo needs a directory: {}: {error}",
                    path.display()
                )));
            }
        }
    }
    Err(Failure::failed(format!("{} is full of old demos", place.display())))
}

fn sweep(place: &Path) {
    let own = nix::unistd::geteuid().as_raw();
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = owner(&name.to_string_lossy()) else { continue };
        let alive = Path::new("/proc").join(pid.to_string()).exists();
        // Looks at the entry itself, not at where a link leads.
        let ours = entry.metadata().is_ok_and(|entry| entry.is_dir() && entry.uid() == own);
        if !alive && ours {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that made a directory of this name.
fn owner(name: &str) -> Option<u32> {
    let (pid, attempt) = name.strip_prefix(PREFIX)?.split_once('-')?;
    attempt.parse::<u32>().ok()?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_demo_gives_are_swept() {
        assert_eq!(owner("crm-demo-12-0"), Some(12));
        for other in ["crm-demo-12", "crm-demo-x-0", "crm-demo-12-x", "crm-demo", "12-0"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[test]
    fn a_directory_of_a_dead_demo_goes_and_that_of_a_living_one_stays() {
        let place = std::env::temp_dir().join(format!("crm-sweep-{}", std::process::id()));
        // No process has a number this high.
        let (dead, living) = (place.join("crm-demo-4194399-0/x"), place.join(alive()));
        std::fs::create_dir_all(&dead).expect("directory");
        std::fs::create_dir_all(&living).expect("directory");
        sweep(&place);
        assert!(!place.join("crm-demo-4194399-0").exists());
        assert!(living.exists());
        std::fs::remove_dir_all(&place).expect("removed");
    }

    fn alive() -> String {
        format!("{PREFIX}{}-0", std::process::id())
    }
}
