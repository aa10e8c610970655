//! The key file `authkeys`: which key seals, and which keys open.
//!
//! ```text
//! # comment
//! auth 2
//! 1 aead BASE64-OF-32-BYTES
//! 2 aead BASE64-OF-32-BYTES
//! ```
//!
//! `auth N` names the key for sending; all keys are accepted for receiving, so
//! keys can be changed one node at a time without losing a packet.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::{
    base64,
    import::Method,
    keyfile::{KeyFileProblem, KeyId, Statement, statement},
    secret::Secret,
};

/// The keys of a cluster, as read from the key file.
#[derive(Debug, Clone)]
pub struct AuthKeys {
    sending: AuthKey,
    keys: Vec<AuthKey>,
}

impl AuthKeys {
    /// Reads the text of a key file; `file` is its name, for errors.
    ///
    /// # Errors
    /// [`AuthKeysError`] with file, line, what was expected and what was found
    /// (HB3). No error text repeats a key.
    pub fn parse(file: &str, text: &str) -> Result<AuthKeys, AuthKeysError> {
        let mut lines: Vec<(usize, AuthKey)> = Vec::new();
        let mut auth: Option<(usize, KeyId)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let at_line = |problem| AuthKeysError::new(file, Some(number), problem);
            match statement(line).map_err(at_line)? {
                None => {}
                Some(Statement::Auth(id)) => match auth {
                    Some((first, _)) => return Err(at_line(KeyFileProblem::AuthTwice(first))),
                    None => auth = Some((number, id)),
                },
                Some(Statement::Key { id, method: Method::Aead, key }) => {
                    let key = key.ok_or(KeyFileProblem::NoKey(Method::Aead)).map_err(at_line)?;
                    let key = AuthKey { id, secret: secret(key).map_err(at_line)? };
                    check_distinct(&lines, &key).map_err(at_line)?;
                    lines.push((number, key));
                }
                Some(Statement::Key { method, .. }) => {
                    return Err(at_line(KeyFileProblem::OldMethod(method)));
                }
            }
        }
        let keys: Vec<AuthKey> = lines.into_iter().map(|(_, key)| key).collect();
        let (line, id) = auth.ok_or(AuthKeysError::new(file, None, KeyFileProblem::NoAuth))?;
        match keys.iter().find(|key| key.id == id).cloned() {
            Some(sending) => Ok(AuthKeys { sending, keys }),
            None => {
                let present = keys.iter().map(|key| key.id).collect();
                let problem = KeyFileProblem::SendingKeyMissing { id, present };
                Err(AuthKeysError::new(file, Some(line), problem))
            }
        }
    }

    /// The key that seals what this node sends.
    pub fn sending(&self) -> &AuthKey {
        &self.sending
    }

    /// Every key that may open what others send, in the order of the file.
    pub fn keys(&self) -> &[AuthKey] {
        &self.keys
    }

    /// The key of this number, if the file has it.
    pub fn find(&self, id: KeyId) -> Option<&AuthKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// One numbered key.
#[derive(Debug, Clone)]
pub struct AuthKey {
    id: KeyId,
    secret: Secret,
}

impl AuthKey {
    /// Its number in the file.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key itself; see [`Secret::fingerprint`] to compare without showing.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// A key file that cannot be used: where, what was expected and found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthKeysError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, counted from 1, unless the problem is of the whole file.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: KeyFileProblem,
}

impl AuthKeysError {
    pub(crate) fn new(file: &str, line: Option<usize>, problem: KeyFileProblem) -> AuthKeysError {
        AuthKeysError { file: file.to_owned(), line, problem }
    }
}

impl fmt::Display for AuthKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}\nhint: {}", self.problem, self.problem.hint())
    }
}

impl std::error::Error for AuthKeysError {}

/// A key file that others than its owner may touch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file}: expected mode 0600, found {mode:04o}: group or others could use the keys\nhint: chmod 600 {file}"
)]
pub struct ModeError {
    /// The file, as the caller named it.
    pub file: String,
    /// Its permission bits.
    pub mode: u32,
}

/// Refuses a key file whose mode gives group or others any right (HB2).
///
/// `mode` is `st_mode`; the caller takes it from the open descriptor that it
/// then reads, so that the file checked is the file used.
///
/// # Errors
/// [`ModeError`] names the file and its mode.
pub fn check_mode(file: &str, mode: u32) -> Result<(), ModeError> {
    if mode & 0o077 != 0 {
        return Err(ModeError { file: file.to_owned(), mode: mode & 0o7777 });
    }
    Ok(())
}

/// The text of a new key file with one key, from 32 bytes of the system's
/// random generator (which this wipes).
pub fn generate(mut random: [u8; Secret::LENGTH]) -> Zeroizing<String> {
    let line = key_line(KeyId(1), &mut random);
    let mut text = Zeroizing::new(String::with_capacity(HEAD.len() + line.len()));
    text.push_str(HEAD);
    text.push_str(&line);
    text
}

/// `N aead KEY` and the end of the line; wipes `random`.
pub(crate) fn key_line(id: KeyId, random: &mut [u8; Secret::LENGTH]) -> Zeroizing<String> {
    let key = base64::encode(random);
    random.zeroize();
    let mut line = Zeroizing::new(String::with_capacity(key.len() + 16));
    line.push_str(&id.to_string());
    line.push_str(" aead ");
    line.push_str(&key);
    line.push('\n');
    line
}

