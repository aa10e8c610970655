//! HB4, I9: what is not authentic is dropped, counted exactly, and has no effect.

mod common;

use common::{Numbers, endpoint, keys, open_one, payload, seal, seal_one};
use crm_wire::{
    ClusterId, Endpoint, MAX_INCARNATIONS_PER_SENDER, MAX_SENDERS, Reject, RejectCounters,
};

#[test]
fn i9_every_flipped_bit_of_a_datagram_is_rejected() {
    let mut alpha = endpoint("alpha", 1);
    let mut beta = endpoint("beta", 2);
    let datagram = seal_one(&mut alpha, b"heartbeat");
    for at in 0..datagram.len() {
        for bit in 0..8 {
            let mut changed = datagram.clone();
            changed[at] ^= 1 << bit;
            let reject = beta.open(0, &changed).unwrap_err();
            match at {
                0..4 => assert_eq!(reject, Reject::Magic),
                4 => assert_eq!(reject, Reject::Version),
                5 => assert_eq!(reject, Reject::UnknownKey),
                6..14 => assert_eq!(reject, Reject::Cluster),
                38 => {
                    assert!([Reject::Short, Reject::Name, Reject::Authentication].contains(&reject))
                }
                39..44 => assert!([Reject::Name, Reject::Authentication].contains(&reject)),
                _ => assert_eq!(reject, Reject::Authentication, "byte {at} bit {bit}"),
            }
        }
    }
    assert_eq!(beta.rejects().total(), datagram.len() as u64 * 8);
    assert_eq!(beta.kept_keys(), 0);
    assert_eq!(open_one(&mut beta, &datagram).payload, b"heartbeat");
}

#[test]
fn hb4_another_key_or_cluster_is_dropped_and_counted() {
    let mut beta = endpoint("beta", 2);
    let mut wrong_key = Endpoint::new(keys(9), ClusterId::of("shop"), "alpha", 1).unwrap();
    let mut wrong_cluster = Endpoint::new(keys(1), ClusterId::of("bank"), "alpha", 1).unwrap();
    for _ in 0..3 {
        let datagram = seal_one(&mut wrong_key, b"x");
        assert_eq!(beta.open(0, &datagram), Err(Reject::Authentication));
    }
    let mut datagram = seal_one(&mut wrong_cluster, b"x");
    assert_eq!(beta.open(0, &datagram), Err(Reject::Cluster));
    // Even with our cluster written over it: it is part of the packet key.
    datagram[6..14].copy_from_slice(&ClusterId::of("shop").0);
    assert_eq!(beta.open(0, &datagram), Err(Reject::Authentication));
    assert_eq!(beta.rejects().of(Reject::Authentication), 4);
    assert_eq!(beta.rejects().of(Reject::Cluster), 1);
    assert_eq!(beta.rejects().total(), 5);
}

#[test]
fn own_packets_and_a_second_node_of_my_name_are_told_apart() {
    let mut alpha = endpoint("alpha", 1);
    let reflected = seal_one(&mut alpha, b"x");
    assert_eq!(alpha.open(0, &reflected), Err(Reject::Own));
    let second = seal_one(&mut endpoint("alpha", 2), b"x");
    assert_eq!(alpha.open(0, &second), Err(Reject::Namesake));
    // Forged ones are neither: both are facts only if authentic.
    let forged = Endpoint::new(keys(9), ClusterId::of("shop"), "alpha", 1);
    let forged = seal_one(&mut forged.unwrap(), b"x");
    assert_eq!(alpha.open(0, &forged), Err(Reject::Authentication));
}

#[test]
fn i9_a_hundred_thousand_bad_datagrams_change_nothing_and_are_counted_exactly() {
    let (mut alpha, mut beta) = (endpoint("alpha", 1), endpoint("beta", 2));
    let mut numbers = Numbers(0x5eed);
    let mut expected = RejectCounters::default();
    let good = seal_one(&mut alpha, &payload(300, 5));
    let piece = seal(&mut alpha, &payload(5000, 6)).remove(2);
    for round in 0..100_000u32 {
        let mut bad = if numbers.below(2) == 0 { good.clone() } else { piece.clone() };
        match round % 5 {
            0 => {
                let at = numbers.below(bad.len());
                bad[at] ^= 1 + numbers.below(255) as u8;
            }
            1 => bad.truncate(numbers.below(bad.len())),
            2 => {
                bad.push(numbers.next() as u8);
            }
            3 => bad = payload(numbers.below(1300), numbers.next()),
            _ => {
                let (from, to) = (numbers.below(bad.len()), numbers.below(bad.len()));
                bad[from] = bad[from].wrapping_add(1);
                bad.swap(from, to);
            }
        }
        if bad == good || bad == piece {
            continue;
        }
        expected.record(beta.open(0, &bad).expect_err("accepted a bad datagram"));
        if round % 100 == 0 {
            let heartbeat = seal_one(&mut alpha, &round.to_be_bytes());
            assert_eq!(open_one(&mut beta, &heartbeat).payload, round.to_be_bytes());
        }
    }
    assert_eq!(*beta.rejects(), expected);
    assert!(expected.total() > 99_000, "{expected:?}");
    for reject in [Reject::Short, Reject::TooBig, Reject::Magic, Reject::Version, Reject::Name] {
        assert!(expected.of(reject) > 0, "{reject} never happened");
    }
    for reject in [Reject::Cluster, Reject::UnknownKey, Reject::Authentication] {
        assert!(expected.of(reject) > 0, "{reject} never happened");
    }
    assert_eq!(expected.of(Reject::Own) + expected.of(Reject::Namesake), 0);
    assert_eq!((beta.bytes_in_flight(), beta.kept_keys()), (0, 1));
}

#[test]
fn i10_forged_headers_cost_one_derivation_each_and_no_memory() {
    let (mut alpha, mut beta) = (endpoint("alpha", 1), endpoint("beta", 2));
    open_one(&mut beta, &seal_one(&mut alpha, b"x"));
    let before = beta.derivations();
    assert_eq!(before, 1);
    let good = seal_one(&mut alpha, b"x");
    for incarnation in 100..10_100u128 {
        let mut forged = good.clone();
        forged[14..30].copy_from_slice(&incarnation.to_be_bytes());
        assert_eq!(beta.open(0, &forged), Err(Reject::Authentication));
    }
    assert_eq!(beta.derivations(), before + 10_000);
    assert_eq!(beta.kept_keys(), 1);
    open_one(&mut beta, &good);
    assert_eq!(beta.derivations(), before + 10_000, "the sender in use kept its key");
}

#[test]
fn i10_real_senders_and_incarnations_are_bounded_too() {
    let mut beta = endpoint("beta", 2);
    for sender in 0..100 {
        for incarnation in 1..10 {
            let mut alpha = endpoint(&format!("node{sender}"), incarnation);
            open_one(&mut beta, &seal_one(&mut alpha, b"x"));
        }
    }
    assert_eq!(beta.kept_keys(), MAX_SENDERS * MAX_INCARNATIONS_PER_SENDER);
}
