//! What other agents ask of mounts: does a path lie on the filesystem that should be mounted at a mount point? Is one
//! of the kernel's own there?

use std::path::{Path, PathBuf};

use super::mount::load_type;
use super::mountinfo::Table;
use crate::child;
use crate::contract::{Failure, Outcome};
use crate::deadline::Deadline;
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

/// Where a filesystem of this type is mounted, if one is: for the kernel's own ones, of which there is one.
pub(crate) fn mounted_kind(kind: &str) -> Result<Option<PathBuf>, Failure> {
    let table = Table::read()?;
    Ok(table.mounts.iter().rev().find(|entry| entry.kind == kind).map(|entry| entry.at.clone()))
}

/// Mounts the kernel's own filesystem `kind` at `at`, unless it is mounted somewhere, and says where it is.
pub(crate) fn mount_kernels_own(
    kind: &str,
    at: &Path,
    deadline: Deadline,
) -> Result<PathBuf, Failure> {
    if let Some(found) = mounted_kind(kind)? {
        return Ok(found);
    }
    load_type(kind, deadline)?;
    // Loading its module may have had somebody mount it.
    if let Some(found) = mounted_kind(kind)? {
        return Ok(found);
    }
    let failed = |error: &std::io::Error| {
        Failure::system(format!("cannot mount {kind} at {}", at.display()), error)
    };
    if !at.is_dir() {
        std::fs::create_dir_all(at).map_err(|error| failed(&error))?;
    }
    let mounted = child::call(deadline, || {
        sys_mount::Mount::builder().fstype(kind).mount(kind, at).map(|_| ())
    });
    match mounted {
        Ok(Some(Ok(()))) => Ok(at.to_owned()),
        Ok(Some(Err(error))) | Err(error) => Err(failed(&error)),
        Ok(None) => Err(Failure::generic(format!(
            "cannot mount {kind} at {}: the kernel did not answer in time",
            at.display()
        ))),
    }
}
