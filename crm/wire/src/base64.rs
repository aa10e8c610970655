//! Base64 for keys (RFC 4648, standard alphabet, padded), strict on reading:
//! one text for one key, no line breaks, no stray bits.

use zeroize::Zeroizing;

/// Why a text is not Base64. Carries no character of the text: it may be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Base64Error {
    /// Not a multiple of four characters.
    #[error("expected a multiple of 4 characters of Base64, found {0}")]
    Length(usize),
    /// A character outside the alphabet, or padding in the wrong place.
    #[error("character {0} of the key is not Base64")]
    Character(usize),
    /// Bits behind the last byte that are not zero.
    #[error(
        "the last character of the key does not fit its padding (a character was changed or lost)"
    )]
    StrayBits,
}

pub(crate) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    // Reserved in full, so that no reallocation leaves half a key behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .enumerate()
            .fold(0u32, |bits, (i, byte)| bits | u32::from(*byte) << (16 - 8 * i));
        for i in 0..4 {
            if i <= group.len() {
                let index = (bits >> (18 - 6 * i)) & 63;
                text.push(char::from(ALPHABET[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

pub(crate) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Base64Error> {
    let text = text.as_bytes();
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return Err(Base64Error::Length(text.len()));
    }
    let padding = text.iter().rev().take(2).take_while(|c| **c == b'=').count();
    let digits = &text[..text.len() - padding];
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3));
    let (mut bits, mut held) = (0u32, 0u32);
    for (i, character) in digits.iter().enumerate() {
        let value = value_of(*character).ok_or(Base64Error::Character(i + 1))?;
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    if bits & ((1 << held) - 1) != 0 {
        return Err(Base64Error::StrayBits);
    }
    Ok(bytes)
}

fn value_of(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_vectors_of_rfc_4648() {
        for (plain, text) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()).as_str(), text);
            assert_eq!(decode(text).unwrap().as_slice(), plain.as_bytes());
        }
        assert_eq!(encode(&[0xfb, 0xff, 0xfe]).as_str(), "+//+");
        assert_eq!(decode("+//+").unwrap().as_slice(), &[0xfb, 0xff, 0xfe]);
    }

    #[test]
    fn every_byte_and_length_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for length in 1..=all.len() {
            assert_eq!(decode(&encode(&all[..length])).unwrap().as_slice(), &all[..length]);
        }
    }

    #[test]
    fn refuses_what_is_not_exactly_base64() {
        assert_eq!(decode(""), Err(Base64Error::Length(0)));
        assert_eq!(decode("Zg="), Err(Base64Error::Length(3)));
        assert_eq!(decode("Zg=v"), Err(Base64Error::Character(3)));
        assert_eq!(decode("Z==="), Err(Base64Error::Character(2)));
        assert_eq!(decode("===="), Err(Base64Error::Character(1)));
        assert_eq!(decode("Zm9\n"), Err(Base64Error::Character(4)));
        assert_eq!(decode("Zm-v"), Err(Base64Error::Character(3)));
        assert_eq!(decode("Zh=="), Err(Base64Error::StrayBits));
        assert_eq!(decode("Zm9="), Err(Base64Error::StrayBits));
        assert_eq!(decode("Zm\u{e9}="), Err(Base64Error::Length(5)));
    }
}