fn secret(text: &str) -> Result<Secret, KeyFileProblem> {
    let bytes = base64::decode(text).map_err(KeyFileProblem::Base64)?;
    let wrong_length = |_| KeyFileProblem::KeyLength(bytes.len());
    let mut key: [u8; Secret::LENGTH] = bytes.as_slice().try_into().map_err(wrong_length)?;
    if key.iter().all(|byte| *byte == key[0]) {
        return Err(KeyFileProblem::NotRandom);
    }
    Ok(Secret::new(&mut key))
}

fn check_distinct(lines: &[(usize, AuthKey)], key: &AuthKey) -> Result<(), KeyFileProblem> {
    let id = key.id;
    for (first, earlier) in lines {
        if earlier.id == id {
            return Err(KeyFileProblem::KeyTwice { id, first: *first });
        }
        if earlier.secret.bytes() == key.secret.bytes() {
            return Err(KeyFileProblem::SameKey { id, other: earlier.id });
        }
    }
    if lines.len() >= MAX_KEYS {
        return Err(KeyFileProblem::TooManyKeys);
    }
    Ok(())
}

/// Keys in one file; a rotation needs two.
pub const MAX_KEYS: usize = 16;

const HEAD: &str = "\
# Keys of the cluster; the same file on every node, mode 0600.
# `auth N` names the key for sending. All keys are accepted for receiving.
# Change them with `crm keygen --add`, `--send-with`, `--drop`, never by hand on one node only.
auth 1
";

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn random(start: u8) -> [u8; 32] {
        std::array::from_fn(|i| start.wrapping_add(i as u8))
    }

    fn error(text: &str) -> String {
        AuthKeys::parse("/etc/crm/authkeys", text).unwrap_err().to_string()
    }

    #[test]
    fn a_generated_file_reads_back() {
        let text = generate(random(0));
        let keys = AuthKeys::parse("authkeys", &text).unwrap();
        assert_eq!(keys.sending().id(), KeyId(1));
        assert_eq!(keys.keys().len(), 1);
        assert_eq!(keys.sending().secret().bytes(), &random(0));
        assert!(text.contains(ONE));
    }

    #[test]
    fn debug_never_shows_a_key() {
        let keys = AuthKeys::parse("authkeys", &generate(random(0))).unwrap();
        let shown = format!("{keys:?}");
        assert!(shown.contains("Secret(hidden)"));
        assert!(!shown.contains(&ONE[..8]) && !shown.contains("1, 2, 3"), "{shown}");
    }

    #[test]
    fn hb2_any_right_of_group_or_others_is_refused() {
        for good in [0o600, 0o400, 0o100600, 0o700] {
            assert_eq!(check_mode("k", good), Ok(()));
        }
        for bit in [0o040, 0o020, 0o010, 0o004, 0o002, 0o001] {
            assert!(check_mode("k", 0o600 | bit).is_err(), "{bit:o}");
        }
        assert_eq!(
            check_mode("/etc/crm/authkeys", 0o100644).unwrap_err().to_string(),
            "/etc/crm/authkeys: expected mode 0600, found 0644: group or others could use the keys\n\
             hint: chmod 600 /etc/crm/authkeys"
        );
    }

    #[test]
    fn hb3_auth_that_names_a_missing_key_is_refused_with_its_line() {
        let text = format!("# keys\nauth 3\n1 aead {ONE}\n");
        assert_eq!(
            error(&text),
            "/etc/crm/authkeys:2: `auth 3` names a key that is missing: expected a line \
             `3 aead KEY`, found keys 1\nhint: name a key that every node already has, or copy \
             the file again from another node"
        );
        assert!(error("auth 1\n").contains("authkeys:1: `auth 1`"));
        assert!(error("auth 1\n").contains("found keys none"));
    }

    #[test]
    fn hb3_auth3_in_one_word_is_refused_with_its_line() {
        assert!(error("\nauth3\n").starts_with("/etc/crm/authkeys:2: expected `auth N`"));
    }

    #[test]
    fn hb3_old_methods_are_recognised_and_refused() {
        for (line, judgement) in [("1 crc", "weak"), ("1 md5 HI!", "weak"), ("1 sha1 HI!", "old")] {
            let text = error(&format!("auth 1\n{line}\n"));
            assert!(text.contains("authkeys:2:") && text.contains(judgement), "{text}");
            assert!(text.contains("crm keygen"), "{text}");
            assert!(!text.contains("HI!"), "{text}");
        }
    }

    #[test]
    fn refuses_doubtful_files() {
        let two = base64::encode(&random(1));
        assert!(error("").contains("authkeys: expected a line `auth N`"));
        assert!(error("auth 1\nauth 1\n").contains(":2: expected one line `auth N`"));
        assert!(error(&format!("1 aead {ONE}\n1 aead {}\n", two.as_str())).contains("there twice"));
        assert!(error(&format!("1 aead {ONE}\n2 aead {ONE}\n")).contains("same key as 1"));
        assert!(error("1 aead QUJD\n").contains("found 3 bytes"));
        assert!(error("1 aead QUJ\n").contains("multiple of 4"));
        let zeros = base64::encode(&[0; 32]);
        assert!(error(&format!("1 aead {}\n", zeros.as_str())).contains("random key"));
        let many: String = (1..=17u8)
            .map(|id| format!("{id} aead {}\n", base64::encode(&random(id)).as_str()))
            .collect();
        assert!(error(&many).contains(":17: expected at most 16 keys"));
    }

    #[test]
    fn reading_never_panics_and_never_repeats_long_words() {
        let mut state = 0x1234_5678_9abc_def0_u64;
        let pieces = ["auth", "1", "2", "aead", "sha1", ONE, "\n", " ", "#", "\u{e9}", "=", "\0"];
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            if let Err(error) = AuthKeys::parse("f", &text) {
                assert!(!error.to_string().contains("AAECAwQF"), "{error}");
            }
        }
    }
}
