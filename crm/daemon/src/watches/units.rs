//! `watch unit UNIT`, by one connection to systemd for all units of this node.
//!
//! It stands while something is watched. When it ends it is made again; whatever changed meanwhile is
//! then looked at.

use super::{Owner, changed};
use crate::happening::Tell;
use crm_agents::systemd::message::{self, Message};
use crm_agents::systemd::{GREETING_MAX, SOCKETS, full_name, greeting, object_path, opening};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::AbortHandle;

/// Between two tries; longer and longer while systemd does not answer.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// What systemd may take to let us in and to answer the first calls.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Units {
    tell: Tell,
    watched: Rc<RefCell<Watched>>,
    listening: Option<AbortHandle>,
    sockets: Vec<(PathBuf, bool)>,
    patience: Duration,
}

/// Who watches a unit, by the path of its object, and its name.
type Watched = BTreeMap<String, (String, BTreeSet<Owner>)>;

impl Units {
    pub(super) fn new(tell: Tell) -> Units {
        let sockets = SOCKETS.map(|(path, is_bus)| (PathBuf::from(path), is_bus)).to_vec();
        Units { tell, watched: Rc::default(), listening: None, sockets, patience: OPEN_WITHIN }
    }

    pub(super) fn add(&mut self, owner: &Owner, unit: &str) {
        let mut watched = self.watched.borrow_mut();
        let entry = watched.entry(object_path(unit));
        entry.or_insert_with(|| (full_name(unit), BTreeSet::new())).1.insert(owner.clone());
        drop(watched);
        if self.listening.is_none() {
            let (tell, watched) = (self.tell.clone(), self.watched.clone());
            let (sockets, patience) = (self.sockets.clone(), self.patience);
            let task = tokio::task::spawn_local(async move {
                follow(&tell, &watched, &sockets, patience).await;
            });
            self.listening = Some(task.abort_handle());
        }
    }

    pub(super) fn remove(&mut self, owner: &Owner, unit: &str) {
        let path = object_path(unit);
        let mut watched = self.watched.borrow_mut();
        if let Some((_, owners)) = watched.get_mut(&path) {
            owners.remove(owner);
            if owners.is_empty() {
                watched.remove(&path);
            }
        }
        if watched.is_empty()
            && let Some(task) = self.listening.take()
        {
            task.abort();
        }
    }
}

