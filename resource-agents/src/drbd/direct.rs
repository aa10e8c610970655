//! 8.4's own `drbdsetup`, called as `drbdadm` calls it: a takeover waits for each process that is only on the way there.
//! Where there is another DRBD, `drbdadm` is called.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crm_drbd::conf::Address;
use crm_drbd::state::Role;
use crm_drbd::{Resource, proc_drbd};

use crate::child;

/// Only there while 8.4 is loaded.
#[derive(Debug)]
pub(super) struct Direct {
    /// The program to which `drbdsetup` hands over.
    pub(super) program: PathBuf,
    /// The kernel's own file.
    state: PathBuf,
}

impl Direct {
    pub(super) fn find() -> Option<Direct> {
        Direct::of(Path::new(STATE), &PROGRAMS.map(Path::new))
    }

    pub(super) fn of(state: &Path, programs: &[&Path]) -> Option<Direct> {
        let loaded = proc_drbd::read(&fs::read_to_string(state).ok()?).ok()?;
        if !loaded.version.starts_with("8.4.") {
            return None;
        }
        let program = programs.iter().find(|program| child::is_executable(program))?;
        Some(Direct { program: program.to_path_buf(), state: state.to_owned() })
    }

    /// Is this node Primary of every volume? `None` if the kernel does not tell of each.
    pub(super) fn is_primary(&self, resource: &Resource) -> Option<bool> {
        let found = proc_drbd::read(&fs::read_to_string(&self.state).ok()?).ok()?;
        let mut roles = BTreeSet::new();
        for minor in minors(resource)? {
            roles.insert(found.devices.get(&minor)?.role.clone());
        }
        Some(roles.into_iter().eq([Role::Primary]))
    }
}

/// The devices of a resource: 8.4 is told of each. `None` if one is not known.
pub(super) fn minors(resource: &Resource) -> Option<Vec<u32>> {
    let minors: Vec<u32> =
        resource.volumes.values().map(|volume| volume.minor).collect::<Option<_>>()?;
    (!minors.is_empty()).then_some(minors)
}

/// `ipv4:10.0.0.1:7788`
pub(super) fn word(address: &Address) -> String {
    address.to_string().replacen(' ', ":", 1)
}

const STATE: &str = "/proc/drbd";
const PROGRAMS: [&str; 2] = ["/lib/drbd/drbdsetup-84", "/usr/lib/drbd/drbdsetup-84"];
