//! Real daemons on nodes that are namespaces of this machine. Needs root.

mod namespaces {
    mod apply;
    mod bmc;
    mod both_ha;
    mod database;
    mod frozen;
    mod intruder;
    mod misbehaviour;
    mod quorum;
    mod repair;
    mod soak;
    mod support;
    mod takeover;
    mod witness;
}
