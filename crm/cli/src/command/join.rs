//! `crm join`: notes whom to ask; the daemon does the rest and needs only the keys.

use crate::args::{Join, Place};
use crate::output::{Failure, Output};
use crm_api::Exit;

pub(crate) fn run(place: &Place, args: Join, output: &mut Output) -> Result<Exit, Failure> {
    let keys = place.authkeys();
    let name = keys.display().to_string();
    std::fs::metadata(&keys).map_err(|error| {
        Failure::refused(
            format!("{name}: {error}"),
            "copy the key file of the cluster here first, mode 0600",
        )
    })?;
    crm_daemon::keep_keys(&keys).map_err(split)?;
    crm_daemon::note_contact(&place.state, &args.contact).map_err(split)?;
    output.line(format!(
        "this node will ask {} for the cluster. Next: `systemctl enable --now crmd`, then `crm status`",
        args.contact
    ))?;
    Ok(Exit::Done)
}

/// A text of the form `reason\nhint: what to do`.
pub(crate) fn split(text: String) -> Failure {
    match text.split_once("\nhint: ") {
        Some((reason, hint)) => Failure::refused(reason, hint),
        None => Failure::refused(text, ""),
    }
}
