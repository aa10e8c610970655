//! The thread that looks at the key files: a slow disk must not stop votes.

use crate::keys::KeyFile;
use crm_wire::AuthKeys;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
const STACK_BYTES: usize = 256 * 1024;

/// The key file of the seat of this number has changed: its keys, or what is wrong with it.
pub(super) type Changed = (usize, Result<Box<AuthKeys>, String>);

/// Watches the key files of all seats, in their order.
///
/// # Errors
/// No thread can be made.
pub(super) fn watch(files: Vec<PathBuf>) -> io::Result<UnboundedReceiver<Changed>> {
    let (sender, receiver) = unbounded_channel();
    let mut files: Vec<KeyFile> = files.into_iter().map(KeyFile::new).collect();
    std::thread::Builder::new().name("witness-keys".to_owned()).stack_size(STACK_BYTES).spawn(
        move || {
            loop {
                std::thread::sleep(EVERY);
                for (seat, file) in files.iter_mut().enumerate() {
                    if let Some(changed) = file.changed()
                        && sender.send((seat, changed.map(Box::new))).is_err()
                    {
                        // The loop has ended.
                        return;
                    }
                }
            }
        },
    )?;
    Ok(receiver)
}
