//! A byte stream from a machine, read with a deadline: by line, or up to a mark.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{LabError, Result};

/// A connected stream and what was read of it ahead.
pub struct Lines {
    name: String,
    stream: UnixStream,
    ahead: Vec<u8>,
}

impl Lines {
    /// Connects to `path`, waiting for it to be there until `deadline`. `name` is for messages.
    ///
    /// # Errors
    /// When nobody listens there by then.
    pub fn connect(name: &str, path: &Path, deadline: Instant) -> Result<Self> {
        loop {
            match UnixStream::connect(path) {
                Ok(stream) => return Ok(Self { name: name.to_owned(), stream, ahead: Vec::new() }),
                Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20))
                }
                Err(source) => {
                    return Err(LabError::Io {
                        what: format!("{name}: {}", path.display()),
                        source,
                    });
                }
            }
        }
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// When the other end is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stream.write_all(bytes) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(LabError::Gone(self.name.clone())),
            other => other.map_err(LabError::io(format!("{}: write", self.name))),
        }
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// When none is complete at `deadline`, or the other end is gone.
    pub fn line(&mut self, deadline: Instant) -> Result<String> {
        let mut line = self.until(b"\n", deadline)?;
        while line.ends_with(['\n', '\r']) {
            line.pop();
        }
        Ok(line)
    }

    /// Everything up to and including `mark`.
    ///
    /// # Errors
    /// When it has not come at `deadline`, or the other end is gone. What has come stays to be read.
    pub fn until(&mut self, mark: &[u8], deadline: Instant) -> Result<String> {
        let started = Instant::now();
        let mut searched = 0_usize;
        loop {
            let from = searched.saturating_sub(mark.len());
            if let Some(at) = self.ahead[from..].windows(mark.len()).position(|w| w == mark) {
                let rest = self.ahead.split_off(from + at + mark.len());
                let taken = std::mem::replace(&mut self.ahead, rest);
                return Ok(String::from_utf8_lossy(&taken).into_owned());
            }
            searched = self.ahead.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LabError::Silent {
                    what: format!("{}: waiting for {:?}", self.name, String::from_utf8_lossy(mark)),
                    waited: started.elapsed(),
                    last: String::from_utf8_lossy(&self.ahead).into_owned(),
                });
            }
            self.stream.set_read_timeout(Some(left)).map_err(LabError::io("read timeout"))?;
            let mut chunk = [0_u8; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(LabError::Gone(self.name.clone())),
                Ok(n) => self.ahead.extend_from_slice(&chunk[..n]),
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => {
                    return Err(LabError::Gone(self.name.clone()));
                }
                Err(e) => {
                    return Err(LabError::Io { what: format!("{}: read", self.name), source: e });
                }
            }
        }
    }
}
