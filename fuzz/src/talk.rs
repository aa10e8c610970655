//! What several targets share: a node that is talked to, and the ends of a wire.

use crm_core::id::{Incarnation, LinkId, NodeId, RequestId, StoreId};
use crm_core::operator::Command;
use crm_core::packet::{Message, Packet};
use crm_core::record::{Record, Stored};
use crm_core::rules::Sound;
use crm_core::time::Time;
use crm_core::{Input, Node, Output, Start};
use crm_wire::{AuthKeys, ClusterId, Endpoint};
use std::collections::BTreeMap;

/// Of the configuration below.
pub const CLUSTER: &str = "fuzz";

/// What a node is asked to do by one input, at most; more is growth.
const OUTPUTS_MAX: usize = 20_000;

const CONFIG: &str = "\
cluster: fuzz
nodes:
  alpha: {links: [10.0.0.1, 10.0.1.1]}
  beta: {links: [10.0.0.2, 10.0.1.2]}
  gamma: {links: [10.0.0.3, 10.0.1.3]}
fencing:
  alpha: {agent: command, command: 'true'}
  beta: {agent: command, command: 'true'}
  gamma: {agent: command, command: 'true'}
groups:
  web: {resources: [{vip: 192.0.2.1/24}, {systemd:nginx: {}}]}
  db: {prefer: [beta, alpha], resources: [{vip: 192.0.2.2/24}]}
";

/// Whoever the node is, there are this many others.
const PEERS: usize = 2;

/// Bytes that are the same each time and not all the same, as a key must not be.
pub fn random(seed: u8) -> [u8; 32] {
    std::array::from_fn(|place| (place as u8).wrapping_mul(73) ^ seed)
}

pub fn keys() -> AuthKeys {
    AuthKeys::parse("authkeys", &crm_wire::generate(random(5))).expect("a good key file")
}

pub fn endpoint(name: &str, incarnation: u128) -> Endpoint {
    Endpoint::new(keys(), ClusterId::of(CLUSTER), name, incarnation).expect("good names")
}

/// A real node, and everything that is said to it.
pub struct Talk {
    own: NodeId,
    node: Node<Sound>,
    now: Time,
    numbers: [u64; PEERS],
    /// Number of its last packet to each peer: who has not seen that is not taken for alive (H29).
    sent: BTreeMap<NodeId, u64>,
    /// What it has said to others, newest last, if somebody wants it.
    pub said: Option<Vec<Packet>>,
    /// What it wrote last.
    pub wrote: Option<Stored>,
}

impl Talk {
    /// The node of this number among alpha, beta and gamma, in a cluster of three.
    pub fn new(number: u8) -> Talk {
        let names = ["alpha", "beta", "gamma"];
        let own = usize::from(number) % names.len();
        let mut record = Record::founding(CONFIG, &NodeId::new("alpha"), StoreId(1));
        for (seat, name) in names.iter().enumerate() {
            record.voters.insert(NodeId::new(name), StoreId(seat as u128 + 1));
        }
        record.old_voters = record.voters.clone();
        let stored = Stored { record: Some(record), ..Stored::new(StoreId(own as u128 + 1)) };
        Talk::started(names[own], stored)
    }

    /// A node that finds this on its disk.
    pub fn from(stored: Stored) -> Talk {
        let mut talk = Talk::started("alpha", stored);
        for _ in 0..40 {
            talk.wait(500_000);
        }
        talk
    }

    fn started(name: &str, stored: Stored) -> Talk {
        let start = Start {
            id: NodeId::new(name),
            incarnation: Incarnation(u128::from(name.as_bytes()[0])),
            seed: 1,
            joining: stored.record.is_none(),
            stored,
            parse: crm_config::parse_for_core,
            watchdog_left_armed: false,
            first_since_boot: true,
        };
        let now = Time(1_000_000);
        let mut talk = Talk {
            own: start.id.clone(),
            node: Node::new(now, start),
            now,
            numbers: [0; PEERS],
            sent: BTreeMap::new(),
            said: None,
            wrote: None,
        };
        talk.give(Input::Wake);
        talk
    }

    pub fn name(&self) -> &NodeId {
        &self.own
    }

    /// Of a node by this name.
    fn incarnation(name: &str) -> Incarnation {
        Incarnation(u128::from(name.as_bytes()[0]))
    }

    /// Pieces of one byte for the sender and the time that passes, and a packet.
    pub fn play(&mut self, mut rest: &[u8]) {
        for peer in 0..PEERS {
            self.hears(peer, Message::Hello);
        }
        let mut pieces = 0;
        while let Some((first, tail)) = rest.split_first()
            && pieces < 200
        {
            pieces += 1;
            self.wait(u64::from(first >> 1) * 8_000);
            match postcard::take_from_bytes::<Message>(tail) {
                Ok((message, next)) => {
                    self.hears(usize::from(first & 1), message);
                    rest = next;
                }
                Err(_) => rest = tail,
            }
        }
        self.wait(5_000_000);
    }

    pub fn operator(&mut self, command: Command) {
        self.give(Input::Operator { request: RequestId(1), command });
        self.wait(1_000_000);
    }

    /// A packet of a live peer, fresh by its number.
    pub fn hears(&mut self, peer: usize, message: Message) {
        let own = self.own.clone();
        // Whoever this node is, its peers are the other two.
        let names = ["alpha", "beta", "gamma"];
        let others: Vec<&str> = names.into_iter().filter(|name| *name != own.as_str()).collect();
        let Some(name) = others.get(peer % PEERS) else { return };
        self.numbers[peer % PEERS] += 1;
        let packet = Packet {
            to: own.clone(),
            number: self.numbers[peer % PEERS],
            echo: Some(Talk::incarnation(own.as_str())),
            seen: self.sent.get(&NodeId::new(name)).copied().unwrap_or_default(),
            minor_lowest: crm_core::packet::MINOR_LOWEST,
            minor_highest: crm_core::packet::MINOR_HIGHEST,
            message,
        };
        self.give(Input::Packet {
            link: LinkId(0),
            from: NodeId::new(name),
            incarnation: Talk::incarnation(name),
            counter: packet.number,
            packet,
        });
    }

    /// Time passes.
    pub fn wait(&mut self, micros: u64) {
        let until = Time(self.now.0 + micros);
        for _ in 0..200 {
            let Some(at) = self.node.deadline().filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.give(Input::Wake);
        }
        self.now = until;
        self.give(Input::Wake);
    }

    /// Every write succeeds at once; agents and devices never answer.
    fn give(&mut self, input: Input) {
        self.node.handle(self.now, input);
        let mut outputs = 0;
        while let Some(output) = self.node.poll_output() {
            outputs += 1;
            assert!(outputs < OUTPUTS_MAX, "one input makes {outputs} outputs");
            match output {
                Output::Write { write, stored } => {
                    self.wrote = Some(*stored);
                    self.node.handle(self.now, Input::Written { write });
                }
                Output::Send { packet, .. } => {
                    self.sent.insert(packet.to.clone(), packet.number);
                    let sealed = postcard::to_stdvec(&packet).expect("a packet can be written");
                    assert!(sealed.len() <= crm_wire::MAX_MESSAGE, "{} bytes", sealed.len());
                    if let Some(said) = &mut self.said {
                        said.push(*packet);
                    }
                }
                _ => {}
            }
        }
    }
}
