//! Real daemons on nodes that are namespaces of this machine. Needs root.

mod namespaces {
    mod support;
    mod takeover;
}
