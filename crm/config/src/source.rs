//! Text to tree: the only file that names the YAML crate.
//!
//! Scalars are taken from the text as they stand, so `0644`, `1e3` and `no` stay what the admin
//! wrote. Anchors, merge keys and custom tags are refused: a configuration says each thing once.

use crate::diagnostic::Findings;
use crate::tree::{Entry, Place, Tree, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_yaml::{Error, Location, Options, Spanned};
use std::fmt;

/// Largest configuration, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most keys and values in a configuration.
pub const NODES_MAX: usize = 10_000;
/// All keys and values together, in bytes.
pub const SCALAR_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of lists and maps.
pub const DEPTH_MAX: usize = 32;

/// Reads `text`. What is wrong with it as YAML goes to `findings`; a key that is written twice is
/// reported and its first value kept, so that the rest of the file is still judged.
pub(crate) fn read(text: &str, findings: &mut Findings) -> Option<Tree> {
    if text.len() > TEXT_BYTES_MAX {
        findings
            .error(0..0, format!("the configuration has {} bytes", text.len()))
            .label(format!("at most {TEXT_BYTES_MAX} bytes are read"))
            .help("a cluster of 32 nodes needs a fraction of this; is it the right file?");
        return None;
    }
    match parse(text, DuplicateKeyPolicy::Error) {
        Ok(tree) => Some(tree),
        Err(error) => {
            report(text, &error, findings);
            if matches!(error.without_snippet(), Error::DuplicateMappingKey { .. }) {
                return parse(text, DuplicateKeyPolicy::FirstWins).ok();
            }
            None
        }
    }
}

fn parse(text: &str, duplicates: DuplicateKeyPolicy) -> Result<Tree, Error> {
    let raw: Spanned<Raw> = serde_yaml::from_str_with_options(text, options(duplicates))?;
    Ok(raw_to_tree(text, raw))
}

fn options(duplicates: DuplicateKeyPolicy) -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_events: 4 * NODES_MAX,
            max_nodes: NODES_MAX,
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_documents: 1,
            max_total_scalar_bytes: SCALAR_BYTES_MAX,
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
        },
        emit_comments: false,
        duplicate_keys: duplicates,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn report(text: &str, error: &Error, findings: &mut Findings) {
    let error = error.without_snippet();
    let at = error.location().map_or(0..0, |location| place(text, location));
    let said = error.to_string();
    let first_line = said.lines().next().unwrap_or_default();
    let (message, help) = match error {
        Error::DuplicateMappingKey { .. } => (
            "this key is written twice".to_owned(),
            "keep one of the two: only one could count, and nobody sees which",
        ),
        _ if at == (0..0) && text.trim().is_empty() => (
            "the configuration is empty".to_owned(),
            "start from cluster.yaml.example or `crm init`",
        ),
        _ => (
            format!("this is not readable as YAML: {first_line}"),
            "look for a missing colon, quote or bracket, tabs, or uneven indentation here or just above",
        ),
    };
    findings.error(at, message).help(help);
}

/// A value as the YAML crate gives it; numbers and booleans are looked up in the text later.
enum Raw {
    Empty,
    /// A plain scalar that looks like a number or a boolean.
    AsWritten,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list or a map")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Empty)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Empty)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::AsWritten)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::AsWritten)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::AsWritten)
    }
    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::AsWritten)
    }
    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::AsWritten)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::AsWritten)
    }
    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

fn raw_to_tree(text: &str, raw: Spanned<Raw>) -> Tree {
    let at = place(text, raw.defined);
    let value = match raw.value {
        Raw::Empty => Value::Empty,
        Raw::AsWritten => Value::Scalar(text.get(at.clone()).unwrap_or_default().to_owned()),
        Raw::Text(scalar) => Value::Scalar(scalar),
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| raw_to_tree(text, item)).collect())
        }
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let key = raw_to_tree(text, key);
                    Entry {
                        key: match key.value {
                            Value::Scalar(word) => word,
                            _ => text.get(key.at.clone()).unwrap_or_default().to_owned(),
                        },
                        key_at: key.at,
                        value: raw_to_tree(text, value),
                    }
                })
                .collect(),
        ),
    };
    Tree { at, value }
}

/// The bytes of a location, cut to the text and to whole characters.
fn place(text: &str, location: Location) -> Place {
    let span = location.span();
    let start = span.byte_offset().and_then(|offset| usize::try_from(offset).ok());
    let length = span.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let start = match start {
        Some(start) => start,
        None if location.line() == 0 => 0,
        None => offset_of(text, location.line(), location.column()),
    };
    let mut start = start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = start.saturating_add(length).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    start..end.max(start)
}

/// The byte at a line and column, both counted from 1.
fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let mut offset = 0;
    for (number, content) in (1..).zip(text.split_inclusive('\n')) {
        if number == line {
            let skip = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
            let inside = content.char_indices().nth(skip).map_or(content.len(), |(index, _)| index);
            return offset + inside;
        }
        offset += content.len();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        let mut findings = Findings::new("test", text);
        read(text, &mut findings).unwrap_or_else(|| panic!("{:?}", findings.finish()))
    }

    #[test]
    fn scalars_stay_as_written_and_know_their_place() {
        let text = "mode: 0644\nn: no\nf: 1e3\nq: \"yes\"\n한글: true\nt: 30s\nhex: 0x1F\n";
        let Value::Map(entries) = tree(text).value else { panic!("no map") };
        let seen: Vec<(&str, &str, &str)> = entries
            .iter()
            .map(|entry| {
                let Value::Scalar(scalar) = &entry.value.value else { panic!("no scalar") };
                (&text[entry.key_at.clone()], scalar.as_str(), &text[entry.value.at.clone()])
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("mode", "0644", "0644"),
                ("n", "no", "no"),
                ("f", "1e3", "1e3"),
                ("q", "yes", "\"yes\""),
                ("한글", "true", "true"),
                ("t", "30s", "30s"),
                ("hex", "0x1F", "0x1F"),
            ]
        );
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let deep = "[".repeat(100_000);
        let wide = format!("a: [{}]", "1,".repeat(20_000));
        let long = format!("a: {}", "x".repeat(70_000));
        let huge = "#".repeat(TEXT_BYTES_MAX + 1);
        let aliases = "a: &a [1]\nb: *a\n";
        let merge = "a: {b: 1}\nc: {<<: {d: 1}}\n";
        let tag = "a: !thing 1\n";
        let two = "a: 1\n---\nb: 1\n";
        for text in [&*deep, &*wide, &*long, &*huge, aliases, merge, tag, two] {
            let mut findings = Findings::new("test", text);
            assert!(read(text, &mut findings).is_none(), "{}", &text[..20.min(text.len())]);
            assert_eq!(findings.finish().len(), 1);
        }
    }
}
