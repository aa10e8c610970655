//! Strangers on the network, and keys that change.

use super::support::{
    A_WHILE, THREE, TWO, WEB, decisions, patient, rest, say, wait_whole, web_group, with_device,
};
use crm_api::LinksReport;
use crm_core::status::{NodeState, Status};
use crm_tests::namespaces::{Laboratory, Options};
use crm_wire::{AuthKeys, ClusterId, Endpoint, Reject, generate};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Hears a number of heartbeats from inside a node, for one that reads along. Prints them in
/// hexadecimal, each with the addresses it went between.
const TAP: &str = r#"
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
s.settimeout(10)
left = int(sys.argv[1])
while left > 0:
    packet = s.recv(2048)
    udp = packet[(packet[0] & 15) * 4:]
    if packet[0] >> 4 == 4 and packet[9] == 17 and udp[2:4] == (694).to_bytes(2, 'big'):
        print(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), udp[8:].hex()); left -= 1
"#;

fn missed(lab: &Laboratory, node: &str) -> u64 {
    let status = lab.node(node).status();
    status.nodes.iter().flat_map(|n| &n.links).map(|link| link.missed).sum()
}

/// `crm status --json --links`.
#[derive(serde::Deserialize)]
struct Seen {
    sockets: LinksReport,
}

/// What a node has refused so far, by reason.
fn refused(lab: &Laboratory, node: &str) -> BTreeMap<String, u64> {
    let text = lab.node(node).crm(&["status", "--json", "--links"]);
    let seen: Seen = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut all = seen.sockets.rejected;
    all.insert("not_understood".to_owned(), seen.sockets.not_understood);
    all.retain(|_, count| *count > 0);
    all
}

fn received(status: &Status) -> u64 {
    status.nodes.iter().flat_map(|n| &n.links).map(|link| link.received).sum()
}

/// A packet, and the addresses it went between.
struct Heard {
    from: String,
    to: String,
    packet: Vec<u8>,
}

/// What passed beta's network card until `count` packets were heard.
fn recorded(lab: &Laboratory, count: usize) -> Vec<Heard> {
    let done = lab.node("beta").run("python3", &["-c", TAP, &count.to_string()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let lines = done.stdout.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let heard = lines.filter_map(|words| match words.as_slice() {
        [from, to, hex] => {
            Some(Heard { from: (*from).to_owned(), to: (*to).to_owned(), packet: bytes(hex) })
        }
        _ => None,
    });
    heard.collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The node's own keys, as whoever stole the file would have them.
fn keys(lab: &Laboratory) -> AuthKeys {
    let text = std::fs::read_to_string(lab.node("alpha").etc("authkeys")).expect("authkeys");
    AuthKeys::parse("authkeys", &text).expect("its keys")
}

fn other_keys(text: &str) -> AuthKeys {
    AuthKeys::parse("other", text).expect("other keys")
}

/// `count` packets as a node of this name would send them.
fn sealed(keys: AuthKeys, cluster: &str, name: &str, count: usize) -> Vec<Vec<u8>> {
    let mut endpoint = Endpoint::new(keys, ClusterId::of(cluster), name, 77).expect("an endpoint");
    let mut packets = Vec::new();
    for _ in 0..count {
        endpoint.seal(b"what is authentic need not be sense", &mut packets).expect("a packet");
    }
    packets
}

/// The same numbers in every run: a failure can be looked at again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit.max(1) as u64).unwrap_or(0)
    }
}

/// Noise, real packets with noise behind the magic, and recorded packets with some bytes changed.
fn rubbish(dice: &mut Dice, originals: &[Vec<u8>], count: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let mut packet = originals[dice.below(originals.len())].clone();
        match dice.below(4) {
            0 => {
                packet = vec![0; dice.below(1400)];
                packet.iter_mut().for_each(|byte| *byte = dice.roll() as u8);
            }
            1 => packet.iter_mut().skip(6).for_each(|byte| *byte = dice.roll() as u8),
            2 => packet.truncate(dice.below(packet.len())),
            _ => {
                for _ in 0..=dice.below(3) {
                    let at = dice.below(packet.len());
                    packet[at] ^= 1 << dice.below(8);
                }
            }
        }
        // Two changes of one bit are none.
        if !originals.contains(&packet) {
            all.push(packet);
        }
    }
    all
}

