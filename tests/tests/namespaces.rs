//! Real daemons on nodes that are namespaces of this machine. Needs root.

mod namespaces {
    mod apply;
    mod bmc;
    mod both_ha;
    mod database;
    mod device;
    mod frozen;
    mod full_disk;
    mod intruder;
    mod misbehaviour;
    mod oracle;
    mod quorum;
    mod race;
    mod repair;
    mod returns;
    mod soak;
    mod steps;
    mod stuck_disk;
    mod support;
    mod takeover;
    mod terminal;
    mod witness;
}
