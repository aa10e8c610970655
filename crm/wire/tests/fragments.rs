//! Messages of several datagrams: lost, doubled, out of order, sent again, replayed.

mod common;

use std::collections::BTreeSet;

use common::{Numbers, endpoint, payload, seal};
use crm_wire::{MAX_BYTES_IN_FLIGHT, MAX_MESSAGE, REASSEMBLY_EXPIRY_US};

#[test]
fn any_order_with_doubles_gives_the_message_once_per_complete_set() {
    for seed in 1..200 {
        let (mut alpha, mut beta) = (endpoint("alpha", 1), endpoint("beta", 2));
        let mut numbers = Numbers(seed);
        let sent = payload(1200 + numbers.below(20_000), seed);
        let mut datagrams = seal(&mut alpha, &sent);
        let highest = alpha.last_counter();
        numbers.shuffle(&mut datagrams);
        let mut opened = Vec::new();
        for (at, datagram) in datagrams.iter().enumerate() {
            opened.extend(beta.open(0, datagram).unwrap());
            if at + 1 < datagrams.len() {
                let again = numbers.below(at + 1);
                opened.extend(beta.open(0, &datagrams[again]).unwrap());
            }
        }
        assert_eq!(opened.len(), 1, "seed {seed}");
        assert!(opened[0].payload == sent && opened[0].counter == highest, "seed {seed}");
        assert_eq!(beta.reassembly().duplicate as usize, datagrams.len() - 1);
        assert_eq!((beta.bytes_in_flight(), beta.rejects().total()), (0, 0));
    }
}

#[test]
fn with_a_third_lost_repeated_sending_gets_a_record_through() {
    let (mut alpha, mut beta) = (endpoint("alpha", 1), endpoint("beta", 2));
    let mut numbers = Numbers(77);
    let sent = payload(300_000, 4);
    let mut sendings = 0;
    let opened = 'sent: loop {
        sendings += 1;
        assert!(sendings < 30, "never came through");
        for datagram in seal(&mut alpha, &sent) {
            if numbers.below(3) > 0
                && let Some(opened) = beta.open(0, &datagram).unwrap()
            {
                break 'sent opened;
            }
        }
    };
    assert!(sendings > 1 && opened.payload == sent);
}

#[test]
fn i9_replayed_pieces_in_any_order_show_a_counter_that_was_shown_before() {
    let (mut alpha, mut beta) = (endpoint("alpha", 1), endpoint("beta", 2));
    let sent = payload(5 * 1100, 1);
    let mut recorded = seal(&mut alpha, &sent);
    let mut shown = BTreeSet::new();
    for datagram in &recorded {
        shown.extend(beta.open(0, datagram).unwrap().map(|opened| opened.counter));
    }
    assert_eq!(shown.len(), 1);
    let mut numbers = Numbers(5);
    for _ in 0..100 {
        numbers.shuffle(&mut recorded);
        for datagram in &recorded {
            if let Some(opened) = beta.open(0, datagram).unwrap() {
                assert!(!shown.insert(opened.counter), "a replay looks fresh");
            }
        }
    }
}

#[test]
fn incarnations_are_never_mixed() {
    let (mut first, mut second) = (endpoint("alpha", 1), endpoint("alpha", 2));
    let mut beta = endpoint("beta", 3);
    let sent = payload(2000, 1);
    assert_eq!(beta.open(0, &seal(&mut first, &sent)[0]), Ok(None));
    assert_eq!(beta.open(0, &seal(&mut second, &sent)[1]), Ok(None));
    let opened = beta.open(0, &seal(&mut second, &sent)[0]).unwrap().unwrap();
    assert_eq!(opened.incarnation, 2);
}

#[test]
fn i10_incomplete_messages_stay_within_their_bounds_and_go_away() {
    let mut beta = endpoint("beta", 2);
    for sender in 0..80u64 {
        let mut alpha = endpoint(&format!("node{sender}"), 1);
        for message in 0..4 {
            let datagrams = seal(&mut alpha, &payload(MAX_MESSAGE, 1 + sender * 4 + message));
            assert_eq!(beta.open(sender, &datagrams[0]), Ok(None));
            assert!(beta.bytes_in_flight() <= MAX_BYTES_IN_FLIGHT);
        }
        assert!(beta.bytes_in_flight() <= (sender as usize + 1) * 2 * MAX_MESSAGE);
    }
    beta.expire(REASSEMBLY_EXPIRY_US + 80);
    assert_eq!(beta.bytes_in_flight(), 0);
    assert!(beta.reassembly().evicted > 0 && beta.reassembly().expired == 32);
}
