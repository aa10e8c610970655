//! Round trips, identity, nonces, and the speed.

mod common;

use std::{collections::BTreeSet, time::Instant};

use common::{endpoint, keys, open_one, payload, seal, seal_one};
use crm_wire::{
    ClusterId, Endpoint, EndpointError, KeyId, MAX_DATAGRAM, MAX_FRAGMENTS, MAX_MESSAGE, Reject,
    SealError, chunk_size,
};

#[test]
fn every_length_around_the_edges_comes_back() {
    let (mut alpha, mut beta) = (endpoint("alpha", 1), endpoint("beta", 2));
    let chunk = chunk_size(5);
    for length in [0, 1, 300, chunk - 1, chunk, chunk + 1, 2 * chunk, 5 * chunk + 7, MAX_MESSAGE] {
        let sent = payload(length, 9);
        let datagrams = seal(&mut alpha, &sent);
        assert_eq!(datagrams.len(), length.div_ceil(chunk).max(1));
        let (last, others) = datagrams.split_last().unwrap();
        for datagram in others {
            assert!(datagram.len() == MAX_DATAGRAM);
            assert_eq!(beta.open(0, datagram), Ok(None));
        }
        let opened = open_one(&mut beta, last);
        assert_eq!((&*opened.sender, opened.incarnation), ("alpha", 1));
        assert_eq!((opened.key_id, opened.counter), (KeyId(1), alpha.last_counter()));
        assert_eq!(opened.cluster, ClusterId::of("shop"));
        assert!(opened.payload == sent, "{length} bytes");
    }
    assert_eq!(beta.rejects().total(), 0);
    assert_eq!(beta.bytes_in_flight(), 0);
}

#[test]
fn the_longest_name_carries_the_longest_message() {
    let (mut alpha, mut beta) = (endpoint(&"x".repeat(64), 1), endpoint("beta", 2));
    let sent = payload(MAX_MESSAGE, 3);
    let datagrams = seal(&mut alpha, &sent);
    assert_eq!(datagrams.len(), MAX_FRAGMENTS);
    let opened = datagrams.iter().find_map(|datagram| beta.open(0, datagram).unwrap()).unwrap();
    assert!(opened.payload == sent);
}

#[test]
fn too_long_payloads_and_names_are_refused() {
    let mut out = Vec::new();
    let result = endpoint("alpha", 1).seal(&vec![0; MAX_MESSAGE + 1], &mut out);
    assert_eq!((result, out.len()), (Err(SealError::TooBig(MAX_MESSAGE + 1)), 0));
    for name in ["", "a b", &"x".repeat(65)] {
        let result = Endpoint::new(keys(1), ClusterId::of("shop"), name, 1);
        assert!(matches!(result, Err(EndpointError::Name(_))), "{name}");
    }
}

#[test]
fn i9_no_nonce_comes_twice_for_a_key() {
    let mut seen = BTreeSet::new();
    let mut alpha = endpoint("alpha", 1);
    let mut expected = 0u64;
    for round in 0..300 {
        if round % 50 == 49 {
            alpha.replace_keys(keys(1)).unwrap();
        }
        for datagram in seal(&mut alpha, &payload(round * 40, 1)) {
            expected += 1;
            let counter = u64::from_be_bytes(datagram[30..38].try_into().unwrap());
            assert_eq!(counter, expected);
            assert!(seen.insert(counter));
        }
    }
    assert_eq!(seen.len() as u64, alpha.last_counter());
}

#[test]
fn i9_senders_incarnations_and_clusters_have_their_own_packet_keys() {
    // The same counter and payload: only the derived key can differ.
    let sealed: BTreeSet<Vec<u8>> =
        [("alpha", 1, "shop"), ("alphb", 1, "shop"), ("alpha", 2, "shop"), ("alpha", 1, "shoq")]
            .into_iter()
            .map(|(name, incarnation, cluster)| {
                let cluster = ClusterId::of(cluster);
                let mut endpoint = Endpoint::new(keys(1), cluster, name, incarnation).unwrap();
                let datagram = seal_one(&mut endpoint, &[0; 64]);
                datagram[44..datagram.len() - 16].to_vec()
            })
            .collect();
    assert_eq!(sealed.len(), 4);
}

#[test]
fn nothing_of_the_payload_stands_in_clear() {
    let sent = b"grant db1 to alpha; grant db1 to alpha";
    let datagram = seal_one(&mut endpoint("alpha", 1), sent);
    assert!(!datagram.windows(8).any(|window| sent.windows(8).any(|part| part == window)));
    let digest = ring::digest::digest(&ring::digest::SHA256, sent);
    assert!(!datagram.windows(4).any(|window| window == &digest.as_ref()[..4]));
}

#[test]
fn a_joining_node_learns_the_cluster_and_members_hear_it_only_if_they_want() {
    let mut member = endpoint("alpha", 1);
    let mut joiner = Endpoint::joining(keys(1), "gamma", 3).unwrap();
    let knock = seal_one(&mut joiner, b"may I join");
    assert_eq!(member.open(0, &knock), Err(Reject::Cluster));
    member.accept_joining(true);
    assert_eq!(open_one(&mut member, &knock).cluster, ClusterId::ANY);
    let answer = open_one(&mut joiner, &seal_one(&mut member, b"welcome"));
    assert_eq!(answer.cluster, ClusterId::of("shop"));

    joiner.enter(answer.cluster).unwrap();
    member.accept_joining(false);
    assert_eq!(member.open(0, &knock), Err(Reject::Cluster));
    let opened = open_one(&mut member, &seal_one(&mut joiner, b"here I am"));
    assert_eq!((opened.cluster, opened.counter), (ClusterId::of("shop"), 2));
    let mut other = Endpoint::new(keys(1), ClusterId::of("other"), "delta", 4).unwrap();
    assert_eq!(joiner.open(0, &seal_one(&mut other, b"x")), Err(Reject::Cluster));

    let mut stranger = Endpoint::joining(keys(9), "gamma", 3).unwrap();
    member.accept_joining(true);
    assert_eq!(member.open(0, &seal_one(&mut stranger, b"x")), Err(Reject::Authentication));
}

/// Prints how many heartbeats a second one core seals and opens.
#[test]
fn speed() {
    const ROUNDS: usize = 20_000;
    let (mut alpha, mut beta) = (endpoint("alpha", 1), endpoint("beta", 2));
    let heartbeat = payload(300, 1);
    let mut out = Vec::with_capacity(ROUNDS);
    let begin = Instant::now();
    (0..ROUNDS).for_each(|_| alpha.seal(&heartbeat, &mut out).unwrap());
    let sealed = begin.elapsed();
    let begin = Instant::now();
    let opened = out.iter().filter_map(|datagram| beta.open(0, datagram).unwrap()).count();
    let open = begin.elapsed();
    assert_eq!(opened, ROUNDS);
    let rate = |time: std::time::Duration| ROUNDS as f64 / time.as_secs_f64();
    println!("300-byte payloads: {:.0} seals/s, {:.0} opens/s", rate(sealed), rate(open));
}
