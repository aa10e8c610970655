//! Virtual machines: the laboratory's own tests, then the product in it. `tests/run machines` prepares what
//! they need and runs them.

#[path = "machines/boot.rs"]
mod boot;
#[path = "machines/both_ha.rs"]
mod both_ha;
#[path = "machines/debian.rs"]
mod debian;
#[path = "machines/disk.rs"]
mod disk;
#[path = "machines/drbd.rs"]
mod drbd;
#[path = "machines/failover.rs"]
mod failover;
#[path = "machines/files.rs"]
mod files;
#[path = "machines/fork_bomb.rs"]
mod fork_bomb;
#[path = "machines/hung.rs"]
mod hung;
#[path = "machines/laboratory.rs"]
mod laboratory;
#[path = "machines/layout.rs"]
mod layout;
#[path = "machines/light.rs"]
mod light;
#[path = "machines/pair.rs"]
mod pair;
#[path = "machines/shop.rs"]
mod shop;
#[path = "machines/takeover.rs"]
mod takeover;
#[path = "machines/troubles.rs"]
mod troubles;
#[path = "machines/watchdog.rs"]
mod watchdog;
#[path = "machines/web.rs"]
mod web;
#[path = "machines/witness.rs"]
mod witness;
