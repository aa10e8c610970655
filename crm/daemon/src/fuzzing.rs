//! Doors to the readers of foreign bytes, for `fuzz/` only: nothing else is built with them.

use crate::executor::fuzzing as executor;
use crate::fencing::fuzzing as fencing;
use crate::store::fuzzing as store;

pub use executor::{agent_prints, agent_speaks, journal_entry};
pub use fencing::fence_input;
pub use store::{decode_state, encode_state};
