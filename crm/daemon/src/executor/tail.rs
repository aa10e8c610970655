//! The last part of an agent's output, however much it prints.

/// How much of the output of one call is kept, in bytes.
pub(crate) const KEPT_BYTES: usize = 16 * 1024;
/// Longest reason taken from the output, in characters.
const REASON_CHARS_MAX: usize = 500;

/// Keeps the last [`KEPT_BYTES`] and counts the rest.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    kept: Vec<u8>,
    dropped: u64,
}

impl Tail {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let bytes = if bytes.len() > KEPT_BYTES {
            self.dropped += (bytes.len() - KEPT_BYTES) as u64;
            &bytes[bytes.len() - KEPT_BYTES..]
        } else {
            bytes
        };
        self.kept.extend_from_slice(bytes);
        // Cut only now and then: each byte is moved at most once for every byte that is kept.
        if self.kept.len() > 2 * KEPT_BYTES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let excess = self.kept.len().saturating_sub(KEPT_BYTES);
        self.kept.drain(..excess);
        self.dropped += excess as u64;
    }

    /// Everything kept, as text.
    pub(crate) fn text(&mut self) -> String {
        self.cut();
        String::from_utf8_lossy(&self.kept).into_owned()
    }

    /// How much was printed and not kept.
    pub(crate) fn dropped(&mut self) -> u64 {
        self.cut();
        self.dropped
    }
}

/// The last line that says anything.
pub(crate) fn last_line(text: &str) -> Option<String> {
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(super::speech::printable(line).chars().take(REASON_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_megabytes_take_no_more_room_than_a_few() {
        let mut tail = Tail::default();
        let block = vec![b'x'; 64 * 1024];
        for _ in 0..1600 {
            tail.feed(&block);
        }
        tail.feed(b"\nthe end\n");
        assert!(tail.kept.capacity() <= 4 * KEPT_BYTES, "{}", tail.kept.capacity());
        assert_eq!(tail.dropped() + tail.kept.len() as u64, 1600 * 64 * 1024 + 9);
        assert_eq!(last_line(&tail.text()).as_deref(), Some("the end"));
    }

    #[test]
    fn the_reason_is_the_last_line_that_says_something() {
        assert_eq!(last_line("a\nb \n\n  \n").as_deref(), Some("b"));
        assert_eq!(last_line(" \n"), None);
    }
}
