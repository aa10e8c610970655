//! The agents of servers, with the real servers of Debian, in namespaces of their own.
//!
//! They need packages that the unit tests do not install, so they run in the level `namespaces` only:
//! `cargo test -p crm-agents --test servers -- --ignored`.

#[path = "../common/mod.rs"]
mod common;

mod apache;
mod mysql;
mod samba;
mod systemd;
