//! Generation identifiers (`drbdadm get-gi`, `show-gi`): which data is older, newer, or has parted.
//!
//! DRBD gives the data a new identifier each time a Primary writes without its peer. Two copies whose
//! bitmaps start from the same identifier and whose current ones differ have both been written to
//! apart from each other.

use std::fmt;

use crate::Unreadable;

/// The identifiers and flags of one volume on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Of the data as it is.
    pub current: u64,
    /// Of the data that the bitmap counts from; 0 if nothing is counted.
    pub bitmap: u64,
    /// Earlier ones, younger first.
    pub history: [u64; 2],
    /// The copy is consistent.
    pub consistent: bool,
    /// It is, or was when last seen, the newest.
    pub up_to_date: bool,
    /// The node is, or was, Primary.
    pub primary: bool,
    /// The node is, or was, connected.
    pub connected: bool,
    /// The peer's copy is known to be outdated or inconsistent.
    pub peer_outdated: bool,
    /// The node crashed while it was Primary, and has not seen its peer since.
    pub crashed_primary: bool,
}

/// How one copy stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same data.
    Same,
    /// The first is newer, and has everything that the second has.
    Newer,
    /// The second is newer, and has everything that the first has.
    Older,
    /// Both were written to apart from each other: a split brain.
    Parted,
    /// One of them was never written.
    Fresh,
    /// Nothing in common.
    Unrelated,
}

impl Generation {
    /// Reads the line `935540A4D2F77773:4EBD7FA74FB658E1:...:1:1:1:0:0:0:0`, also from among others.
    ///
    /// # Errors
    /// No such line.
    pub fn read(text: &str) -> Result<Generation, Unreadable> {
        let found = text.lines().take(MOST_LINES).find_map(|line| from_line(line.trim()));
        found.ok_or_else(|| Unreadable::new("the generation identifiers of `get-gi`", text))
    }

    /// How this copy stands to `other`.
    #[must_use]
    pub fn relation(&self, other: &Generation) -> Relation {
        let (own, theirs) = (plain(self.current), plain(other.current));
        if own == JUST_CREATED || theirs == JUST_CREATED || own == 0 || theirs == 0 {
            return if own == theirs { Relation::Same } else { Relation::Fresh };
        }
        if own == theirs {
            return Relation::Same;
        }
        let (own_past, their_past) = (self.past(), other.past());
        match (own_past.contains(&theirs), their_past.contains(&own)) {
            (true, false) => Relation::Newer,
            (false, true) => Relation::Older,
            _ if own_past.iter().any(|past| their_past.contains(past)) => Relation::Parted,
            _ => Relation::Unrelated,
        }
    }

    /// What this data grew out of.
    fn past(&self) -> Vec<u64> {
        let all = [self.bitmap, self.history[0], self.history[1]];
        all.into_iter().map(plain).filter(|past| *past != 0 && *past != JUST_CREATED).collect()
    }
}

/// The lowest bit says that the node is Primary, and is no part of the name.
fn plain(identifier: u64) -> u64 {
    identifier & !1
}

fn from_line(line: &str) -> Option<Generation> {
    let parts: Vec<&str> = line.split(':').take(MOST_PARTS).collect();
    let identifier = |at: usize| {
        let text = parts.get(at)?;
        let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (text.len() == 16 && hexadecimal).then(|| u64::from_str_radix(text, 16).ok())?
    };
    let flag = |at: usize| match *parts.get(at)? {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    };
    Some(Generation {
        current: identifier(0)?,
        bitmap: identifier(1)?,
        history: [identifier(2)?, identifier(3)?],
        consistent: flag(4)?,
        up_to_date: flag(5)?,
        primary: flag(6)?,
        connected: flag(7)?,
        peer_outdated: flag(9)?,
        crashed_primary: flag(10)?,
    })
}

impl fmt::Display for Generation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016X}:{:016X}", self.current, self.bitmap)
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Relation::Same => "the same data",
            Relation::Newer => "newer data",
            Relation::Older => "older data",
            Relation::Parted => "both were written to apart from each other",
            Relation::Fresh => "one of them was never written",
            Relation::Unrelated => "nothing in common",
        })
    }
}

/// What a volume has between `create-md` and its first data.
const JUST_CREATED: u64 = 4;
const MOST_LINES: usize = 1000;
const MOST_PARTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Generation {
        Generation::read(text).expect("recorded")
    }

    #[test]
    fn copies_are_older_newer_the_same_or_parted() {
        let tail = "966FD821FAC96E78:966ED821FAC96E78:1:1:1:0:0:0:0";
        let base = of(&format!("4EBD7FA74FB658E0:0000000000000000:{tail}"));
        let left = of(&format!("8199F6D2D35F9505:4EBD7FA74FB658E0:{tail}"));
        let right = of(&format!("935540A4D2F77773:4EBD7FA74FB658E1:{tail}"));
        assert_eq!(left.relation(&right), Relation::Parted);
        assert_eq!(right.relation(&left), Relation::Parted);
        assert_eq!(left.relation(&base), Relation::Newer);
        assert_eq!(base.relation(&right), Relation::Older);
        assert_eq!(base.relation(&base), Relation::Same);
        let other =
            of("1111111111111110:0000000000000000:0000000000000000:0000000000000000:1:1:0:0:0:0:0");
        assert_eq!(other.relation(&base), Relation::Unrelated);
        let fresh =
            of("0000000000000004:0000000000000000:0000000000000000:0000000000000000:0:0:0:0:0:0:0");
        assert_eq!(fresh.relation(&base), Relation::Fresh);
    }

    #[test]
    fn a_primary_bit_makes_no_other_data() {
        let tail = "0000000000000000:0000000000000000:0000000000000000:1:1:1:1:0:0:0";
        let primary = of(&format!("966ED821FAC96E79:{tail}"));
        let secondary = of(&format!("966ED821FAC96E78:{tail}"));
        assert_eq!(primary.relation(&secondary), Relation::Same);
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in
            ["", "0: Failure: (127) Device minor not allocated", "1:2:3:4:1:1:1:0:0:0:0", ":::::"]
        {
            assert!(Generation::read(text).is_err(), "{text:?}");
        }
        let signed =
            "+35540A4D2F77773:4EBD7FA74FB658E1:966FD821FAC96E78:966ED821FAC96E78:1:1:1:0:0:0:0";
        assert!(Generation::read(signed).is_err());
    }
}