async fn follow(
    tell: &Tell,
    watched: &RefCell<Watched>,
    sockets: &[(PathBuf, bool)],
    patience: Duration,
) {
    let mut pause = RETRY_FIRST;
    let mut lost = false;
    loop {
        for (socket, is_bus) in sockets {
            let opened = tokio::time::timeout(patience, Line::open(socket, *is_bus)).await;
            let Ok(Ok(mut line)) = opened else { continue };
            pause = RETRY_FIRST;
            if lost {
                all(tell, watched);
            }
            lost = true;
            // What is wrong with systemd `status` tells, which asks it too.
            while let Ok(message) = line.next().await {
                if message.kind == 4 && message.member == "PropertiesChanged" {
                    one(tell, watched, &message.path);
                }
            }
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}

fn one(tell: &Tell, watched: &RefCell<Watched>, path: &str) {
    if let Some((unit, owners)) = watched.borrow().get(path) {
        for owner in owners {
            changed(tell, owner, format!("systemd says that {unit} changed"));
        }
    }
}

fn all(tell: &Tell, watched: &RefCell<Watched>) {
    for (unit, owners) in watched.borrow().values() {
        for owner in owners {
            changed(tell, owner, format!("systemd answers again; {unit} may have changed"));
        }
    }
}

/// An open connection.
struct Line {
    stream: UnixStream,
    bytes: Vec<u8>,
}

impl Line {
    async fn open(socket: &Path, is_bus: bool) -> io::Result<Line> {
        let stream = UnixStream::connect(socket).await?;
        let mut line = Line { stream, bytes: Vec::new() };
        line.stream.write_all(&greeting()).await?;
        while !line.bytes.contains(&b'\n') {
            if line.bytes.len() > GREETING_MAX {
                return Err(io::Error::other("systemd greets without an end"));
            }
            line.receive().await?;
        }
        if !line.bytes.starts_with(b"OK ") {
            return Err(io::Error::other("systemd does not let this user in"));
        }
        line.bytes.clear();
        for (number, call) in (1u32..).zip(opening(is_bus)) {
            let bytes = message::call(
                number,
                call.path,
                call.interface,
                call.member,
                call.destination,
                call.arguments,
            );
            line.stream.write_all(&bytes).await?;
            loop {
                let answer = line.next().await?;
                match answer.kind {
                    2 if answer.reply_to == number => break,
                    3 if answer.reply_to == number => return Err(io::Error::other(answer.error)),
                    _ => {}
                }
            }
        }
        Ok(line)
    }

    async fn next(&mut self) -> io::Result<Message> {
        loop {
            let size = message::size(&self.bytes).map_err(io::Error::other)?;
            if let Some(size) = size.filter(|size| self.bytes.len() >= *size) {
                let whole: Vec<u8> = self.bytes.drain(..size).collect();
                return message::parse(&whole)
                    .ok_or_else(|| io::Error::other("systemd sent a damaged message"));
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.bytes).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::happening::Happening;
    use crm_core::id::{GroupId, ResourceId};
    use tokio::net::UnixListener;
    use tokio::sync::mpsc::UnboundedReceiver;

    /// A stand-in for systemd: it lets anybody in, answers a call, and says that units changed.
    async fn stand_in(listener: &UnixListener, units: &[&str]) {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"BEGIN\r\n") {
            assert_ne!(stream.read_buf(&mut bytes).await.expect("greeting"), 0);
        }
        stream.write_all(b"OK 0123\r\n").await.expect("welcome");
        bytes.clear();
        while message::size(&bytes).expect("a call") != Some(bytes.len()) {
            assert_ne!(stream.read_buf(&mut bytes).await.expect("call"), 0);
        }
        assert_eq!(message::parse(&bytes).expect("whole").member, "Subscribe");
        let answer = [b'l', 2, 0, 1, 0, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 5, 1, b'u', 0, 1, 0, 0, 0];
        stream.write_all(&answer).await.expect("answer");
        for unit in units {
            let mut signal =
                message::call(1, &object_path(unit), "x", "PropertiesChanged", "", &[]);
            signal[1] = 4;
            stream.write_all(&signal).await.expect("signal");
        }
    }

    /// What watches the unit `nginx`, and where systemd would listen.
    struct Watching {
        units: Units,
        inbox: UnboundedReceiver<Happening>,
        listener: UnixListener,
        owner: Owner,
        _dir: crate::testing::Dir,
    }

    fn watching(patience: Duration) -> Watching {
        let dir = crate::testing::Dir::new();
        let socket = dir.path().join("private");
        let listener = UnixListener::bind(&socket).expect("bind");
        let (tell, inbox) = Tell::channel();
        let mut units = Units::new(tell);
        (units.sockets, units.patience) = (vec![(socket, false)], patience);
        let owner = (GroupId::new("g"), ResourceId::new("r"));
        units.add(&owner, "nginx");
        Watching { units, inbox, listener, owner, _dir: dir }
    }

    /// It waits for the next connection, which comes when this one was given up.
    #[tokio::test(flavor = "current_thread")]
    async fn who_says_nothing_or_greets_without_an_end_is_left() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(tokio::time::timeout(Duration::from_secs(30), async {
                let mut stage = watching(Duration::from_millis(300));
                let (silent, _) = stage.listener.accept().await.expect("a client");
                let (mut endless, _) = stage.listener.accept().await.expect("a second try");
                let flood = async {
                    let mut sent = 0;
                    while let Ok(count) = endless.write(&[b'x'; 1024]).await {
                        sent += count;
                        assert!(sent < 4 << 20, "it reads on and on");
                    }
                };
                flood.await;
                stand_in(&stage.listener, &["nginx"]).await;
                let Some(Happening::Changed { what, .. }) = stage.inbox.recv().await else {
                    panic!()
                };
                assert_eq!(what, "systemd says that nginx.service changed");
                drop(silent);
            }))
            .await
            .expect("nobody waits for it");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_unit_that_changes_is_told_also_after_systemd_came_back() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let mut stage = watching(OPEN_WITHIN);
                let mut seen = async || {
                    let seen =
                        tokio::time::timeout(Duration::from_secs(5), stage.inbox.recv()).await;
                    match seen {
                        Ok(Some(Happening::Changed { what, .. })) => what,
                        other => panic!("no event: {other:?}"),
                    }
                };
                stand_in(&stage.listener, &["other", "nginx"]).await;
                assert_eq!(seen().await, "systemd says that nginx.service changed");
                // It went away with the end of the function above.
                stand_in(&stage.listener, &[]).await;
                assert!(seen().await.contains("answers again"));
                stage.units.remove(&stage.owner, "nginx");
                assert!(stage.units.listening.is_none());
            })
            .await;
    }
}
