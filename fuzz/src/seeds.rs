//! Where `message` and `state` begin: what three real nodes say to one another and write while they elect, grant and are operated.

use crate::talk::Talk;
use crm_core::id::{GroupId, NodeId};
use crm_core::operator::Command;
use crm_core::packet::Message;
use crm_core::record::Stored;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::mem::{Discriminant, discriminant, take};
use std::path::Path;

/// Longest input, as `tests/fuzz` says it to libFuzzer.
const INPUT_MAX: usize = 8192;
/// In steps of a quarter of a second: long enough for an election and what follows it.
const STEPS: u64 = 480;
const STEP: u64 = 250_000;
/// Of a peer's heartbeats one is kept in this time: the others say the same.
const HEARTBEATS: u64 = 4;

/// Seeds of this target into this folder; of most there are none here.
pub fn write(target: &str, folder: &Path) -> io::Result<()> {
    let story = match target {
        "message" | "state" => Story::told(),
        _ => return Ok(()),
    };
    std::fs::create_dir_all(folder)?;
    let seeds = if target == "message" { story.messages() } else { story.states() };
    if seeds.len() < 10 {
        return Err(io::Error::other(format!(
            "expected a whole story, found {} seeds",
            seeds.len()
        )));
    }
    for (name, bytes) in seeds {
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

/// One message as it arrives.
struct Heard {
    step: u64,
    peer: usize,
    message: Message,
}

struct Story {
    heard: [Vec<Heard>; 3],
    written: Vec<Stored>,
}

impl Story {
    fn told() -> Story {
        let mut nodes = [0, 1, 2].map(Talk::new);
        nodes.iter_mut().for_each(|node| node.said = Some(Vec::new()));
        let mut story = Story { heard: [const { Vec::new() }; 3], written: Vec::new() };
        for node in &mut nodes {
            (0..2).for_each(|peer| node.hears(peer, Message::Hello));
        }
        for step in 0..STEPS {
            for (seat, node) in nodes.iter_mut().enumerate() {
                node.wait(STEP);
                if step == STEPS / 8 {
                    // One of them coordinates; the others forward.
                    node.operator(match seat {
                        0 => Command::Standby { node: NodeId::new("beta") },
                        1 => Command::Stop { group: GroupId::new("web") },
                        _ => Command::Migrate { group: GroupId::new("db"), to: None },
                    });
                }
            }
            for from in 0..nodes.len() {
                for packet in take(&mut nodes[from].said).unwrap_or_default() {
                    let place = (0..nodes.len()).find(|seat| *nodes[*seat].name() == packet.to);
                    let Some(to) = place else { continue };
                    let peer = if from > to { from - 1 } else { from };
                    nodes[to].hears(peer, packet.message.clone());
                    story.heard[to].push(Heard { step, peer, message: packet.message });
                }
                nodes[from].said = Some(Vec::new());
            }
            for node in &mut nodes {
                story.written.extend(node.wrote.take());
            }
        }
        story
    }

    /// What each node heard from the start, and the first of each kind alone.
    fn messages(&self) -> BTreeMap<String, Vec<u8>> {
        let mut seeds = BTreeMap::new();
        let mut known: HashSet<Discriminant<Message>> = HashSet::new();
        for (seat, heard) in self.heard.iter().enumerate() {
            let mut whole = vec![seat as u8];
            let mut last = 0;
            let mut beats = [None; 2];
            for (place, one) in heard.iter().enumerate() {
                let Ok(bytes) = postcard::to_stdvec(&one.message) else { continue };
                // In steps of 8 ms; the lowest bit says which peer.
                let waited = ((one.step - last) * STEP / 8_000).min(127) as u8;
                let first = waited << 1 | one.peer as u8;
                if known.insert(discriminant(&one.message)) {
                    let alone = [&[seat as u8, first], &bytes[..]].concat();
                    seeds.insert(format!("alone-{seat}-{place}"), alone);
                }
                let beat = matches!(one.message, Message::Heartbeat(_));
                if beat && beats[one.peer].is_some_and(|step| one.step < step + HEARTBEATS) {
                    continue;
                }
                if beat {
                    beats[one.peer] = Some(one.step);
                }
                if whole.len() + bytes.len() < INPUT_MAX {
                    last = one.step;
                    whole.push(first);
                    whole.extend(bytes);
                }
            }
            seeds.insert(format!("whole-{seat}"), whole);
        }
        seeds
    }

    /// The file itself, and what stands in it under the checksum.
    fn states(&self) -> BTreeMap<String, Vec<u8>> {
        let mut seeds = BTreeMap::new();
        for (place, stored) in self.written.iter().enumerate() {
            seeds.insert(format!("file-{place}"), crm_daemon::fuzzing::encode_state(stored));
            if let Ok(bytes) = postcard::to_stdvec(stored) {
                seeds.insert(format!("inside-{place}"), bytes);
            }
        }
        seeds.retain(|_, bytes| bytes.len() <= INPUT_MAX);
        seeds
    }
}
