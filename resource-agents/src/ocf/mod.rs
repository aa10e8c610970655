//! OCF agents (`/usr/lib/ocf/resource.d/PROVIDER/NAME`), run as they are.

mod environment;
mod metadata;
mod xml;

pub use environment::{OCF_ROOT, agent_path, environment};
pub use metadata::parse_meta_data;
