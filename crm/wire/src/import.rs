//! Reads the `authkeys` of Heartbeat, for the importer only.
//!
//! Nothing of its keys is kept: crc, md5 and sha1 cannot seal our packets, so
//! an import makes a new key. What is reported is what the administrator had.

use crate::{
    authkeys::AuthKeysError,
    keyfile::{KeyFileProblem, KeyId, Statement, statement},
};

/// How a key was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// ChaCha20-Poly1305: the only one used for packets.
    Aead,
    /// A check sum: no protection at all.
    Crc,
    /// MD5 with a key.
    Md5,
    /// SHA-1 with a key.
    Sha1,
}

impl Method {
    /// Its word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Method::Aead => "aead",
            Method::Crc => "crc",
            Method::Md5 => "md5",
            Method::Sha1 => "sha1",
        }
    }

    /// Whether it protected anything, in a few words.
    pub fn judgement(self) -> &'static str {
        match self {
            Method::Aead => "current",
            Method::Crc => "weak (a check sum without a key: anyone can forge packets)",
            Method::Md5 => "weak (MD5 is broken)",
            Method::Sha1 => "old (no protection against replayed packets, nothing is encrypted)",
        }
    }

    pub(crate) fn named(word: &str) -> Option<Method> {
        [Method::Aead, Method::Crc, Method::Md5, Method::Sha1]
            .into_iter()
            .find(|method| method.name() == word)
    }
}

/// An old key file, without its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatKeys {
    /// The key that `auth N` names.
    pub sending: KeyId,
    /// Every key, in the order of the file.
    pub keys: Vec<HeartbeatKey>,
    /// What the administrator should know, in the order of the file.
    pub warnings: Vec<ImportWarning>,
}

/// One key of an old file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatKey {
    /// Its number.
    pub id: KeyId,
    /// How it was used.
    pub method: Method,
    /// Its line, counted from 1.
    pub line: usize,
}

/// Something understood that the administrator should still know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportWarning {
    /// The line, counted from 1.
    pub line: usize,
    /// One sentence.
    pub text: String,
}

/// Reads the text of Heartbeat's key file; `file` is its name, for errors.
///
/// # Errors
/// The same errors as for our own file (HB3): a missing key, `auth3`, an
/// unknown method, each with its line.
pub fn import_authkeys(file: &str, text: &str) -> Result<HeartbeatKeys, AuthKeysError> {
    let mut keys: Vec<HeartbeatKey> = Vec::new();
    let mut warnings = Vec::new();
    let mut auth: Option<(usize, KeyId)> = None;
    for (line, content) in (1..).zip(text.lines()) {
        let at_line = |problem| AuthKeysError::new(file, Some(line), problem);
        match statement(content).map_err(at_line)? {
            None => {}
            Some(Statement::Auth(id)) => match auth {
                Some((first, _)) => return Err(at_line(KeyFileProblem::AuthTwice(first))),
                None => auth = Some((line, id)),
            },
            Some(Statement::Key { id, method, .. }) => {
                if let Some(earlier) = keys.iter().find(|key| key.id == id) {
                    let first = earlier.line;
                    return Err(at_line(KeyFileProblem::KeyTwice { id, first }));
                }
                warnings.extend(warning(line, id, method));
                keys.push(HeartbeatKey { id, method, line });
            }
        }
    }
    let (line, sending) = auth.ok_or(AuthKeysError::new(file, None, KeyFileProblem::NoAuth))?;
    if !keys.iter().any(|key| key.id == sending) {
        let present = keys.iter().map(|key| key.id).collect();
        let problem = KeyFileProblem::SendingKeyMissing { id: sending, present };
        return Err(AuthKeysError::new(file, Some(line), problem));
    }
    Ok(HeartbeatKeys { sending, keys, warnings })
}

fn warning(line: usize, id: KeyId, method: Method) -> Option<ImportWarning> {
    if method == Method::Aead {
        return None;
    }
    let (name, judgement) = (method.name(), method.judgement());
    let text = format!("key {id}: {name} is {judgement}; a new key replaces it");
    Some(ImportWarning { line, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hb3_the_file_of_the_old_pair_is_understood() {
        let keys = import_authkeys("authkeys", "auth 1\n1 sha1 HI!\n").unwrap();
        assert_eq!(keys.sending, KeyId(1));
        assert_eq!(keys.keys, [HeartbeatKey { id: KeyId(1), method: Method::Sha1, line: 2 }]);
        assert_eq!(keys.warnings.len(), 1);
        assert!(!format!("{keys:?}").contains("HI!"));
    }

    #[test]
    fn hb3_crc_and_md5_are_flagged_weak() {
        let text = "#\tAuthentication file\nauth 1\n1 crc\n2 sha1 HI!\n3 md5 Hello!\n";
        let keys = import_authkeys("authkeys", text).unwrap();
        let weak: Vec<usize> = keys
            .warnings
            .iter()
            .filter(|warning| warning.text.contains("weak"))
            .map(|warning| warning.line)
            .collect();
        assert_eq!(weak, [3, 5]);
        assert_eq!(keys.keys.len(), 3);
    }

    #[test]
    fn hb3_broken_files_are_refused_with_file_and_line() {
        let error = |text| import_authkeys("old/authkeys", text).unwrap_err().to_string();
        assert!(error("auth3\n3 crc\n").starts_with("old/authkeys:1: expected `auth N`"));
        assert!(error("1 crc\nauth 2\n").starts_with("old/authkeys:2: `auth 2` names a key"));
        assert!(error("1 crc\n").starts_with("old/authkeys: expected a line `auth N`"));
        assert!(
            error("auth 1\n1 crc\n1 crc\n").starts_with("old/authkeys:3: key 1 is there twice")
        );
        assert!(error("auth 1\n1 sha256 x\n").starts_with("old/authkeys:2: expected method"));
    }
}
