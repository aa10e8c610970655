//! Virtual machines: the laboratory's own tests, then the product in it. `tests/run machines` prepares what
//! they need and runs them.

#[path = "machines/debian.rs"]
mod debian;
#[path = "machines/drbd.rs"]
mod drbd;
#[path = "machines/failover.rs"]
mod failover;
#[path = "machines/laboratory.rs"]
mod laboratory;
#[path = "machines/light.rs"]
mod light;
#[path = "machines/pair.rs"]
mod pair;
#[path = "machines/takeover.rs"]
mod takeover;
#[path = "machines/watchdog.rs"]
mod watchdog;
