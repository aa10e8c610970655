//! Changing keys on a running cluster, as edits of the key file's text.
//!
//! 1. [`add_key`], copy the file to every node, reload every daemon;
//! 2. [`switch_sending`], copy, reload;
//! 3. [`drop_key`] of the old one, copy, reload.
//!
//! After each step every node accepts what every other may send, so nothing is
//! lost between two reloads. Comments and order of the file are kept.

use zeroize::Zeroizing;

use crate::{
    authkeys::{AuthKeys, AuthKeysError, MAX_KEYS, key_line},
    keyfile::{KeyId, Statement, statement},
    secret::Secret,
};

/// Why a key file was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// The file cannot be used as it is, or the result could not.
    #[error(transparent)]
    File(#[from] AuthKeysError),
    /// No room for one more key.
    #[error(
        "{file}: expected fewer than {MAX_KEYS} keys, found {MAX_KEYS}\nhint: drop the keys that no node sends with any more"
    )]
    Full {
        /// The file, as the caller named it.
        file: String,
    },
    /// No such key.
    #[error(
        "{file}: expected a key {id}, found none of that number\nhint: the file was not changed; the number is the first word of each key line"
    )]
    NoSuchKey {
        /// The file, as the caller named it.
        file: String,
        /// The number asked for.
        id: KeyId,
    },
    /// The key is the one for sending.
    #[error(
        "{file}: key {id} is the one for sending and cannot be dropped\nhint: switch to another key first, on every node"
    )]
    Sending {
        /// The file, as the caller named it.
        file: String,
        /// The number asked for.
        id: KeyId,
    },
}

/// Adds a key made of `random` (which this wipes) and tells its number. The
/// key for sending stays.
///
/// # Errors
/// [`RotationError`]: the file is not valid, or full.
pub fn add_key(
    file: &str,
    text: &str,
    mut random: [u8; Secret::LENGTH],
) -> Result<(KeyId, Zeroizing<String>), RotationError> {
    let keys = AuthKeys::parse(file, text)?;
    let full = || RotationError::Full { file: file.to_owned() };
    if keys.keys().len() >= MAX_KEYS {
        return Err(full());
    }
    // Upwards first: a number that was just dropped should not come back with
    // another key while some node may still have the old file.
    let highest = keys.keys().iter().map(|key| key.id().0).max().unwrap_or(0);
    let mut candidates = (highest..=u8::MAX).skip(1).chain(1..=u8::MAX).map(KeyId);
    let id = candidates.find(|id| keys.find(*id).is_none()).ok_or_else(full)?;
    let line = key_line(id, &mut random);
    let mut edited = Zeroizing::new(String::with_capacity(text.len() + line.len() + 1));
    edited.push_str(text);
    if !text.ends_with('\n') {
        edited.push('\n');
    }
    edited.push_str(&line);
    AuthKeys::parse(file, &edited)?;
    Ok((id, edited))
}

/// Makes `id` the key for sending.
///
/// # Errors
/// [`RotationError`]: the file is not valid, or has no such key.
pub fn switch_sending(
    file: &str,
    text: &str,
    id: KeyId,
) -> Result<Zeroizing<String>, RotationError> {
    let keys = AuthKeys::parse(file, text)?;
    if keys.find(id).is_none() {
        return Err(RotationError::NoSuchKey { file: file.to_owned(), id });
    }
    edit(file, text, |statement| match statement {
        Statement::Auth(_) => Line::Replace(format!("auth {id}\n")),
        Statement::Key { .. } => Line::Keep,
    })
}

/// Removes a key that no node sends with any more.
///
/// # Errors
/// [`RotationError`]: the file is not valid, has no such key, or sends with it.
pub fn drop_key(file: &str, text: &str, id: KeyId) -> Result<Zeroizing<String>, RotationError> {
    let keys = AuthKeys::parse(file, text)?;
    if keys.find(id).is_none() {
        return Err(RotationError::NoSuchKey { file: file.to_owned(), id });
    }
    if keys.sending().id() == id {
        return Err(RotationError::Sending { file: file.to_owned(), id });
    }
    edit(file, text, |statement| match statement {
        Statement::Key { id: of_line, .. } if of_line == id => Line::Drop,
        Statement::Key { .. } | Statement::Auth(_) => Line::Keep,
    })
}