/// Payloads of recorded packets, as one who has the key reads them.
fn opened(keys: AuthKeys, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut ear = Endpoint::new(keys, ClusterId::of("lab"), "ear", 3).expect("an endpoint");
    let read = packets.iter().filter_map(|packet| ear.open(0, packet).ok().flatten());
    read.map(|opened| opened.payload).collect()
}

/// The same payloads in packets of this node, of another run of it.
fn resealed(keys: AuthKeys, name: &str, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut voice = Endpoint::new(keys, ClusterId::of("lab"), name, 99).expect("an endpoint");
    let mut packets = Vec::new();
    for payload in payloads {
        voice.seal(payload, &mut packets).expect("a packet");
    }
    packets
}

/// Without what a daemon says when the machine gave it, or a peer, no processor for a while.
fn log_of(lab: &Laboratory, node: &str) -> String {
    let busy = ["kind=\"stalled\"", "kind=\"peer-late\""];
    let log = lab.node(node).log();
    let lines = log.lines().filter(|line| !busy.iter().any(|kind| line.contains(kind)));
    lines.collect::<Vec<_>>().join("\n")
}

fn strangers_are_counted_exactly(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let config = patient(&with_device(&lab, &web_group("web", &names.join(", "), WEB, 80)));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    rest(&lab);
    let tapped = recorded(&lab, 30 * names.len());
    let alpha = lab.address("alpha", 0);
    let beta = lab.address("beta", 0);
    let between = |from: &str, to: &str| -> Vec<Vec<u8>> {
        let wanted = tapped.iter().filter(|heard| heard.from == from && heard.to == to);
        wanted.map(|heard| heard.packet.clone()).collect()
    };
    let to_alpha = between(&beta, &alpha);
    let from_alpha = between(&alpha, &beta);
    assert!(to_alpha.len() > 10 && from_alpha.len() > 10);
    let words = opened(keys(&lab), &to_alpha);
    assert_eq!(words.len(), to_alpha.len());

    let mut dice = Dice(20_26);
    let mut random = [0; 32];
    random.iter_mut().for_each(|byte| *byte = dice.roll() as u8);
    let stranger = generate(random);
    let unknown = stranger.replace("auth 1", "auth 9").replace("\n1 aead", "\n9 aead");
    let newer: Vec<Vec<u8>> = to_alpha
        .iter()
        .cloned()
        .map(|mut packet| {
            packet[4] += 1;
            packet
        })
        .collect();
    let mut kinds: Vec<(&str, Vec<Vec<u8>>)> = vec![
        // Not ours at all, or of a later major version.
        ("short", vec![to_alpha[0][..20].to_vec(); 30]),
        ("too_big", vec![vec![0; 1300]; 40]),
        ("magic", vec![b"what is this to you, a name server?".to_vec(); 50]),
        ("version", newer),
        // The wrong key, a key that nobody has, another cluster with the very same key.
        ("authentication", sealed(other_keys(&stranger), "lab", "beta", 300)),
        ("unknown_key", sealed(other_keys(&unknown), "lab", "beta", 200)),
        ("cluster", sealed(keys(&lab), "another", "beta", 400)),
        // Alpha's name from another incarnation, and alpha's own words thrown back at it.
        ("namesake", sealed(keys(&lab), "lab", "alpha", 150)),
        ("own", from_alpha),
        // Whoever has the key and talks nonsense, or sense under a name that is no member's, or as a
        // run of a member that never showed that it lives (H29).
        ("not_understood", sealed(keys(&lab), "lab", "beta", 70)),
        ("not_a_member", resealed(keys(&lab), "zeta", &words)),
        ("unproven", resealed(keys(&lab), "beta", &words)),
        // Recorded and played again; its last packets too, which nobody has had time to follow.
        ("replayed", std::iter::repeat_n(&to_alpha, 20).flatten().cloned().collect()),
    ];
    if names.len() > 2 {
        let gamma = lab.address("gamma", 0);
        kinds.push(("for_another", between(&beta, &gamma)));
    }
    let mut expected = refused(&lab, "alpha");
    let before = lab.node("alpha").status();
    let log = log_of(&lab, "alpha");
    let lost: u64 = names.iter().map(|name| missed(&lab, name)).sum();
    let radio = lab.radio("alpha");
    for (reason, packets) in &kinds {
        assert!(packets.len() > 10, "{reason}");
        let (begun, heard) = (Instant::now(), received(&lab.node("alpha").status()));
        radio.send(packets);
        let more = received(&lab.node("alpha").status()) - heard;
        // As many as the other nodes send in that time, every 100 ms: none of these was one.
        let beats = begun.elapsed().as_millis() as u64 / 100 + 5;
        assert!(more <= beats * (names.len() as u64 - 1), "{more} heartbeats among {reason}");
        *expected.entry((*reason).to_owned()).or_default() += packets.len() as u64;
        assert_eq!(refused(&lab, "alpha"), expected, "{reason}");
    }

    // What each of these is must be said by the rules of the wire alone, before alpha sees any.
    let mut judge =
        Endpoint::new(keys(&lab), ClusterId::of("lab"), "alpha", 5).expect("an endpoint");
    for _ in 0..10 {
        let packets = rubbish(&mut dice, &to_alpha, 10_000);
        for packet in &packets {
            let reject: Reject = judge.open(0, packet).expect_err("rubbish is refused");
            *expected.entry(reject.name().to_owned()).or_default() += 1;
        }
        let heard = received(&lab.node("alpha").status());
        radio.send(&packets);
        assert_eq!(refused(&lab, "alpha"), expected);
        lab.wait("heartbeats are accepted", Duration::from_secs(5), |lab| {
            received(&lab.node("alpha").status()) > heard
        });
    }
    say(format!("{} nodes: refused {expected:?}", names.len()));
    let after = lab.node("alpha").status();
    assert_eq!(decisions(&before), decisions(&after), "{}", lab.logs());
    let lost_now: u64 = names.iter().map(|name| missed(&lab, name)).sum();
    assert_eq!(lost_now, lost, "{}", lab.logs());
    assert_eq!(log_of(&lab, "alpha"), log, "a stranger can fill the log");

    old_packets_prove_nothing(&mut lab, &to_alpha);
    assert!(lab.fence_requests().is_empty(), "{}", lab.logs());
    assert!(!lab.logs().contains("peer-lost"), "{}", lab.logs());
    replays_keep_nobody_alive(&lab);
}

