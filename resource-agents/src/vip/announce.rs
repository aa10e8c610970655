//! Telling the neighbours where the address is: at once, and again a little later.
//!
//! The repeats (O20) come from a small detached process, because the daemon waits for the end
//! of `start`. It looks before each repeat whether the address is still here, and `stop` ends it
//! first, so that it never calls traffic back to a node that has given the address away.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::netlink::{Link, Netlink};
use super::packet::{Answer, Mac, Wire};
use super::{arp, decide, ndp};
use crate::contract::{Call, Context, Failure};
use crate::procfs::Stat;
use crate::{state, syscall};

/// How to announce one address on one interface.
#[derive(Debug, Clone)]
pub(crate) struct Announcement {
    pub(crate) index: u32,
    pub(crate) name: String,
    ip: IpAddr,
    /// `None`: nobody there would listen (loopback, tunnels).
    mac: Option<Mac>,
}

impl Announcement {
    pub(crate) fn new(ip: IpAddr, link: &Link) -> Announcement {
        Announcement {
            index: link.index,
            name: link.name.clone(),
            ip,
            mac: link.mac.filter(|_| link.talks),
        }
    }

    /// The way to the neighbours; `None` where there are none.
    ///
    /// Closing such a socket waits for all processors, some ten milliseconds. So there is one for
    /// the whole start, and the process that repeats the announcements closes it, see below.
    pub(crate) fn wire(&self) -> Result<Option<Wire>, Failure> {
        if self.mac.is_none() {
            return Ok(None);
        }
        let protocol = if self.ip.is_ipv4() { arp::PROTOCOL } else { ndp::PROTOCOL };
        Wire::open(self.index, protocol)
            .map(Some)
            .map_err(|error| Failure::system(format!("cannot open {}", self.name), &error))
    }

    /// Asks the network who has the address.
    pub(crate) fn ask(&self, wire: &Wire) -> Result<(), Failure> {
        let Some(mac) = self.mac else { return Ok(()) };
        let asked = wire.send(&match self.ip {
            IpAddr::V4(ip) => arp::probe(mac, ip),
            IpAddr::V6(ip) => ndp::solicitation(mac, ip),
        });
        asked.map_err(|error| {
            Failure::system(
                format!("cannot ask on {} who has {} (`dad: false` skips it)", self.name, self.ip),
                &error,
            )
        })
    }

    /// Another holder that answers within `wait`.
    pub(crate) fn listen(
        &self,
        wire: &Wire,
        wait: Duration,
        own: &[Mac],
    ) -> Result<Option<Answer>, Failure> {
        wire.listen(wait, |frame| match self.ip {
            IpAddr::V4(ip) => arp::claim(frame, ip, own),
            IpAddr::V6(ip) => ndp::claim(frame, ip, own),
        })
    }

    /// Tells the neighbours `count` times, with no pause.
    pub(crate) fn burst(&self, wire: &Wire, count: u32) -> io::Result<()> {
        let Some(mac) = self.mac else { return Ok(()) };
        for _ in 0..count {
            match self.ip {
                IpAddr::V4(ip) => {
                    for frame in arp::announcements(mac, ip) {
                        wire.send(&frame)?;
                    }
                }
                IpAddr::V6(ip) => wire.send(&ndp::advertisement(mac, ip))?,
            }
        }
        Ok(())
    }

    /// Leaves a process behind that repeats the burst and then ends. It inherits the wire, and
    /// so is the one that has to wait for its closing.
    pub(crate) fn repeat_later(&self, call: &Call, count: u32, wire: Wire) -> Result<(), Failure> {
        let context = &call.context;
        end_repeats(context);
        let path = state::path(context, "announcer").map_err(|error| {
            Failure::system(
                format!("cannot create the state directory {}", context.state_dir.display()),
                &error,
            )
        })?;
        let started = Instant::now();
        let mut wire = Some(wire);
        let child = syscall::fork(|| {
            call.channel.close();
            if syscall::detach().is_err() {
                return 1;
            }
            for after in REPEATS {
                std::thread::sleep(after.saturating_sub(started.elapsed()));
                // The parent has ended by now. A fresh wire for each repeat keeps none of the
                // traffic in between.
                drop(wire.take());
                if !self.is_still_here() {
                    break;
                }
                if let Ok(Some(wire)) = self.wire() {
                    let _ = self.burst(&wire, count);
                }
            }
            0
        })
        .map_err(|error| Failure::system("cannot start the repeated announcement", &error))?;
        // Not stored is not fatal: the announcer looks before it speaks.
        if let Some(stat) = Stat::of(child.as_raw()) {
            let _ = state::store(&path, &format!("{} {}\n", stat.pid, stat.started));
        }
        Ok(())
    }

    fn is_still_here(&self) -> bool {
        Netlink::with(async |netlink| {
            let now = netlink.snapshot(self.ip).await?;
            Ok(matches!(decide::presence(self.ip, self.index, &now), decide::Presence::Here(_)))
        })
        .unwrap_or(false)
    }
}

/// Ends the process that repeats the announcements, if there is one.
pub(crate) fn end_repeats(context: &Context) {
    let Ok(path) = state::path(context, "announcer") else { return };
    if let Some(pid) = announcer(&path) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = state::remove(&path);
}

fn announcer(path: &Path) -> Option<i32> {
    let text = state::load(path).ok()??;
    let (pid, started) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok()?;
    let stat = Stat::of(pid)?;
    (started.parse() == Ok(stat.started) && !stat.is_dead()).then_some(pid)
}

/// Counted from the first burst.
const REPEATS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
