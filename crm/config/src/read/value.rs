//! Single values: names, numbers, times, addresses, and lists of them.

use super::Reader;
use crate::duration::parse_duration;
use crate::nearest::nearest;
use crate::tree::{Entry, Place, Tree, Value, shorten};
use crm_core::id::{NAME_BYTES_MAX, is_valid_name};
use crm_core::time::Span;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

impl Reader<'_> {
    /// Any scalar, as written.
    pub(crate) fn text<'t>(
        &mut self,
        tree: &'t Tree,
        what: &str,
        expected: &str,
    ) -> Option<&'t str> {
        if let Value::Scalar(text) = &tree.value {
            return Some(text);
        }
        self.wrong(tree, what, expected);
        None
    }

    /// Reports that `tree` is not what `what` should be.
    pub(crate) fn wrong(&mut self, tree: &Tree, what: &str, expected: &str) {
        self.findings
            .error(tree.at.clone(), format!("{what} is not right"))
            .label(format!("expected {expected}, found {}", tree.found()));
    }

    pub(crate) fn boolean(&mut self, entry: &Entry) -> Option<bool> {
        match &entry.value.value {
            Value::Scalar(text) if text == "true" => Some(true),
            Value::Scalar(text) if text == "false" => Some(false),
            _ => {
                self.wrong(&entry.value, &format!("`{}`", entry.key), "`true` or `false`");
                None
            }
        }
    }

    pub(crate) fn number<N: FromStr>(&mut self, entry: &Entry, expected: &str) -> Option<N> {
        let what = format!("`{}`", entry.key);
        let text = self.text(&entry.value, &what, expected)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.wrong(&entry.value, &what, expected);
        }
        number
    }

    pub(crate) fn duration(&mut self, entry: &Entry) -> Option<Span> {
        const EXPECTED: &str = "a time such as `500ms`, `2s`, `1.5s`, `10m` or `1h`";
        let what = format!("`{}`", entry.key);
        let text = self.text(&entry.value, &what, EXPECTED)?;
        match parse_duration(text) {
            Ok(span) => Some(span),
            Err(reason) => {
                self.findings
                    .error(
                        entry.value.at.clone(),
                        format!("`{}` is not a time: {reason}", shorten(text)),
                    )
                    .label(format!("expected {EXPECTED}"))
                    .help(
                        "a number without a unit counts seconds; there is no space before the unit",
                    );
                None
            }
        }
    }

    /// An IPv4 or IPv6 address without prefix.
    pub(crate) fn address(&mut self, tree: &Tree, what: &str) -> Option<String> {
        let text = self.text(tree, what, "an IP address")?;
        match text.parse::<IpAddr>() {
            Ok(address) if !address.is_unspecified() && !address.is_multicast() => {
                Some(address.to_string())
            }
            Ok(_) => {
                self.wrong(tree, what, "the address of one machine");
                None
            }
            Err(_) => {
                let found = self
                    .findings
                    .error(tree.at.clone(), format!("{what} is not an IP address"))
                    .label(format!("expected an IPv4 or IPv6 address, found {}", tree.found()));
                if text.contains('/') {
                    found.help("leave out the prefix length");
                } else {
                    found.help("names are not looked up: a cluster must work when DNS does not");
                }
                None
            }
        }
    }

    /// A name of a node, group, resource or service, or of the cluster.
    pub(crate) fn valid_name(&mut self, name: &str, at: &Place, what: &str) -> bool {
        if is_valid_name(name) {
            return true;
        }
        self.findings
            .error(at.clone(), format!("`{}` cannot name {what}", shorten(name)))
            .label("not a valid name")
            .help(format!(
                "use 1 to {NAME_BYTES_MAX} of the letters a-z and A-Z, digits, `.`, `_` and `-`; \
                 the first one is a letter or a digit"
            ));
        false
    }

    /// A name, or a list of names; duplicates are reported. The names' places go to `path/INDEX`.
    pub(crate) fn names(&mut self, entry: &Entry, path: &str) -> Vec<String> {
        let what = format!("`{}`", entry.key);
        let items = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            Value::Scalar(_) => std::slice::from_ref(&entry.value),
            _ => {
                self.wrong(&entry.value, &what, "a name or a list of names");
                return Vec::new();
            }
        };
        self.places.note(path, &entry.key_at);
        let mut names: Vec<String> = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for item in items {
            let Some(name) = self.text(item, &what, "a name") else { continue };
            if !seen.insert(name) {
                self.findings
                    .error(item.at.clone(), format!("`{}` is named twice", shorten(name)))
                    .label(format!("already in this `{}`", entry.key))
                    .help("remove one of the two");
                continue;
            }
            self.places.note(format!("{path}/{}", names.len()), &item.at);
            names.push(name.to_owned());
        }
        names
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&mut self, entry: &Entry, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of `{}`", words.join("`, `"));
        let what = format!("`{}`", entry.key);
        let text = self.text(&entry.value, &what, &expected)?;
        if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*chosen);
        }
        let found = self
            .findings
            .error(entry.value.at.clone(), format!("`{}` cannot be `{}`", entry.key, shorten(text)))
            .label(format!("expected {expected}"));
        if let Some(meant) = nearest(text, words) {
            found.help(format!("did you mean `{meant}`?"));
        }
        None
    }
}
