//! Asks a service by HTTP, all the time, as a client would.

use crate::netlink;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_millis(300);

/// Counts of one service. The thread that asks ends with the process.
#[derive(Default)]
pub(crate) struct Asked {
    asked: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
}

impl Asked {
    pub(crate) fn start(client: i32, server: Option<SocketAddr>) -> Asked {
        let counts = Asked::default();
        let (asked, answered) = (counts.asked.clone(), counts.answered.clone());
        if let Some(server) = server {
            std::thread::spawn(move || {
                netlink::within::<()>(client, move || {
                    loop {
                        asked.fetch_add(1, Ordering::Relaxed);
                        if ask(server).is_some() {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        std::thread::sleep(PERIOD);
                    }
                })
            });
        }
        counts
    }

    /// How often it was asked and answered since it was last taken.
    pub(crate) fn take(&self) -> (u64, u64) {
        (self.asked.swap(0, Ordering::Relaxed), self.answered.swap(0, Ordering::Relaxed))
    }
}

fn ask(server: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let body = text.split("\r\n\r\n").nth(1)?.trim().to_owned();
    (!body.is_empty()).then_some(body)
}
