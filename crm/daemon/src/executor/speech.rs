//! Descriptor 3: the lines an agent tells the daemon, with limits on all of it.

use crate::watches::Watch;
use std::collections::BTreeMap;

/// Longest line, in bytes; the rest of a longer one is dropped.
const LINE_BYTES_MAX: usize = 2048;
/// Lines of one call; later ones are counted and dropped.
const LINES_MAX: usize = 512;
const ATTRIBUTES_MAX: usize = 64;
const WATCHES_MAX: usize = 64;

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    pub(crate) reason: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) watches: Vec<Watch>,
    /// Lines that were dropped: too many, or not understood.
    pub(crate) dropped: u64,
    /// Newest `progress`, taken by whoever logs it.
    pub(crate) progress: Option<String>,
    line: Vec<u8>,
    lines: usize,
}

impl Speech {
    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                self.end_of_line();
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(*byte);
            }
        }
    }

    /// A last line may lack its newline.
    pub(crate) fn finish(&mut self) {
        if !self.line.is_empty() {
            self.end_of_line();
        }
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.lines += 1;
        let text = printable(&String::from_utf8_lossy(&line));
        if self.lines > LINES_MAX || !self.understand(text.trim()) {
            self.dropped += 1;
        }
    }

    fn understand(&mut self, line: &str) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "reason" => self.reason = Some(rest.to_owned()),
            "progress" => self.progress = Some(rest.to_owned()),
            "attribute" => {
                let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                let room =
                    self.attributes.len() < ATTRIBUTES_MAX || self.attributes.contains_key(name);
                if name.is_empty() || name.len() > 63 || !room {
                    return false;
                }
                self.attributes.insert(name.to_owned(), value.trim().to_owned());
            }
            "watch" => match Watch::parse(rest) {
                Some(watch) if self.watches.contains(&watch) => {}
                Some(watch) if self.watches.len() < WATCHES_MAX => self.watches.push(watch),
                _ => return false,
            },
            _ => return false,
        }
        true
    }
}

/// Without anything that could confuse a terminal or a log.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_may_come_in_pieces_and_the_last_without_newline() {
        let mut speech = Speech::default();
        speech.feed(b"reason not mou");
        speech.feed(b"nted\nattribute lag 12\nwatch process 17\nwatch mount /a b");
        speech.finish();
        assert_eq!(speech.reason.as_deref(), Some("not mounted"));
        assert_eq!(speech.attributes["lag"], "12");
        assert_eq!(speech.watches, [Watch::Process(17), Watch::Mount("/a b".into())]);
        assert_eq!(speech.dropped, 0);
    }

    #[test]
    fn a_flood_keeps_its_limits() {
        let mut speech = Speech::default();
        for number in 0..100_000 {
            speech
                .feed(format!("attribute a{number} {number}\nwatch process {number}\n").as_bytes());
        }
        speech.feed(&vec![b'x'; 1_000_000]);
        assert!(speech.attributes.len() <= ATTRIBUTES_MAX);
        assert!(speech.watches.len() <= WATCHES_MAX);
        assert!(speech.line.len() <= LINE_BYTES_MAX);
        assert!(speech.dropped > 190_000);
    }

    #[test]
    fn nonsense_and_control_characters_do_no_harm() {
        let mut speech = Speech::default();
        speech.feed(b"\xff\xfe\n\nwatch\nwatch process x\nattribute\nreason \x1b[31mred\x07\n");
        assert_eq!(speech.reason.as_deref(), Some("[31mred"));
        assert!(speech.watches.is_empty());
        assert_eq!(speech.dropped, 5);
    }
}