/// Packets from before a restart, of their receiver or of their sender (H14, H29).
fn old_packets_prove_nothing(lab: &mut Laboratory, to_alpha: &[Vec<u8>]) {
    for (restarted, reason) in [("alpha", "misaddressed"), ("beta", "unproven")] {
        lab.node_mut(restarted).kill_daemon();
        lab.node_mut(restarted).start_daemon(&[]);
        wait_whole(lab);
        lab.wait_running("web", "alpha");
        rest(lab);
        let decided = decisions(&lab.node("alpha").status());
        let mut expected = refused(lab, "alpha");
        lab.radio("alpha").send(to_alpha);
        *expected.entry(reason.to_owned()).or_default() += to_alpha.len() as u64;
        assert_eq!(refused(lab, "alpha"), expected, "after the restart of {restarted}");
        assert_eq!(decisions(&lab.node("alpha").status()), decided);
    }
}

/// A node is killed, and what it said last is said again and again.
fn replays_keep_nobody_alive(lab: &Laboratory) {
    let (alpha, beta) = (lab.address("alpha", 0), lab.address("beta", 0));
    let heard = recorded(lab, 60).into_iter().filter(|h| h.from == beta && h.to == alpha);
    let last: Vec<Vec<u8>> = heard.map(|heard| heard.packet).collect();
    assert!(last.len() > 10);
    lab.power_off("beta");
    let radio = lab.radio("alpha");
    lab.wait("beta is lost, whoever speaks in its name", Duration::from_secs(20), |lab| {
        radio.send(&last);
        let status = lab.node("alpha").status();
        status.nodes.iter().any(|n| {
            n.id.as_str() == "beta" && matches!(n.state, NodeState::Lost | NodeState::Dead)
        })
    });
    lab.wait_running("web", "alpha");
}

