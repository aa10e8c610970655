//! One link's socket: bound to this node's own address, rebound when the address comes later.

use crm_api::LinkCounters;
use crm_core::event::Event;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Room for bursts while the loop is busy, in bytes; the kernel may grant less.
const RECEIVE_BYTES: usize = 1024 * 1024;
/// Room for a record in fragments, in bytes.
const SEND_BYTES: usize = 2 * 1024 * 1024;
/// Network control (CS6): heartbeats before bulk traffic, where a network heeds it.
const TRAFFIC_CLASS: u32 = 0xc0;

#[derive(Debug)]
pub(crate) struct Link {
    wanted: Result<SocketAddr, String>,
    socket: Option<AsyncFd<UdpSocket>>,
    problem: Option<String>,
    pub(crate) datagrams_in: u64,
    pub(crate) datagrams_out: u64,
    pub(crate) errors: u64,
}

impl Link {
    pub(crate) fn new(wanted: Result<SocketAddr, String>) -> Link {
        let (datagrams_in, datagrams_out, errors) = (0, 0, 0);
        Link { wanted, socket: None, problem: None, datagrams_in, datagrams_out, errors }
    }

    pub(crate) fn wanted(&self) -> &Result<SocketAddr, String> {
        &self.wanted
    }

    pub(crate) fn socket(&self) -> Option<&AsyncFd<UdpSocket>> {
        self.socket.as_ref()
    }

    /// Not bound, and another try may help.
    pub(crate) fn may_be_bound_later(&self) -> bool {
        self.socket.is_none() && self.wanted.is_ok()
    }

    /// Binds if need be. An event at the first failure and when it works after all.
    pub(crate) fn bind(&mut self, number: usize) -> Option<Event> {
        if self.socket.is_some() {
            return None;
        }
        let failed_before = self.problem.is_some();
        let result = match &self.wanted {
            Ok(address) => open(*address).map_err(|error| format!("{address}: {error}")),
            Err(problem) => Err(problem.clone()),
        };
        match result {
            Ok(socket) => {
                self.socket = Some(socket);
                self.problem = None;
                let text = format!("link {number} is bound to {}", self.address());
                failed_before.then(|| Event::info("link-bound", text))
            }
            Err(problem) => {
                let text = format!(
                    "link {number} cannot be bound ({problem}); it is tried again every second"
                );
                self.problem = Some(problem);
                (!failed_before).then(|| Event::warning("link-unbound", text))
            }
        }
    }

    fn address(&self) -> String {
        match &self.wanted {
            Ok(address) => address.to_string(),
            Err(_) => String::new(),
        }
    }

    pub(crate) fn report(&self, number: u8) -> LinkCounters {
        LinkCounters {
            problem: self.problem.clone(),
            datagrams_in: self.datagrams_in,
            datagrams_out: self.datagrams_out,
            errors: self.errors,
            ..super::counters(number, self.address())
        }
    }
}

fn open(address: SocketAddr) -> io::Result<AsyncFd<UdpSocket>> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        let _ = socket.set_tclass_v6(TRAFFIC_CLASS);
    } else {
        let _ = socket.set_tos_v4(TRAFFIC_CLASS);
    }
    // Limits of the system may allow less.
    let _ = socket.set_recv_buffer_size(RECEIVE_BYTES);
    let _ = socket.set_send_buffer_size(SEND_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Only what comes in wakes the loop: tokio's own socket would wake it after each packet sent.
    crate::sys::register(socket.into(), Interest::READABLE)
}
