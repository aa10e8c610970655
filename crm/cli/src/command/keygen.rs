//! `crm keygen`: the key file, and its rotation in three steps that lose no packet:
//! `--add` on every node, then `--send-with KEY` on every node, then `--drop KEY` on every node.

use crate::args::{Keygen, Place};
use crate::output::{Failure, Output, read_file};
use crm_api::Exit;
use crm_wire::KeyId;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(crate) fn run(place: &Place, args: Keygen, output: &mut Output) -> Result<Exit, Failure> {
    let path = args.file.clone().unwrap_or_else(|| place.authkeys());
    let name = path.display().to_string();
    if !args.add && args.send_with.is_none() && args.drop.is_none() {
        create(&path)?;
        output.line(format!("wrote {name}; copy it to every node, mode 0600"))?;
        return Ok(Exit::Done);
    }
    let mode = std::fs::metadata(&path).map(|file| file.mode())?;
    crm_wire::check_mode(&name, mode).map_err(|error| Failure::refused(error.to_string(), ""))?;
    let text = read_file(&path)?;
    let refused = |error: crm_wire::RotationError| Failure::refused(error.to_string(), "");
    let (changed, next) = if args.add {
        let (free, text) = crm_wire::add_key(&name, &text, random()?).map_err(refused)?;
        (
            text,
            format!(
                "key {free} is accepted from now on. Copy this file to every node, then run `crm keygen --send-with {free}` on each"
            ),
        )
    } else if let Some(key) = args.send_with {
        let key = KeyId(key);
        let text = crm_wire::switch_sending(&name, &text, key).map_err(refused)?;
        (
            text,
            format!(
                "this node sends with key {key}. When every node does, run `crm keygen --drop OLD` on each"
            ),
        )
    } else {
        let key = KeyId(args.drop.unwrap_or_default());
        let text = crm_wire::drop_key(&name, &text, key).map_err(refused)?;
        (text, format!("key {key} is no longer accepted here"))
    };
    replace(&path, changed.as_bytes())?;
    output.line(next)?;
    Ok(Exit::Done)
}

/// Makes a new key file; never overwrites one.
pub(crate) fn create(path: &Path) -> Result<(), Failure> {
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(Failure::refused(
            format!("{} exists already", path.display()),
            "to change keys on a live cluster: `crm keygen --add`",
        ));
    }
    replace(path, crm_wire::generate(random()?).as_bytes())
}

/// Replaces the file in one step: neither a daemon nor a power cut finds half of it.
fn replace(path: &Path, text: &[u8]) -> Result<(), Failure> {
    crm_daemon::replace_file(path, text, 0o600)
        .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))
}

pub(crate) fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| Failure::failed("the kernel gave no random bytes"))?;
    Ok(bytes)
}
