//! Real sockets on loopback.

use super::*;
use crm_core::id::LinkId;
use crm_core::packet::{MINOR_HIGHEST, MINOR_LOWEST, Message, Packet};
use crm_core::{Destination, Input};
use std::time::Duration;

fn keys(byte: u8) -> AuthKeys {
    AuthKeys::parse(
        "authkeys",
        &crm_wire::generate(std::array::from_fn(|place| place as u8 ^ byte)),
    )
    .expect("keys")
}

fn packet(to: &str, message: Message) -> Packet {
    Packet {
        to: NodeId::new(to),
        number: 1,
        echo: None,
        seen: 0,
        minor_lowest: MINOR_LOWEST,
        minor_highest: MINOR_HIGHEST,
        message,
    }
}

fn links(name: &str, address: &str, key: u8, contact: Option<SocketAddr>) -> Links {
    let (tell, _) = Tell::channel();
    let mut links =
        Links::new(tell, &NodeId::new(name), Incarnation(7), keys(key), contact).expect("links");
    let link = vec![address.parse().expect("address")];
    links.bind_unconfigured(Time(0), &Unconfigured { link, port: 0 });
    links
}

fn address_of(links: &Links) -> SocketAddr {
    links.links[0].socket().expect("bound").get_ref().local_addr().expect("address")
}

async fn arrival(links: &Links) {
    let arrived = tokio::time::timeout(Duration::from_secs(5), links.readable()).await;
    assert!(arrived.is_ok(), "nothing arrives");
}

async fn next(links: &mut Links) -> Option<Input> {
    let heard = async {
        loop {
            links.readable().await;
            if let Some(input) = links.receive(Time(1)).pop() {
                return input;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), heard).await.ok()
}

#[tokio::test(flavor = "current_thread")]
async fn a_node_that_joins_asks_its_contact_and_is_answered_where_it_spoke_from() {
    let mut member = links("alpha", "127.0.0.1", 1, None);
    member.enter(ClusterId::of("shop")).expect("enter");
    let mut joiner = links("beta", "127.0.0.1", 1, Some(address_of(&member)));
    let store = crm_core::id::StoreId(9);
    joiner.send(&Destination::Contact, &packet("", Message::Join { store }));
    let Some(Input::Packet { from, packet: asked, .. }) = next(&mut member).await else {
        panic!("the member hears nothing")
    };
    assert_eq!(from, NodeId::new("beta"));
    assert_eq!(asked.message, Message::Join { store });
    member.send(&Destination::Node(from), &packet("beta", Message::Hello));
    let Some(Input::Packet { from, link, .. }) = next(&mut joiner).await else {
        panic!("the joiner hears nothing")
    };
    assert_eq!((from, link), (NodeId::new("alpha"), LinkId(0)));
    // Now it knows the cluster, and is heard as any other node.
    joiner.send(&Destination::Node(NodeId::new("alpha")), &packet("alpha", Message::Hello));
    assert!(matches!(next(&mut member).await, Some(Input::Packet { .. })));
}

#[tokio::test(flavor = "current_thread")]
async fn from_a_node_outside_nothing_is_taken_but_its_request_to_join() {
    let mut member = links("alpha", "127.0.0.1", 1, None);
    member.enter(ClusterId::of("shop")).expect("enter");
    let mut stranger = links("beta", "127.0.0.1", 1, Some(address_of(&member)));
    stranger.send(&Destination::Contact, &packet("alpha", Message::Hello));
    arrival(&member).await;
    assert!(member.receive(Time(1)).is_empty());
    assert_eq!(member.report(&Default::default()).not_understood, 1);
}

#[tokio::test(flavor = "current_thread")]
async fn hb4_another_key_is_refused_and_counted_by_reason() {
    let mut member = links("alpha", "127.0.0.1", 1, None);
    member.enter(ClusterId::of("shop")).expect("enter");
    let mut stranger = links("beta", "127.0.0.1", 2, Some(address_of(&member)));
    let store = crm_core::id::StoreId(9);
    stranger.send(&Destination::Contact, &packet("", Message::Join { store }));
    arrival(&member).await;
    assert!(member.receive(Time(1)).is_empty());
    let report = member.report(&Default::default());
    assert_eq!(report.rejected.values().sum::<u64>(), 1, "{report:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_flood_is_taken_in_bounded_batches_and_costs_nothing_but_counters() {
    let mut member = links("alpha", "127.0.0.1", 1, None);
    let target = address_of(&member);
    let flood = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind");
    for number in 0..1000u32 {
        let _ = flood.send_to(&number.to_le_bytes(), target);
    }
    arrival(&member).await;
    assert!(member.receive(Time(1)).is_empty());
    assert!(member.links[0].datagrams_in <= 64, "one batch at a time");
    let taken = member.links[0].datagrams_in;
    member.receive(Time(1));
    assert!(member.links[0].datagrams_in > taken, "and the next one after it");
}

#[tokio::test(flavor = "current_thread")]
async fn an_address_that_is_not_there_yet_is_told_once_and_bound_when_it_comes() {
    let (tell, mut inbox) = Tell::channel();
    let mut links =
        Links::new(tell, &NodeId::new("alpha"), Incarnation(7), keys(1), None).expect("links");
    // Documentation addresses are never this machine's.
    links.rebind(Time(0), vec![Ok("192.0.2.77:0".parse().expect("address"))]);
    assert_eq!(links.deadline(), Some(Time(0) + RETRY));
    links.bind_missing(Time(1));
    links.bind_missing(Time(2));
    let first = inbox.try_recv().expect("an event");
    assert!(format!("{first:?}").contains("192.0.2.77"), "{first:?}");
    assert!(inbox.try_recv().is_err(), "told once");
    assert!(links.report(&Default::default()).links[0].problem.is_some());
    links.rebind(Time(3), vec![Ok("127.0.0.1:0".parse().expect("address"))]);
    assert_eq!(links.deadline(), None);
}
