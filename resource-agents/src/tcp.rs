//! Does something accept at an address?

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::deadline::Deadline;

/// Connects to `HOST:PORT`; the error names it and says why not.
pub(crate) fn connect(text: &str, deadline: Deadline) -> Result<TcpStream, String> {
    let explain = |error: std::io::Error| format!("nothing accepts at {text}: {error}");
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

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1);
