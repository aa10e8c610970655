//! One cluster's voter: the core, its store and its keys. It votes and stores the record; whatever else
//! a core may ask of its shell a witness's core never asks (R4).

use super::network::Network;
use crate::happening::{Happening, Tell};
use crate::keys;
use crate::links::Addresses;
use crate::lock;
use crate::random;
use crate::store::{Store, Writer};
use crm_core::event::Event;
use crm_core::id::{Incarnation, LinkId, NodeId, StoreId};
use crm_core::model::{Cluster, WITNESS};
use crm_core::packet::Packet;
use crm_core::record::Stored;
use crm_core::status::Status;
use crm_core::time::Time;
use crm_core::{Destination, Input, Node, Output, Start};
use crm_wire::{AuthKeys, ClusterId, Endpoint};
use nix::fcntl::Flock;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc::UnboundedReceiver;

/// Where a voter's things are, and under which port its cluster must speak.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) cluster: String,
    pub(super) authkeys: PathBuf,
    pub(super) state: PathBuf,
    pub(super) port: u16,
}

/// A run of a voter.
pub(super) struct Voter {
    node: Node,
    store: StoreId,
    endpoint: Endpoint,
    addresses: Addresses,
    writer: Writer,
    /// What the writer's thread has to say to this run, and to no other.
    inbox: UnboundedReceiver<Happening>,
    port: u16,
    not_understood: u64,
    /// Told once each.
    told: Told,
}

#[derive(Debug, Default)]
struct Told {
    dismissed: bool,
    port: Option<u16>,
    unsent: Option<String>,
    strange_duty: bool,
}

/// What a voter wants from the loop.
#[derive(Debug)]
pub(super) enum Wish {
    Event(Event),
    /// It has ended: why, and whether because something failed.
    Ended {
        reason: String,
    },
}

/// What a run begins with.
pub(super) struct Files {
    keys: AuthKeys,
    lock: Flock<File>,
    store: Store,
    loaded: Option<Stored>,
}

impl Files {
    /// Reads keys and store. For a thread: a disk that hangs may never answer.
    ///
    /// # Errors
    /// What is wrong with a file, with the way out.
    pub(super) fn read(place: &Place) -> Result<Files, String> {
        let keys = keys::load(&place.authkeys).map_err(|error| {
            let (reason, _) = error.split_once("\nhint: ").unwrap_or((&error, ""));
            format!("{reason}\nhint: copy the cluster's authkeys there with mode 600")
        })?;
        crate::founding::make_directory(&place.state)?;
        let hint = "its disk hangs: see the kernel's log";
        let lock = lock::hold(&place.state.join("lock"), "a write that has not ended", hint)?;
        let store = Store::new(&place.state);
        let loaded = store.load().map_err(|error| {
            let (reason, _) = error.split_once("\nhint: ").unwrap_or((&error, ""));
            format!(
                "{reason}\nhint: this witness has forgotten how it voted, so it must not vote as \
                 the one it was. Never restore {path} from a backup; while every node of the \
                 cluster runs, move it away: this witness comes back as a new voter",
                path = store.file().display()
            )
        })?;
        Ok(Files { keys, lock, store, loaded })
    }
}

impl Voter {
    /// A store that was never written is a new voter's.
    ///
    /// # Errors
    /// The kernel has no thread or no random number to give.
    pub(super) fn begin(
        now: Time,
        place: &Place,
        files: Files,
    ) -> Result<(Voter, Vec<Event>), String> {
        let Files { keys, lock, store, loaded } = files;
        let mut events = Vec::new();
        let stored = match loaded {
            Some(stored) => stored,
            None => {
                let id = StoreId(random::bits()?);
                let text = format!(
                    "{} holds no state: this witness begins as a new voter; the cluster takes it \
                     in when a majority without it runs",
                    place.state.display()
                );
                events.push(Event::info("new-voter", text));
                Stored::new(id)
            }
        };
        let incarnation = Incarnation(random::bits()?);
        let cluster = ClusterId::of(&place.cluster);
        let endpoint = Endpoint::new(keys, cluster, WITNESS, incarnation.0)
            .map_err(|error| error.to_string())?;
        let (tell, inbox) = Tell::channel();
        let writer = Writer::start(store, tell, lock)
            .map_err(|error| format!("no thread can be made: {error}"))?;
        let id = stored.store;
        let node = Node::new(
            now,
            Start {
                id: NodeId::new(WITNESS),
                incarnation,
                seed: random::bits()? as u64,
                joining: stored.record.is_none(),
                first_since_boot: false,
                watchdog_left_armed: false,
                stored,
                parse: crm_config::parse_for_core,
            },
        );
        let voter = Voter {
            node,
            store: id,
            endpoint,
            addresses: Addresses::default(),
            writer,
            inbox,
            port: place.port,
            not_understood: 0,
            told: Told::default(),
        };
        Ok((voter, events))
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.node.deadline()
    }

    #[cfg(test)]
    pub(super) fn write(&self, write: crm_core::id::WriteId, stored: Box<Stored>) {
        self.writer.write(write, stored);
    }

    pub(super) fn store(&self) -> StoreId {
        self.store
    }

