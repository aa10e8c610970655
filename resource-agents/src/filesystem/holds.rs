//! Does a path lie on the filesystem that should be mounted at a mount point?

use std::path::Path;

use super::mountinfo::Table;
use crate::contract::{Failure, Outcome};
use crate::syscall;

/// For agents whose data must not be taken from the empty directory below a mount point.
pub(crate) fn mounted_on(mount: &Path, path: &Path) -> Outcome {
    let table = Table::read()?;
    let Some(found) = table.mounts.iter().rev().find(|entry| entry.at == mount) else {
        return Err(Failure::installed(format!(
            "expected a filesystem mounted at {}, found none; the resource that mounts it comes before \
             this one in its group",
            mount.display()
        )));
    };
    let whole = std::fs::canonicalize(path).map_err(|error| {
        Failure::installed(format!(
            "expected {} on the filesystem at {}: {error}",
            path.display(),
            mount.display()
        ))
    })?;
    let location = syscall::locate(&whole)
        .map_err(|error| Failure::system(format!("cannot look at {}", whole.display()), &error))?;
    let there = match location.mount {
        Some(id) => id == found.id,
        None => location.device == found.device && whole.starts_with(mount),
    };
    if !there {
        return Err(Failure::installed(format!(
            "expected {} on the filesystem at {}, found it on another one",
            path.display(),
            mount.display()
        )));
    }
    Ok(())
}
