//! Strangers on the network, and keys that change.

use super::support::{WEB, web_group, with_device};
use crm_core::status::Status;
use crm_tests::namespaces::{Laboratory, Options};
use crm_wire::{AuthKeys, ClusterId, Endpoint, Reject, generate};
use std::collections::BTreeMap;
use std::time::Duration;

/// Hears a number of heartbeats from inside a node, for one that reads along. Prints them in
/// hexadecimal, each with the address it was sent to.
const TAP: &str = r#"
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
s.settimeout(10)
left = int(sys.argv[1])
while left > 0:
    packet = s.recv(2048)
    udp = packet[(packet[0] & 15) * 4:]
    if packet[0] >> 4 == 4 and packet[9] == 17 and udp[2:4] == (694).to_bytes(2, 'big'):
        print(socket.inet_ntoa(packet[16:20]), udp[8:].hex()); left -= 1
"#;

fn missed(lab: &Laboratory, node: &str) -> u64 {
    let status = lab.node(node).status();
    status.nodes.iter().flat_map(|n| &n.links).map(|link| link.missed).sum()
}

/// What a node has refused so far, by reason.
fn refused(lab: &Laboratory, node: &str) -> BTreeMap<String, u64> {
    let text = lab.node(node).crm(&["status", "--links"]);
    let line = text.lines().find_map(|line| line.strip_prefix("refused datagrams: "));
    let counts = line.into_iter().flat_map(|line| line.split(", "));
    counts
        .map(|count| {
            let (reason, number) = count.rsplit_once(' ').unwrap_or_else(|| panic!("{count}"));
            (reason.to_owned(), number.parse().unwrap_or_else(|_| panic!("{count}")))
        })
        .collect()
}

/// What the cluster may not do because of a stranger.
fn decisions(status: &Status) -> String {
    let nodes: Vec<_> =
        status.nodes.iter().map(|n| (&n.id, n.state, n.voter, n.incarnation)).collect();
    let groups: Vec<_> = status.groups.iter().map(|g| (&g.id, &g.owner, g.phase)).collect();
    let record = (status.epoch, status.stamp, status.obeyed, &status.coordinator);
    format!("{record:?} {nodes:?} {groups:?}")
}

fn received(status: &Status) -> u64 {
    status.nodes.iter().flat_map(|n| &n.links).map(|link| link.received).sum()
}

/// Heartbeats that were on the network while `count` of them passed, by the address they went to.
fn recorded(lab: &Laboratory, count: usize) -> Vec<(String, Vec<u8>)> {
    let done = lab.node("beta").run("python3", &["-c", TAP, &count.to_string()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let packets = done.stdout.lines().filter_map(|line| line.split_once(' '));
    packets.map(|(to, hex)| (to.to_owned(), bytes(hex))).collect()
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

#[test]
fn hb4_i9_strangers_are_counted_exactly_and_change_nothing() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    lab.wait("all is quiet", Duration::from_secs(20), |lab| {
        let status = lab.node("alpha").status();
        status.nodes.iter().all(|node| node.obeyed == Some(status.stamp))
    });
    let tapped = recorded(&lab, 60);
    let alpha = lab.address("alpha", 0);
    let (to_alpha, from_alpha): (Vec<_>, Vec<_>) =
        tapped.into_iter().partition(|(to, _)| *to == alpha);
    let to_alpha: Vec<Vec<u8>> = to_alpha.into_iter().map(|(_, packet)| packet).collect();
    let from_alpha: Vec<Vec<u8>> = from_alpha.into_iter().map(|(_, packet)| packet).collect();
    assert!(to_alpha.len() > 10 && from_alpha.len() > 10);

    let mut dice = Dice(20_26);
    let mut random = [0; 32];
    random.iter_mut().for_each(|byte| *byte = dice.roll() as u8);
    let stranger = generate(random);
    let unknown = stranger.replace("auth 1", "auth 9").replace("\n1 aead", "\n9 aead");
    let kinds: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("authentication", sealed(other_keys(&stranger), "lab", "beta", 300)),
        ("unknown_key", sealed(other_keys(&unknown), "lab", "beta", 200)),
        ("cluster", sealed(keys(&lab), "another", "beta", 400)),
        // Alpha's name from another incarnation, and alpha's own words thrown back at it.
        ("namesake", sealed(keys(&lab), "lab", "alpha", 150)),
        ("own", from_alpha),
    ];
    let mut expected = refused(&lab, "alpha");
    let before = lab.node("alpha").status();
    let lost = missed(&lab, "alpha") + missed(&lab, "beta");
    let radio = lab.radio("alpha");
    for (reason, packets) in &kinds {
        radio.send(packets);
        *expected.entry((*reason).to_owned()).or_default() += packets.len() as u64;
        assert_eq!(refused(&lab, "alpha"), expected, "{reason}");
    }
    // Authentic, and heard before: the wire has nothing against it, the core's window does.
    for _ in 0..20 {
        radio.send(&to_alpha);
    }
    assert_eq!(refused(&lab, "alpha"), expected, "replayed");

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
    println!("refused: {expected:?}");

    // Packets from before a restart of their receiver prove nothing to it (H29).
    let daemon = lab.node("alpha").daemon_pid().expect("a daemon").to_string();
    let after = lab.node("alpha").status();
    assert_eq!(decisions(&before), decisions(&after), "{}", lab.logs());
    assert_eq!(missed(&lab, "alpha") + missed(&lab, "beta"), lost, "{}", lab.logs());
    lab.node("alpha").run("kill", &["-9", &daemon]);
    lab.node_mut("alpha").start_daemon(&[]);
    lab.wait_running("web", "alpha");
    let heard = decisions(&lab.node("alpha").status());
    lab.radio("alpha").send(&to_alpha);
    assert_eq!(refused(&lab, "alpha"), BTreeMap::new(), "authentic, only old");
    assert_eq!(decisions(&lab.node("alpha").status()), heard);
    assert!(lab.fenced().is_empty(), "{}", lab.logs());
    assert!(!lab.logs().contains("peer-lost"), "{}", lab.logs());
}

#[test]
fn keys_rotate_on_a_live_cluster_without_a_lost_heartbeat() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let before = missed(&lab, "alpha") + missed(&lab, "beta");
    let settle = || std::thread::sleep(Duration::from_millis(2500));
    lab.node("alpha").crm(&["keygen", "--add"]);
    std::fs::copy(lab.node("alpha").etc("authkeys"), lab.node("beta").etc("authkeys"))
        .expect("copy");
    settle();
    for step in [["keygen", "--send-with", "2"], ["keygen", "--drop", "1"]] {
        for node in ["alpha", "beta"] {
            lab.node(node).crm(&step);
        }
        settle();
    }
    let status = lab.node("alpha").status();
    assert!(status.quorum && status.nodes.iter().all(|n| n.voter), "{}", lab.logs());
    let after = missed(&lab, "alpha") + missed(&lab, "beta");
    assert_eq!(before, after, "heartbeats were lost\n{}", lab.logs());
    assert!(!lab.logs().contains("peer-lost"), "{}", lab.logs());
}
