//! `crm-sim`: whole clusters of the real [`crm_core::Node`] on virtual time, from a seed.
//!
//! A [`plan::Plan`] says what goes wrong; a [`world::World`] carries it out on model machines,
//! disks, networks, agents and fencing devices; [`invariants`] and [`liveness`] are the promises.
//! The same plan gives the same run, event by event. Rules broken on purpose ([`broken`]) prove that
//! the promises are checked; where drawn plans do not need a rule, [`directed`] ones do.

pub mod agents;
pub mod assumptions;
pub mod broken;
pub mod campaign;
pub mod clock;
pub mod diary;
pub mod directed;
pub mod disk;
pub mod envelope;
pub mod faults;
pub mod fence;
pub mod ghost;
pub mod invariants;
pub mod layouts;
pub mod ledger;
pub mod liveness;
pub mod machine;
pub mod mutant;
pub mod network;
pub mod pause;
pub mod plan;
pub mod queue;
pub mod random;
pub mod rehearse;
pub mod report;
pub mod roles;
pub mod run;
pub mod scenario;
pub mod search;
pub mod shrink;
pub mod story;
pub mod trace;
pub mod world;

mod carry;
mod happen;
mod observe;
mod operator;
mod strike;

pub use run::{Keep, Verdict, run};
