//! Where log lines go, and what a panic leaves behind.

use crate::options::LogKind;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

/// Installs the subscriber and the panic hook. `CRM_LOG_FILTER` takes a filter such as
/// `info,crm_agent=debug`.
///
/// # Errors
/// One line if the journal was asked for and is not there.
pub(crate) fn install(kind: Option<LogKind>) -> Result<(), String> {
    let under_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let kind = kind.unwrap_or(if under_journal { LogKind::Journal } else { LogKind::Text });
    let filter = EnvFilter::try_from_env("CRM_LOG_FILTER")
        .unwrap_or_else(|_| EnvFilter::new("info,netlink_proto=error"));
    let registry = tracing_subscriber::registry().with(filter);
    let colour = std::io::stderr().is_terminal();
    let text = || {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false)
            .with_ansi(colour)
    };
    // A second installation in one process (tests) changes nothing.
    let _ = match kind {
        LogKind::Text => registry.with(text()).try_init(),
        LogKind::Json => registry.with(text().json()).try_init(),
        LogKind::Journal => match tracing_journald::layer() {
            Ok(layer) => registry.with(layer).try_init(),
            // Under systemd without a journal the standard error is still read by somebody.
            Err(_) if under_journal => registry.with(text()).try_init(),
            Err(error) => {
                return Err(format!(
                    "the journal cannot be reached: {error}; use --log text or --log json"
                ));
            }
        },
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic
            .payload()
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.payload().downcast_ref::<String>().cloned())
            .unwrap_or_default();
        tracing::error!(kind = "panic", "broken invariant at {place}: {text}");
        // A daemon in an unknown state must not go on in any thread.
        std::process::abort();
    }));
    Ok(())
}
