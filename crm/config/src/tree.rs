//! The document as a tree in which every key and value knows its place in the text.

use std::ops::Range;

/// Bytes of the text, from the first to the one after the last.
pub(crate) type Place = Range<usize>;

/// One value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

/// The kinds of value that a configuration has.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing was written, or `~` or `null`.
    Empty,
    /// Text, numbers and booleans alike, exactly as written.
    Scalar(String),
    List(Vec<Tree>),
    Map(Vec<Entry>),
}

/// One `key: value`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Place,
    pub(crate) value: Tree,
}

impl Tree {
    /// What was found, in words for an error.
    pub(crate) fn found(&self) -> String {
        match &self.value {
            Value::Empty => "nothing".to_owned(),
            Value::Scalar(text) => format!("`{}`", shorten(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// `text` on one line and short enough for a message.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut short: String =
        text.chars().take(CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}
