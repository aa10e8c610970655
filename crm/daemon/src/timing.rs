//! What the daemon waits for, one debug line at each begin and end: `CRM_LOG_FILTER=info,crm_timing=debug`
//! shows where the time of a takeover goes. Silent otherwise.

use std::fmt;

/// One moment, with the microseconds of the log's own time stamp.
pub(crate) fn mark(what: fmt::Arguments<'_>) {
    tracing::debug!(target: "crm_timing", "{what}");
}
