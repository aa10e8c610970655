//! Descriptor 3: what an agent tells the daemon beside its exit code, one line each.

use std::cell::RefCell;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

/// The lines to the daemon. Without descriptor 3 they go nowhere, which is fine.
#[derive(Debug)]
pub(crate) struct Channel {
    out: RefCell<Option<File>>,
}

impl Channel {
    pub(crate) fn new(out: Option<File>) -> Channel {
        Channel { out: RefCell::new(out) }
    }

    /// Why it failed, or why it is as it is; shown to the operator.
    pub(crate) fn reason(&self, text: impl Display) {
        self.line("reason", &text.to_string());
    }

    /// What is being done right now; also for people, who read it on the standard error.
    pub(crate) fn progress(&self, text: impl Display) {
        let text = text.to_string();
        self.line("progress", &text);
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    pub(crate) fn watch_process(&self, pid: i32) {
        self.line("watch", &format!("process {pid}"));
    }

    pub(crate) fn watch_address(&self, address: IpAddr) {
        self.line("watch", &format!("address {address}"));
    }

    pub(crate) fn watch_carrier(&self, interface: &str) {
        self.line("watch", &format!("carrier {interface}"));
    }

    pub(crate) fn watch_mount(&self, path: &Path) {
        self.line("watch", &format!("mount {}", path.display()));
    }

    /// Lets go of the descriptor, in a child that outlives the action.
    pub(crate) fn close(&self) {
        self.out.borrow_mut().take();
    }

    /// One write per line, so that lines of several writers cannot mix.
    fn line(&self, word: &str, text: &str) {
        if let Some(out) = self.out.borrow_mut().as_mut() {
            let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            // The daemon may have stopped listening; the action goes on regardless.
            let _ = out.write_all(format!("{word} {}\n", text.trim()).as_bytes());
        }
    }
}
