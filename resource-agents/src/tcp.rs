//! Does something accept at an address, and what does it answer?

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::deadline::Deadline;

/// Connects to `HOST:PORT`; the error names it and says why not.
pub(crate) fn connect(text: &str, deadline: Deadline) -> Result<TcpStream, String> {
    let explain = |error: io::Error| format!("nothing accepts at {text}: {error}");
    let addresses: Vec<SocketAddr> = text.to_socket_addrs().map_err(explain)?.collect();
    let mut last = format!("nothing is known of {text}");
    for address in addresses {
        let limit = deadline.remaining().clamp(SHORTEST, LONGEST);
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) if is_own_echo(&stream) => last = format!("nothing accepts at {text} yet"),
            Ok(stream) => return Ok(stream),
            Err(error) => last = explain(error),
        }
    }
    Err(last)
}

/// A connect to a free port of this machine can meet itself (simultaneous open).
fn is_own_echo(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(here), Ok(there)) if here == there)
}

/// Asks, and reads until `whole` says that it is enough, the other end closes, or `most` bytes are here. Neither the
/// question nor the answer takes longer than until the deadline, however slowly they trickle.
pub(crate) fn exchange(
    mut stream: TcpStream,
    question: &[u8],
    deadline: Deadline,
    most: usize,
    whole: impl Fn(&[u8]) -> bool,
) -> io::Result<Vec<u8>> {
    stream.set_write_timeout(Some(deadline.remaining().max(SHORTEST)))?;
    stream.write_all(question)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while answer.len() < most && !whole(&answer) {
        let left = deadline.remaining();
        if left.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, "no whole answer in time"));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::Instant;

    fn trickle(byte: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(byte);
            }
        });
        address
    }

    #[test]
    fn an_answer_that_trickles_is_given_up_at_the_deadline() {
        let address = trickle(Duration::from_millis(50)).to_string();
        let deadline = Deadline::after(Duration::from_millis(600));
        let stream = connect(&address, deadline).expect("connect");
        let begun = Instant::now();
        let error = exchange(stream, b"?", deadline, 4096, |_| false).expect_err("no end");
        assert!(matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_is_enough_is_not_waited_for() {
        for whole in [5, usize::MAX] {
            let address = trickle(Duration::ZERO).to_string();
            let deadline = Deadline::after(Duration::from_secs(20));
            let stream = connect(&address, deadline).expect("connect");
            let answer = exchange(stream, b"?", deadline, 100, |answer| answer.len() >= whole);
            assert!(answer.expect("an answer").len() >= whole.min(100));
        }
    }
}
