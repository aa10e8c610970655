//! Keys change on a running cluster without one lost packet.

mod common;

use common::{endpoint, keys, open_one, payload, rotation, seal, seal_one};
use crm_wire::{AuthKeys, ClusterId, Endpoint, KeyId, Reject, drop_key, generate};

#[test]
fn a_rotation_node_by_node_loses_nothing() {
    let [old, both, switched] = rotation();
    let new_only = keys_with_only_the_new_one();
    let shop = ClusterId::of("shop");
    let mut nodes: Vec<Endpoint> = (1..4u128)
        .map(|i| Endpoint::new(old.clone(), shop, &format!("node{i}"), i).unwrap())
        .collect();
    let mut delivered = 0;
    for file in [&both, &switched, &new_only] {
        for changing in 0..nodes.len() {
            nodes[changing].replace_keys((*file).clone()).unwrap();
            delivered += everyone_hears_everyone(&mut nodes);
        }
    }
    assert_eq!(delivered, 3 * 3 * 6);
    assert!(nodes.iter().all(|node| node.rejects().total() == 0));
    let last = seal_one(&mut nodes[0], b"x");
    assert_eq!(open_one(&mut nodes[1], &last).key_id, KeyId(2));
}

fn everyone_hears_everyone(nodes: &mut [Endpoint]) -> usize {
    let mut delivered = 0;
    for from in 0..nodes.len() {
        let datagram = seal_one(&mut nodes[from], b"heartbeat");
        for to in (0..nodes.len()).filter(|to| *to != from) {
            assert_eq!(open_one(&mut nodes[to], &datagram).payload, b"heartbeat");
            delivered += 1;
        }
    }
    delivered
}

fn keys_with_only_the_new_one() -> AuthKeys {
    let old = generate(common::random_bytes(1));
    let (id, both) = crm_wire::add_key("k", &old, common::random_bytes(2)).unwrap();
    let switched = crm_wire::switch_sending("k", &both, id).unwrap();
    AuthKeys::parse("k", &drop_key("k", &switched, KeyId(1)).unwrap()).unwrap()
}

#[test]
fn i9_a_dropped_key_opens_nothing_any_more() {
    let [old, _, _] = rotation();
    let shop = ClusterId::of("shop");
    let mut alpha = Endpoint::new(old.clone(), shop, "alpha", 1).unwrap();
    let mut beta = Endpoint::new(old, shop, "beta", 2).unwrap();
    open_one(&mut beta, &seal_one(&mut alpha, b"x"));
    beta.replace_keys(keys_with_only_the_new_one()).unwrap();
    assert_eq!(beta.open(0, &seal_one(&mut alpha, b"x")), Err(Reject::UnknownKey));
    assert_eq!(beta.kept_keys(), 0);
}

#[test]
fn i9_another_key_under_the_same_number_forgets_the_derived_ones() {
    let (mut alpha, mut beta) = (endpoint("alpha", 1), endpoint("beta", 2));
    open_one(&mut beta, &seal_one(&mut alpha, b"x"));
    beta.replace_keys(keys(9)).unwrap();
    assert_eq!(beta.open(0, &seal_one(&mut alpha, b"x")), Err(Reject::Authentication));
}

#[test]
fn a_message_half_sent_before_the_switch_is_completed_after_it() {
    let [_, both, switched] = rotation();
    let shop = ClusterId::of("shop");
    let mut alpha = Endpoint::new(both.clone(), shop, "alpha", 1).unwrap();
    let mut beta = Endpoint::new(both, shop, "beta", 2).unwrap();
    let sent = payload(2500, 1);
    let first = seal(&mut alpha, &sent);
    assert_eq!(beta.open(0, &first[0]), Ok(None));
    alpha.replace_keys(switched.clone()).unwrap();
    beta.replace_keys(switched).unwrap();
    let second = seal(&mut alpha, &sent);
    assert_eq!(beta.open(0, &second[1]), Ok(None));
    let opened = open_one(&mut beta, &second[2]);
    assert_eq!((opened.payload, opened.key_id), (sent, KeyId(2)));
}
