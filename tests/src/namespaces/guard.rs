//! What must be undone however a test ends, by a process that outlives it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A shell that waits for the end of its input, which is the end of its owner, and then undoes.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// `script` sees what it undoes as `$0`, `$1` and so on.
    ///
    /// # Panics
    /// If it cannot be started: then nothing would be undone.
    pub(super) fn start(script: &str, what: &[PathBuf]) -> Guard {
        let path = std::env::var("PATH").unwrap_or_default();
        // In a session of its own, so that what ends the test from a terminal does not end it.
        let child = Command::new("setsid")
            .args(["sh", "-c", &format!("cat >/dev/null; {script}")])
            .args(what)
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("setsid (util-linux)");
        Guard(child)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
