//! A blocking client of the control socket.

use crate::message::{Reply, ReplyLine, Request, RequestLine, StampedEvent, decode};
use crate::{ApiError, REPLY_BYTES_MAX};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where `crmd` listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/crm/crm.sock";

/// How long a request may take: longer than the daemon's own limit, so that its answer is seen.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// One connection to the daemon of this node.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<UnixStream>,
    timeout: Duration,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`ApiError::NoDaemon`] if nobody listens, [`ApiError::NotAllowed`] if the user may not.
    pub fn connect(path: impl AsRef<Path>) -> Result<Client, ApiError> {
        let path = path.as_ref();
        let stream = UnixStream::connect(path).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => ApiError::NotAllowed { path: path.to_owned() },
            _ => ApiError::NoDaemon { path: PathBuf::from(path), source },
        })?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(ApiError::Broken)?;
        let client = Client { reader: BufReader::new(stream), timeout: ANSWER_TIMEOUT };
        client.patience(Some(client.timeout))?;
        Ok(client)
    }

    /// Waits this long for an answer.
    ///
    /// # Errors
    /// [`ApiError::Broken`] if the socket refuses.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), ApiError> {
        self.timeout = timeout.max(Duration::from_millis(1));
        self.patience(Some(self.timeout))
    }

    fn patience(&self, timeout: Option<Duration>) -> Result<(), ApiError> {
        self.reader.get_ref().set_read_timeout(timeout).map_err(ApiError::Broken)
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// [`ApiError::Problem`] with the daemon's words if it refused, else what broke.
    pub fn request(&mut self, request: Request) -> Result<Reply, ApiError> {
        self.send(request)?;
        match self.receive()? {
            Reply::Problem(problem) => Err(ApiError::Problem(problem)),
            reply => Ok(reply),
        }
    }

    /// Events after `since`; with `follow` it never ends by itself.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn stream(mut self, since: Option<u64>, follow: bool) -> Result<Stream, ApiError> {
        self.send(Request::Events { since, follow })?;
        if follow {
            self.patience(None)?;
        }
        Ok(Stream { client: self, ended: false, missed: 0 })
    }

    fn send(&mut self, request: Request) -> Result<(), ApiError> {
        let line = RequestLine::new(request).to_line()?;
        match self.reader.get_mut().write_all(&line) {
            // A daemon that refuses a connection says why before it hangs up: that is to be read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|error| self.broken(error)),
        }
    }

    fn receive(&mut self) -> Result<Reply, ApiError> {
        let mut line = Vec::new();
        let limit = REPLY_BYTES_MAX as u64 + 1;
        let read = (&mut self.reader).take(limit).read_until(b'\n', &mut line);
        read.map_err(|error| self.broken(error))?;
        if line.is_empty() {
            return Err(ApiError::Closed);
        }
        if line.last() != Some(&b'\n') {
            return Err(match line.len() > REPLY_BYTES_MAX {
                true => ApiError::TooLong { bytes: line.len(), most: REPLY_BYTES_MAX },
                false => ApiError::Closed,
            });
        }
        Ok(decode::<ReplyLine>(&line)?.reply)
    }

    fn broken(&self, error: io::Error) -> ApiError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ApiError::TimedOut { seconds: self.timeout.as_secs() }
            }
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ApiError::Closed,
            _ => ApiError::Broken(error),
        }
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Stream {
    client: Client,
    ended: bool,
    missed: u64,
}

impl Stream {
    /// How many events the daemon could not keep for this listener.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl Iterator for Stream {
    type Item = Result<StampedEvent, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.client.receive() {
                Ok(Reply::Event(event)) => return Some(Ok(event)),
                Ok(Reply::Missed(count)) => self.missed = self.missed.saturating_add(count),
                Ok(Reply::End) => self.ended = true,
                Ok(Reply::Problem(problem)) => {
                    self.ended = true;
                    return Some(Err(ApiError::Problem(problem)));
                }
                Ok(_) => {
                    self.ended = true;
                    let text = "expected an event, found another kind of reply".to_owned();
                    return Some(Err(ApiError::Protocol(text)));
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    #[test]
    fn nobody_listening_is_exit_six() {
        let error = Client::connect("/nonexistent/crm.sock").expect_err("nobody");
        assert_eq!(error.exit(), Exit::NoDaemon);
        assert!(error.to_string().contains("/nonexistent/crm.sock"), "{error}");
    }

    #[test]
    fn a_daemon_that_dies_in_the_middle_of_a_line_is_closed_not_a_hang() {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let mut client = Client { reader: BufReader::new(ours), timeout: Duration::from_secs(5) };
        (&theirs).write_all(br#"{"v":1,"re"#).expect("write");
        drop(theirs);
        assert!(matches!(client.receive(), Err(ApiError::Closed)));
    }

    #[test]
    fn a_refusal_that_comes_before_the_request_is_still_read() {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let mut client = Client { reader: BufReader::new(ours), timeout: Duration::from_secs(5) };
        let problem = r#"{"v":1,"reply":{"problem":{"kind":"limit","reason":"r","hint":""}}}"#;
        (&theirs).write_all(format!("{problem}\n").as_bytes()).expect("write");
        drop(theirs);
        let error = client.request(Request::Version).expect_err("refused");
        assert!(matches!(error, ApiError::Problem(_)), "{error:?}");
    }

    #[test]
    fn silence_is_a_time_out() {
        let (ours, _theirs) = UnixStream::pair().expect("pair");
        let mut client = Client { reader: BufReader::new(ours), timeout: Duration::from_secs(5) };
        client.set_timeout(Duration::from_millis(20)).expect("set");
        assert_eq!(client.receive().expect_err("silent").exit(), Exit::TimedOut);
    }
}
