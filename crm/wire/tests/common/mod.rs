//! What the tests of this crate share: keys, endpoints, seeded numbers.

#![allow(dead_code)] // each test file uses its part

use crm_wire::{AuthKeys, ClusterId, Endpoint, Opened, add_key, generate, switch_sending};

pub(crate) fn random_bytes(start: u8) -> [u8; 32] {
    std::array::from_fn(|i| start.wrapping_mul(31).wrapping_add(i as u8))
}

pub(crate) fn keys(start: u8) -> AuthKeys {
    AuthKeys::parse("authkeys", &generate(random_bytes(start))).unwrap()
}

/// The three files of a rotation: old only, both (old sends), both (new sends).
pub(crate) fn rotation() -> [AuthKeys; 3] {
    let old = generate(random_bytes(1));
    let (id, both) = add_key("authkeys", &old, random_bytes(2)).unwrap();
    let switched = switch_sending("authkeys", &both, id).unwrap();
    [&old, &both, &switched].map(|text| AuthKeys::parse("authkeys", text).unwrap())
}

pub(crate) fn endpoint(name: &str, incarnation: u128) -> Endpoint {
    Endpoint::new(keys(1), ClusterId::of("shop"), name, incarnation).unwrap()
}

pub(crate) fn seal(from: &mut Endpoint, payload: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    from.seal(payload, &mut out).unwrap();
    out
}

pub(crate) fn seal_one(from: &mut Endpoint, payload: &[u8]) -> Vec<u8> {
    let mut out = seal(from, payload);
    assert_eq!(out.len(), 1);
    out.remove(0)
}

pub(crate) fn open_one(to: &mut Endpoint, datagram: &[u8]) -> Opened {
    to.open(0, datagram).unwrap().expect("whole")
}

pub(crate) fn payload(length: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed | 1);
    (0..length).map(|_| numbers.next() as u8).collect()
}

/// A seeded xorshift: the same numbers in each run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
