//! Nodes that do not run for a while, by the freezer of cgroup v2.

use super::guard::Guard;
use super::laboratory::Laboratory;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Thaws what was left frozen, for only then it can end, and removes each group whose name begins as
/// one of these, when it is empty.
const REMOVE: &str = "for group in \"$0\"*; do \
        [ -e \"$group\" ] && echo 0 >\"$group/cgroup.freeze\"; done; \
    for try in $(seq 50); do left=; \
        for begin in \"$0\" \"$@\"; do for group in \"$begin\"*; do \
            [ -e \"$group\" ] && { rmdir \"$group\" || left=1; }; done; done; \
        [ -z \"$left\" ] && exit; sleep 0.1; done";

/// Removes the control groups of a laboratory's nodes: those that froze them, and those that their
/// daemons made for agent calls and did not live to remove.
pub(super) fn groups(directory: &Path, runs: &[PathBuf]) -> Option<Guard> {
    let mount = mount()?;
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mut begins = vec![mount.join(format!("{}-", name_of(directory)))];
    begins.extend(runs.iter().map(|run| {
        let digest = crm_core::digest::digest(run.as_os_str().as_encoded_bytes());
        mount.join(own).join(format!("crm-{digest}."))
    }));
    Some(Guard::start(REMOVE, &begins))
}

fn name_of(directory: &Path) -> String {
    directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Laboratory {
    /// Freezes every process of a node, or thaws them.
    ///
    /// # Panics
    /// If the kernel does not do it.
    pub fn freeze(&self, name: &str, frozen: bool) {
        let group = mount().expect("cgroup v2 is mounted nowhere").join(self.control_group(name));
        if frozen {
            std::fs::create_dir_all(&group).expect("a control group");
            // What is forked meanwhile is found by the next look.
            let mut moved = BTreeSet::new();
            loop {
                let all = self.processes_of(name);
                let new: Vec<i32> = all.into_iter().filter(|pid| moved.insert(*pid)).collect();
                if new.is_empty() {
                    break;
                }
                for pid in new {
                    // A process that has just ended needs no freezing.
                    let _ = std::fs::write(group.join("cgroup.procs"), pid.to_string());
                }
            }
        }
        std::fs::write(group.join("cgroup.freeze"), if frozen { "1" } else { "0" })
            .expect("cgroup.freeze");
        let until = Instant::now() + Duration::from_secs(5);
        while is_frozen(&group) != frozen {
            assert!(Instant::now() < until, "{name}: frozen is to be {frozen}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn is_frozen(&self, name: &str) -> bool {
        mount().is_some_and(|mount| is_frozen(&mount.join(self.control_group(name))))
    }

    /// Its name carries the laboratory's: two of them may have nodes of one name.
    fn control_group(&self, name: &str) -> String {
        format!("{}-{name}", name_of(&self.directory))
    }

    /// Every process in a node's PID namespace, by its number on the host.
    fn processes_of(&self, name: &str) -> Vec<i32> {
        let power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(keeper) = power.keepers.get(name) else { return Vec::new() };
        let of = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = of(keeper.pid);
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| own.is_some() && of(*pid) == own)
            .collect()
    }
}

fn is_frozen(group: &Path) -> bool {
    std::fs::read_to_string(group.join("cgroup.events")).is_ok_and(|text| text.contains("frozen 1"))
}

/// Where cgroup v2 is mounted.
fn mount() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let mount = mounts.lines().find(|line| line.split_whitespace().nth(2) == Some("cgroup2"))?;
    mount.split_whitespace().nth(1).map(PathBuf::from)
}