#[test]
fn hb4_i9_of_two_nodes_strangers_are_counted_exactly_and_change_nothing() {
    strangers_are_counted_exactly(TWO);
}

#[test]
fn hb4_i9_of_three_nodes_strangers_are_counted_exactly_and_change_nothing() {
    strangers_are_counted_exactly(THREE);
}

/// Does something to the key file of each node, and waits until each daemon has read it.
fn change_keys(lab: &Laboratory, change: impl Fn(&Laboratory, &str)) {
    let read = |name: &str| lab.node(name).log().matches("keys-changed").count();
    let before: BTreeMap<&String, usize> = lab.nodes.keys().map(|n| (n, read(n))).collect();
    for (name, count) in &before {
        change(lab, name);
        lab.wait("the daemon has read its keys again", Duration::from_secs(20), |_| {
            read(name) > *count
        });
        // One node after the other, with heartbeats between any two of its states.
        lab.beats("alpha", 5);
        lab.beats("beta", 5);
    }
}

fn keys_rotate_on_a_live_cluster(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let config = with_device(&lab, &web_group("web", &names.join(", "), WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    rest(&lab);
    let old = std::fs::read_to_string(lab.node("alpha").etc("authkeys")).expect("authkeys");
    let state = |lab: &Laboratory| -> Vec<_> {
        let status = |name: &&str| decisions(&lab.node(name).status());
        names.iter().map(|name| (missed(lab, name), refused(lab, name), status(name))).collect()
    };
    let before = state(&lab);
    lab.node("alpha").crm(&["keygen", "--add"]);
    let new = std::fs::read_to_string(lab.node("alpha").etc("authkeys")).expect("authkeys");
    lab.wait("alpha has read its keys again", Duration::from_secs(20), |lab| {
        lab.node("alpha").log().contains("keys-changed")
    });
    change_keys(&lab, |lab, name| {
        let beside = lab.node(name).etc("authkeys.copied");
        std::fs::write(&beside, &new).expect("the copy");
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600)).expect("mode");
        std::fs::rename(beside, lab.node(name).etc("authkeys")).expect("its place");
    });
    for step in [["keygen", "--send-with", "2"], ["keygen", "--drop", "1"]] {
        change_keys(&lab, |lab, name| {
            lab.node(name).crm(&step);
        });
    }
    lab.beats("alpha", A_WHILE);
    assert_eq!(state(&lab), before, "a heartbeat was lost or refused\n{}", lab.logs());
    assert!(!lab.logs().contains("peer-lost"), "{}", lab.logs());
    // And the old key is worth nothing now.
    let mut expected = refused(&lab, "alpha");
    lab.radio("alpha").send(&sealed(other_keys(&old), "lab", "beta", 25));
    *expected.entry("unknown_key".to_owned()).or_default() += 25;
    assert_eq!(refused(&lab, "alpha"), expected);
}

#[test]
fn keys_rotate_on_two_live_nodes_without_a_lost_heartbeat() {
    keys_rotate_on_a_live_cluster(TWO);
}

#[test]
fn keys_rotate_on_three_live_nodes_without_a_lost_heartbeat() {
    keys_rotate_on_a_live_cluster(THREE);
}
