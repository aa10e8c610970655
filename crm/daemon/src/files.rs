//! The thread that looks at the two files of `/etc/crm`: a slow disk must not stop heartbeats.

use crate::draft::Draft;
use crate::happening::{Happening, Tell};
use crate::keys::KeyFile;
use crm_core::Input;
use crm_core::event::Event;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
const STACK_BYTES: usize = 256 * 1024;

/// Tells the thread which configuration is in force.
#[derive(Debug)]
pub(crate) struct Files(Sender<Arc<str>>);

impl Files {
    /// # Errors
    /// No thread can be made.
    pub(crate) fn watch(draft: Draft, keys: KeyFile, tell: Tell) -> io::Result<Files> {
        let (sender, receiver) = channel();
        std::thread::Builder::new()
            .name("crmd-files".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work(draft, keys, &receiver, &tell))?;
        Ok(Files(sender))
    }

    pub(crate) fn in_force(&self, text: &Arc<str>) {
        // The thread ends with the daemon only.
        let _ = self.0.send(text.clone());
    }
}

fn work(mut draft: Draft, mut keys: KeyFile, receiver: &Receiver<Arc<str>>, tell: &Tell) {
    loop {
        match receiver.recv_timeout(EVERY) {
            Ok(text) => {
                if let Err(problem) = draft.in_force(&text) {
                    tell.event(Event::warning("draft-not-written", problem));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(digest) = draft.look() {
            tell.input(Input::DraftSeen { digest });
        }
        match keys.changed() {
            None => {}
            Some(Ok(keys)) => tell.tell(Happening::Keys(Box::new(keys))),
            Some(Err(problem)) => {
                let text = format!("{problem}; the keys read before stay in use");
                tell.event(Event::error("keys-refused", text));
            }
        }
    }
}
