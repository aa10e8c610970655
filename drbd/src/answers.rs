//! The short answers of `drbdadm role`, `dstate`, `cstate` and `get-gi`'s siblings: one line for
//! each volume or connection.

use crate::Unreadable;
use crate::state::{Connection, Disk, Replication, Role};
use crate::vocabulary::split_connection;

/// `Primary/Unknown`, or with 9 the local role alone.
///
/// # Errors
/// Nothing, several lines, or the tool's message instead of a word.
pub fn role(text: &str) -> Result<(Role, Option<Role>), Unreadable> {
    let unreadable = || Unreadable::new("`ROLE` or `ROLE/ROLE` from `drbdadm role`", text);
    let [line] = lines(text)[..] else { return Err(unreadable()) };
    let mut words = words(line).ok_or_else(unreadable)?.into_iter();
    let here = Role::read(words.next().unwrap_or_default());
    Ok((here, words.next().map(Role::read)))
}

/// For each volume: this node's copy and those of the peers.
///
/// # Errors
/// Nothing, or the tool's message instead of words.
pub fn dstate(text: &str) -> Result<Vec<(Disk, Vec<Disk>)>, Unreadable> {
    let unreadable = || Unreadable::new("`DISK/DISK` from `drbdadm dstate`", text);
    let volume = |line: &str| {
        let mut words = words(line)?.into_iter();
        let here = Disk::read(words.next()?);
        Some((here, words.map(Disk::read).collect()))
    };
    let volumes: Option<Vec<_>> = lines(text).into_iter().map(volume).collect();
    volumes.filter(|volumes| !volumes.is_empty()).ok_or_else(unreadable)
}

/// For each connection (9) or volume (8.x) one word.
///
/// # Errors
/// Nothing, or the tool's message instead of a word.
pub fn cstate(text: &str) -> Result<Vec<(Connection, Replication)>, Unreadable> {
    let unreadable = || Unreadable::new("a word from `drbdadm cstate`", text);
    let one = |line| words(line).filter(|words| words.len() == 1).map(|w| split_connection(w[0]));
    let all: Option<Vec<_>> = lines(text).into_iter().map(one).collect();
    all.filter(|all| !all.is_empty()).ok_or_else(unreadable)
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MOST_LINES).collect()
}

/// Words between slashes; a message has blanks and colons.
fn words(line: &str) -> Option<Vec<&str>> {
    let is_word = |word: &&str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let words: Vec<&str> = line.split('/').collect();
    words.iter().all(is_word).then_some(words)
}

const MOST_LINES: usize = 4096;
