//! The lines of an `authkeys` file, as Heartbeat wrote them: comments,
//! `auth N`, and `N METHOD [KEY]`.

use std::fmt;

use crate::{authkeys::MAX_KEYS, base64::Base64Error, import::Method, secret::Secret};

/// The number of a key in the key file, 1 to 255; 0 is no key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(pub u8);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is wrong with a key file. Never repeats a text that may be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileProblem {
    /// A method of Heartbeat's that is no longer used for packets.
    #[error("expected method `aead`, found `{}`, which is {} and is not taken over from Heartbeat", .0.name(), .0.judgement())]
    OldMethod(Method),
    /// `auth` and the number run together, or it is not a number from 1 to 255.
    #[error("expected `auth N` with a space and a number from 1 to 255, found `{0}`")]
    AuthForm(String),
    /// Two `auth` lines.
    #[error("expected one line `auth N`, found a second one; the first is line {0}")]
    AuthTwice(usize),
    /// `auth N`, but there is no key N (HB3).
    #[error("`auth {id}` names a key that is missing: expected a line `{id} aead KEY`, found keys {}", list(.present))]
    SendingKeyMissing {
        /// The number that `auth` names.
        id: KeyId,
        /// The numbers that are there.
        present: Vec<KeyId>,
    },
    /// No `auth` line.
    #[error("expected a line `auth N` that names the key for sending, found none")]
    NoAuth,
    /// A line that starts with neither `auth` nor a number.
    #[error("expected `auth N` or `N aead KEY` with N from 1 to 255, found {0}")]
    Form(String),
    /// A number with nothing behind it.
    #[error("expected `{0} aead KEY`, found only the number")]
    NoMethod(KeyId),
    /// A method nobody knows.
    #[error("expected method `aead`, found {0}")]
    UnknownMethod(String),
    /// A method that needs a key, and no key.
    #[error("expected a key after `{}`, found the end of the line", .0.name())]
    NoKey(Method),
    /// More words than there should be.
    #[error("expected the end of the line after the key, found more text")]
    Trailing,
    /// Two keys with one number.
    #[error("key {id} is there twice; the first is line {first}")]
    KeyTwice {
        /// The number.
        id: KeyId,
        /// The line of the first one.
        first: usize,
    },
    /// Two numbers for the same key: a rotation between them would change nothing.
    #[error("key {id} is the same key as {other}")]
    SameKey {
        /// The later number.
        id: KeyId,
        /// The earlier number.
        other: KeyId,
    },
    /// Not Base64.
    #[error(transparent)]
    Base64(Base64Error),
    /// The wrong number of bytes.
    #[error(
        "expected a key of {length} bytes (44 characters of Base64), found {0} bytes", length = Secret::LENGTH
    )]
    KeyLength(usize),
    /// One byte repeated: not a random key.
    #[error("expected a random key, found one byte repeated {length} times", length = Secret::LENGTH)]
    NotRandom,
    /// More keys than a file may have.
    #[error("expected at most {MAX_KEYS} keys, found more")]
    TooManyKeys,
}

impl KeyFileProblem {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            KeyFileProblem::OldMethod(_) => {
                "move the file away, make a new key with `crm keygen` and copy that file to every node"
            }
            KeyFileProblem::AuthForm(_) | KeyFileProblem::AuthTwice(_) => {
                "write one line such as `auth 1`"
            }
            KeyFileProblem::SendingKeyMissing { .. } | KeyFileProblem::NoAuth => {
                "name a key that every node already has, or copy the file again from another node"
            }
            KeyFileProblem::KeyTwice { .. } | KeyFileProblem::SameKey { .. } => {
                "remove one of the two lines"
            }
            KeyFileProblem::Base64(_) | KeyFileProblem::KeyLength(_) => {
                "copy the file again from another node, whole; keys must be equal on all nodes"
            }
            KeyFileProblem::TooManyKeys => "drop the keys that no node sends with any more",
            KeyFileProblem::Form(_)
            | KeyFileProblem::NoMethod(_)
            | KeyFileProblem::UnknownMethod(_)
            | KeyFileProblem::NoKey(_)
            | KeyFileProblem::Trailing
            | KeyFileProblem::NotRandom => "let `crm keygen` write the file",
        }
    }
}

/// One line that says something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Statement<'a> {
    /// `auth N`
    Auth(KeyId),
    /// `N METHOD [KEY]`
    Key { id: KeyId, method: Method, key: Option<&'a str> },
}