enum Line {
    Keep,
    Replace(String),
    Drop,
}

fn edit(
    file: &str,
    text: &str,
    decide: impl Fn(Statement<'_>) -> Line,
) -> Result<Zeroizing<String>, RotationError> {
    // `auth 255` may replace `auth 1`: the reserve keeps the text in one place.
    let mut edited = Zeroizing::new(String::with_capacity(text.len() + 16));
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let read =
            statement(line).map_err(|problem| AuthKeysError::new(file, Some(number), problem))?;
        match read.map_or(Line::Keep, &decide) {
            Line::Keep => edited.push_str(line),
            Line::Replace(new) => edited.push_str(&new),
            Line::Drop => {}
        }
    }
    AuthKeys::parse(file, &edited)?;
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authkeys::generate;

    fn random(start: u8) -> [u8; 32] {
        std::array::from_fn(|i| start.wrapping_add(i as u8))
    }

    #[test]
    fn a_rotation_goes_through_three_valid_files_and_keeps_comments() {
        let first = generate(random(0));
        let (id, both) = add_key("k", &first, random(1)).unwrap();
        assert_eq!(id, KeyId(2));
        let keys = AuthKeys::parse("k", &both).unwrap();
        assert_eq!((keys.sending().id(), keys.keys().len()), (KeyId(1), 2));

        let switched = switch_sending("k", &both, KeyId(2)).unwrap();
        let keys = AuthKeys::parse("k", &switched).unwrap();
        assert_eq!((keys.sending().id(), keys.keys().len()), (KeyId(2), 2));

        let last = drop_key("k", &switched, KeyId(1)).unwrap();
        let keys = AuthKeys::parse("k", &last).unwrap();
        assert_eq!((keys.sending().id(), keys.keys().len()), (KeyId(2), 1));
        assert_eq!(keys.sending().secret().bytes(), &random(1));
        let comments = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
        assert_eq!(comments(&last), comments(&first));
    }

    #[test]
    fn refuses_what_would_cut_the_cluster() {
        let first = generate(random(0));
        let error = drop_key("k", &first, KeyId(1)).unwrap_err();
        assert_eq!(error, RotationError::Sending { file: "k".into(), id: KeyId(1) });
        let error = drop_key("k", &first, KeyId(9)).unwrap_err();
        assert_eq!(error, RotationError::NoSuchKey { file: "k".into(), id: KeyId(9) });
        let error = switch_sending("k", &first, KeyId(9)).unwrap_err();
        assert_eq!(error, RotationError::NoSuchKey { file: "k".into(), id: KeyId(9) });
        assert!(matches!(add_key("k", &first, random(0)), Err(RotationError::File(_))));
        assert!(matches!(add_key("k", "auth 1\n1 crc\n", random(0)), Err(RotationError::File(_))));
    }

    #[test]
    fn numbers_go_up_and_then_use_the_gaps() {
        let text = generate(random(0)).replace("auth 1", "auth 255").replace("1 aead", "255 aead");
        let (id, text) = add_key("k", &text, random(1)).unwrap();
        assert_eq!(id, KeyId(1));
        let mut text = text;
        for start in 2..MAX_KEYS as u8 {
            text = add_key("k", &text, random(start)).unwrap().1;
        }
        let full = add_key("k", &text, random(99)).unwrap_err();
        assert_eq!(full, RotationError::Full { file: "k".into() });
    }

    #[test]
    fn a_last_line_without_an_end_is_completed() {
        let text = generate(random(0));
        let (_, text) = add_key("k", text.trim_end(), random(1)).unwrap();
        assert_eq!(AuthKeys::parse("k", &text).unwrap().keys().len(), 2);
    }
}