    pub(super) fn status(&self, now: Time) -> Status {
        self.node.status(now)
    }

    /// Refused datagrams and packets by reason.
    pub(super) fn rejected(&self) -> BTreeMap<String, u64> {
        let by_wire = self.endpoint.rejects().iter().map(|(reject, n)| (reject.name(), n));
        let refused = self.node.refused();
        let own = [("not_understood", self.not_understood)];
        let all = by_wire.chain(refused.reasons()).chain(own).filter(|(_, count)| *count > 0);
        all.map(|(reason, count)| (reason.to_owned(), count)).collect()
    }

    pub(super) fn poll_inbox(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Happening>> {
        self.inbox.poll_recv(context)
    }

    /// # Errors
    /// The old keys stay.
    pub(super) fn replace_keys(&mut self, keys: AuthKeys) -> Result<(), String> {
        self.endpoint.replace_keys(keys).map_err(|error| error.to_string())
    }

    /// A datagram that names this cluster. What is refused is counted.
    pub(super) fn open(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) -> Option<Input> {
        let opened = self.endpoint.open(now.0, bytes).ok()??;
        let Ok(packet) = postcard::from_bytes::<Packet>(&opened.payload) else {
            self.not_understood += 1;
            return None;
        };
        let node = NodeId::new(&opened.sender);
        let link = self.addresses.link_of(&node, from).unwrap_or(LinkId(0));
        self.addresses.learn(&node, link, from);
        Some(Input::Packet {
            link,
            from: node,
            incarnation: Incarnation(opened.incarnation),
            counter: opened.counter,
            packet,
        })
    }

    /// One input, and everything that follows from it.
    pub(super) fn input(&mut self, now: Time, input: Input, network: &mut Network) -> Vec<Wish> {
        self.node.handle(now, input);
        let mut wishes = Vec::new();
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Send { to, packet } => self.send(&to, &packet, network, &mut wishes),
                Output::Write { write, stored } => self.writer.write(write, stored),
                Output::Event(event) => wishes.push(Wish::Event(event)),
                Output::Configured { cluster, .. } => self.configured(&cluster, &mut wishes),
                Output::Halt { reason, failed } => {
                    if failed {
                        // The loop has other clusters to serve. The lock keeps the next run away till the write is over.
                        self.writer.abandon();
                    }
                    wishes.push(Wish::Ended { reason });
                }
                // Nobody asks these of a witness's core; its questions come from the loop itself.
                Output::Reply { .. } | Output::Status { .. } | Output::Unwatch { .. } => {}
                Output::Cancel { .. } | Output::CancelFence { .. } | Output::Ping { .. } => {}
                Output::Run(_) | Output::Fence { .. } | Output::Watchdog(_) => {
                    if !std::mem::replace(&mut self.told.strange_duty, true) {
                        let text = "a witness runs nothing and fences nobody, and was asked to; \
                                    it did not (please report this)";
                        wishes.push(Wish::Event(Event::error("strange-duty", text)));
                    }
                }
            }
        }
        wishes
    }

    fn send(
        &mut self,
        to: &Destination,
        packet: &Packet,
        network: &mut Network,
        wishes: &mut Vec<Wish>,
    ) {
        let node = match to {
            // All paths to a node are one link (see `Node::keep_configured_peers`).
            Destination::Link { node, .. } | Destination::Node(node) => node,
            // The nodes speak first: their configuration says where this witness is.
            Destination::Contact => return,
        };
        let targets = self.addresses.everywhere(node);
        let mut datagrams = Vec::new();
        let sealed =
            postcard::to_stdvec(packet).map_err(|error| error.to_string()).and_then(|payload| {
                self.endpoint.seal(&payload, &mut datagrams).map_err(|error| error.to_string())
            });
        match sealed {
            Ok(()) => targets.iter().for_each(|(_, to)| network.send(*to, &datagrams)),
            Err(problem) => {
                if self.told.unsent.as_ref() != Some(&problem) {
                    let text = format!("a packet cannot be sent: {problem}");
                    wishes.push(Wish::Event(Event::error("not-sent", text)));
                    self.told.unsent = Some(problem);
                }
            }
        }
    }

    fn configured(&mut self, cluster: &Cluster, wishes: &mut Vec<Wish>) {
        self.addresses.configure(cluster);
        let dismissed = cluster.witness.is_none();
        if dismissed && !std::mem::replace(&mut self.told.dismissed, dismissed) {
            let text = "the cluster's configuration names no witness any more: take it out of \
                        witness.yaml";
            wishes.push(Wish::Event(Event::warning("dismissed", text)));
        }
        self.told.dismissed = dismissed;
        let port = cluster.timing.port;
        if port != self.port && self.told.port.replace(port) != Some(port) {
            let text = format!(
                "the cluster speaks on port {port}, this witness listens on {}: set \
                 `heartbeat: {{port: {}}}` there or `port: {port}` here",
                self.port, self.port
            );
            wishes.push(Wish::Event(Event::warning("other-port", text)));
        }
    }
}

/// The store of a voter, for messages.
pub(super) fn state_file(state: &Path) -> PathBuf {
    Store::new(state).file()
}
