//! Where the output of the command goes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::child;
use crate::contract::Context;
use crate::state;

/// Opens the place for the output, and tells how long it was before.
///
/// Always for appending: the file may be cut short or rotated by copy while it is written.
pub(crate) fn open(context: &Context, log_file: Option<&Path>) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).append(true).read(true).mode(0o640);
    match log_file {
        Some(path) => options.open(path),
        None => {
            let path = own_file(context)?;
            state::remove(&path)?;
            options.open(path)
        }
    }
}

/// What was written since `from`, the last part of it.
pub(crate) fn since(file: &mut File, from: u64) -> String {
    let grown = file.metadata().map(|meta| meta.len()).unwrap_or(0).saturating_sub(from);
    if grown == 0 {
        return String::new();
    }
    let mut text = child::tail(file).unwrap_or_default();
    let keep = usize::try_from(grown).unwrap_or(usize::MAX);
    if text.len() > keep {
        let mut at = text.len() - keep;
        while !text.is_char_boundary(at) {
            at += 1;
        }
        text = text.split_off(at);
    }
    child::one_line(&text)
}

/// Our own file lies in memory: it must not grow with a talkative service. The end is kept
/// beside it.
pub(crate) fn keep_short(context: &Context) {
    let Ok(path) = own_file(context) else { return };
    let Ok(meta) = fs::metadata(&path) else { return };
    if meta.len() < LONGEST {
        return;
    }
    if let Ok(mut file) = File::options().read(true).write(true).open(&path) {
        let text = child::tail(&mut file).unwrap_or_default();
        let _ = state::store(&path.with_extension("older"), &text);
        let _ = file.set_len(0);
    }
}

/// Forgets our own files.
pub(crate) fn remove(context: &Context) {
    if let Ok(path) = own_file(context) {
        let _ = state::remove(&path.with_extension("older"));
        let _ = state::remove(&path);
    }
}

fn own_file(context: &Context) -> io::Result<PathBuf> {
    state::path(context, "output")
}

const LONGEST: u64 = 1024 * 1024;