/// Reads one line; `None` for blank lines and comments.
pub(crate) fn statement(line: &str) -> Result<Option<Statement<'_>>, KeyFileProblem> {
    let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
    let Some(first) = words.next() else { return Ok(None) };
    if let Some(glued) = first.strip_prefix("auth") {
        let number = words.next();
        return match (glued, number.and_then(key_id), words.next()) {
            ("", Some(id), None) => Ok(Some(Statement::Auth(id))),
            ("", _, _) => Err(KeyFileProblem::AuthForm(match number {
                Some(number) => format!("auth {}", short(number)),
                None => "auth".to_owned(),
            })),
            _ => Err(KeyFileProblem::AuthForm(short(first))),
        };
    }
    let id = key_id(first).ok_or_else(|| KeyFileProblem::Form(quoted(first)))?;
    let name = words.next().ok_or(KeyFileProblem::NoMethod(id))?;
    let method = Method::named(name).ok_or_else(|| KeyFileProblem::UnknownMethod(quoted(name)))?;
    let key = words.next();
    if key.is_none() && method != Method::Crc {
        return Err(KeyFileProblem::NoKey(method));
    }
    if words.next().is_some() {
        return Err(KeyFileProblem::Trailing);
    }
    Ok(Some(Statement::Key { id, method, key }))
}

fn key_id(word: &str) -> Option<KeyId> {
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    word.parse().ok().filter(|id| *id > 0).map(KeyId)
}

/// A word for an error message. A long one may be a key in the wrong place.
fn short(word: &str) -> String {
    if word.len() <= MAX_SHOWN && word.chars().all(|c| c.is_ascii_graphic()) {
        word.to_owned()
    } else {
        format!("<{} characters>", word.chars().count())
    }
}

fn quoted(word: &str) -> String {
    format!("`{}`", short(word))
}

fn list(ids: &[KeyId]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Longest word that an error message repeats.
const MAX_SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_heartbeats_forms() {
        assert_eq!(statement("  # a comment"), Ok(None));
        assert_eq!(statement("\t "), Ok(None));
        assert_eq!(statement("auth 1"), Ok(Some(Statement::Auth(KeyId(1)))));
        assert_eq!(statement("\tauth\t255 # x"), Ok(Some(Statement::Auth(KeyId(255)))));
        let key = |id, method, key| Ok(Some(Statement::Key { id: KeyId(id), method, key }));
        assert_eq!(statement("1 crc"), key(1, Method::Crc, None));
        assert_eq!(statement("1 sha1 HI!"), key(1, Method::Sha1, Some("HI!")));
        assert_eq!(statement("3 md5 Hello!#x # y"), key(3, Method::Md5, Some("Hello!#x")));
        assert_eq!(statement("2 aead QQ=="), key(2, Method::Aead, Some("QQ==")));
    }

    #[test]
    fn hb3_malformed_lines_say_what_was_expected_and_found() {
        let text = |line: &str| statement(line).unwrap_err().to_string();
        assert_eq!(
            text("auth3"),
            "expected `auth N` with a space and a number from 1 to 255, found `auth3`"
        );
        assert!(text("auth").ends_with("found `auth`"));
        assert!(text("auth 0").ends_with("found `auth 0`"));
        assert!(text("auth +1").ends_with("found `auth +1`"));
        assert!(text("auth 256").ends_with("found `auth 256`"));
        assert!(text("autho 2").ends_with("found `autho`"));
        assert_eq!(text("1"), "expected `1 aead KEY`, found only the number");
        assert_eq!(text("1 sha2 x"), "expected method `aead`, found `sha2`");
        assert_eq!(text("1 md5"), "expected a key after `md5`, found the end of the line");
        assert_eq!(
            text("1 aead x y"),
            "expected the end of the line after the key, found more text"
        );
        assert!(text("keys").ends_with("found `keys`"));
    }

    #[test]
    fn a_key_in_the_wrong_place_is_not_repeated() {
        let key = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=";
        for line in
            [key.to_owned(), format!("1 {key}"), format!("auth {key}"), format!("auth{key}")]
        {
            let text = statement(&line).unwrap_err().to_string();
            assert!(!text.contains("c2Vj"), "{text}");
            assert!(text.contains("characters>"), "{text}");
        }
    }
}
