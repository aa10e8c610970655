//! Tests of the executor: single-stepped scenarios as text, and random runs against a model.

mod adoption;
mod failures;
mod order;
mod random;
mod reconfiguration;
mod script;
mod shared;
mod world;
