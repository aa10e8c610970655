//! One process a store: two on the same would vote twice (AS1).

use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::path::Path;

/// Holds `file`, which is made if need be, until it is dropped or the process ends; `other` is who else may hold it.
///
/// # Errors
/// The file cannot be opened, or `other` holds it; then the text ends with `hint`.
pub(crate) fn hold(file: &Path, other: &str, hint: &str) -> Result<Flock<File>, String> {
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(file)
        .map_err(|error| format!("{} cannot be opened: {error}", file.display()))?;
    Flock::lock(opened, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
        format!("{} is held by {other} ({error})\nhint: {hint}", file.display())
    })
}
