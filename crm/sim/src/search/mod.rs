//! An exhaustive search with small bounds over the real core: every placement of up to so many
//! faults at every event of a story, on the simulator's own machines, disks, network and devices and
//! under its own promises, without anything left to chance.

mod explore;
pub mod layouts;
mod same;
mod story;
mod twist;

pub use explore::{Bounds, Cost, Found, Path, explore, replay};
pub use story::{STORIES, Story};
pub use twist::{Menu, Twist};
