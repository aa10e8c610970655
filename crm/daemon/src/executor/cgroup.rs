//! One cgroup (v2) for each agent call, where this process may make one: it holds every
//! descendant, also those that left their session, and kills them all at once.
//!
//! The mount is looked for, never assumed. Under systemd the unit says `Delegate=yes`, and its own
//! cgroup is the parent. Without a writable cgroup the daemon works without.

use super::{procfs, room};
use crate::sys::is_shortage;
use std::fs::{self, File};
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the start of the daemon waits for room to look; heartbeats wait with it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where calls get their cgroups.
#[derive(Clone, Debug)]
pub(crate) struct Parent {
    directory: PathBuf,
    /// Names of this daemon's cgroups start so; two daemons below one parent differ in it.
    prefix: String,
}

/// The cgroup of one call.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup(PathBuf);

impl Parent {
    /// Finds the cgroup of this process, also if there is no room to look for a moment: what is not found now is missed
    /// by every call of this daemon. `None`: there is none, or none to be found now.
    pub(crate) async fn find_in_time(prefix: &str) -> Option<Parent> {
        match room::wait_for(PATIENCE, pending(), || Parent::find(prefix)).await {
            Ok((found, _)) => found,
            Err(refused) => {
                tracing::warn!("agents run without cgroups until crmd starts again: {refused:?}");
                None
            }
        }
    }

    /// `None`: there is no cgroup v2, or it is not writable.
    ///
    /// # Errors
    /// There is no room to look.
    pub(crate) fn find(prefix: &str) -> io::Result<Option<Parent>> {
        match Parent::probe(prefix) {
            Err(error) if !is_shortage(&error) => Ok(None),
            probed => probed,
        }
    }

    fn probe(prefix: &str) -> io::Result<Option<Parent>> {
        let mounts = procfs::read("/proc/self/mountinfo")?;
        let own = procfs::read("/proc/self/cgroup")?;
        let Some(directory) = own_directory(&mounts, &own) else { return Ok(None) };
        let parent = Parent { directory, prefix: prefix.to_owned() };
        // A daemon that was killed in this moment has left its own.
        let _ = Cgroup(parent.path("probe")).remove();
        let probe = parent.make("probe")?;
        let usable = probe.0.join("cgroup.kill").exists();
        probe.remove()?;
        Ok(usable.then_some(parent))
    }

    /// A new cgroup with a name that no call before had.
    pub(crate) fn make(&self, name: &str) -> io::Result<Cgroup> {
        let path = self.path(name);
        fs::create_dir(&path)?;
        Ok(Cgroup(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{}.{name}", self.prefix))
    }

    /// Removes those in which no process is left: of services that ended since.
    pub(crate) fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let prefix = format!("{}.", self.prefix);
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                // Refused by the kernel while a process is inside.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

impl Cgroup {
    /// One that a former daemon made.
    pub(crate) fn at(path: &Path) -> Cgroup {
        Cgroup(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Its directory, for a child that is to be born inside.
    pub(crate) fn directory(&self) -> io::Result<File> {
        File::open(&self.0)
    }

    /// Kills every process inside, also those that are just being forked.
    pub(crate) fn kill(&self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
    }

    /// Whether a living process is inside, at any depth. A cgroup that is gone holds none; one
    /// that cannot be read may.
    pub(crate) fn is_populated(&self) -> bool {
        match fs::read_to_string(self.0.join("cgroup.events")) {
            Ok(text) => !text.lines().any(|line| line == "populated 0"),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Gone, or refused because somebody is inside.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// The directory of the process's own v2 cgroup, from its mountinfo and cgroup files.
fn own_directory(mountinfo: &str, cgroup: &str) -> Option<PathBuf> {
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        // In a container the mount may show a part of the hierarchy only.
        let below = if root == "/" { own } else { own.strip_prefix(root)? };
        if below.split('/').any(|part| part == "..") {
            return None;
        }
        Some(Path::new(at).join(below.trim_start_matches('/')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_wherever_it_is() {
        let mounts = "24 1 0:22 / /sys rw - sysfs sysfs rw\n\
                      30 24 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let own = "4:memory:/x\n0::/system.slice/crm.service\n";
        assert_eq!(
            own_directory(mounts, own),
            Some("/sys/fs/cgroup/unified/system.slice/crm.service".into())
        );
        assert_eq!(own_directory(mounts, "0::/\n"), Some("/sys/fs/cgroup/unified/".into()));
        assert_eq!(own_directory(mounts, "4:memory:/x\n"), None);
        assert_eq!(own_directory("", own), None);
    }

    #[test]
    fn without_a_free_descriptor_it_is_not_known_whether_there_are_cgroups() {
        let found = crate::testing::without_descriptors(|| Parent::find("crm-unseen"));
        assert!(found.is_err_and(|error| is_shortage(&error)));
    }

    /// Where there are cgroups at all.
    #[test]
    fn a_probe_that_a_killed_daemon_left_is_in_nobodys_way() {
        let prefix = format!("crm-probed-{}", std::process::id());
        let Some(parent) = Parent::find(&prefix).expect("seen") else { return };
        let left = parent.make("probe").expect("made");
        let found = Parent::find(&prefix).expect("seen");
        let _ = left.remove();
        assert!(found.is_some());
    }

    #[test]
    fn a_mount_of_a_part_of_the_hierarchy_is_understood() {
        let mounts = "30 24 0:27 /box /cg rw - cgroup2 cgroup2 rw\n";
        assert_eq!(own_directory(mounts, "0::/box/crm\n"), Some("/cg/crm".into()));
        assert_eq!(own_directory(mounts, "0::/other\n"), None);
        assert_eq!(own_directory(mounts, "0::/box/../other\n"), None);
    }
}
