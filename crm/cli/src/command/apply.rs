//! `crm apply`: check, show what would change, ask, commit to all nodes or to none.

use super::change::agreed;
use crate::args::{Apply, Place};
use crate::output::{Failure, Output, Tone, read_file, say};
use crate::session::Session;
use crm_api::Exit;
use crm_core::digest::digest;
use crm_core::operator::Command;
use std::path::PathBuf;

pub(crate) fn run(place: &Place, args: Apply, output: &mut Output) -> Result<Exit, Failure> {
    let path: PathBuf = match (&args.file, args.rollback) {
        (_, true) => place.previous_cluster_file(),
        (Some(file), false) => file.clone(),
        (None, false) => place.cluster_file(),
    };
    let text = read_file(&path)?;
    let checked = super::check::check(&path, &text);
    for diagnostic in &checked.diagnostics {
        say(diagnostic.render(false));
    }
    let Some(new) = checked.cluster else {
        return Err(Failure::refused(
            format!("{} is not a configuration that can be applied", path.display()),
            "nothing was changed",
        ));
    };
    let mut session = Session::open(place)?;
    let in_force = session.config()?.ok_or_else(|| {
        Failure::new(Exit::NoQuorum, "this node knows no configuration yet", "it has not joined")
    })?;
    if in_force == text {
        output.line("nothing to change: this configuration is in force")?;
        return Ok(Exit::Done);
    }
    let old = crm_config::parse(&in_force).map_err(|error| {
        Failure::failed(format!(
            "the configuration in force is not understood: {}",
            error.one_line()
        ))
    })?;
    for change in crm_config::describe_change(&old, &new) {
        output.line(format!("{} {change}", output.tone(Tone::Warn, "*")))?;
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    if !args.yes && !agreed("apply this to every node?")? {
        return Err(Failure::refused("not confirmed", "nothing was changed"));
    }
    let base = Some(digest(in_force.as_bytes()));
    let said = session.change(Command::Apply { text, base })?;
    // The way back. The other nodes keep theirs when the daemon rewrites their file; here the file
    // may be the very one that was applied.
    let previous = place.previous_cluster_file();
    if let Err(error) = std::fs::write(&previous, &in_force) {
        say(format!(
            "warning: {} cannot be written, so --rollback will not work here: {error}",
            previous.display()
        ));
    }
    output.line(said)?;
    Ok(Exit::Done)
}
