//! Splitting a command line into words, as a shell does, without its expansions.

/// Words parted by white space; `'...'` is literal, in `"..."` a backslash saves `"`, `\`, `$`
/// and `` ` ``, elsewhere it saves anything. Nothing is expanded.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut symbols = text.chars();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match symbols.next() {
                        Some('\'') => break,
                        Some(inside) => word.push(inside),
                        None => return Err("a single quote is not closed".to_owned()),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match symbols.next() {
                        Some('"') => break,
                        Some('\\') => match symbols.next() {
                            Some(saved @ ('"' | '\\' | '$' | '`')) => word.push(saved),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err("a double quote is not closed".to_owned()),
                        },
                        Some(inside) => word.push(inside),
                        None => return Err("a double quote is not closed".to_owned()),
                    }
                }
            }
            '\\' => match symbols.next() {
                Some(saved) => word.get_or_insert_default().push(saved),
                None => return Err("a backslash stands at the end".to_owned()),
            },
            space if space.is_whitespace() => words.extend(word.take()),
            '\0' => return Err("a NUL byte stands in it".to_owned()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes() {
        for (text, words) in [
            ("  a  b\tc\n", &["a", "b", "c"][..]),
            ("'a b' \"c d\"", &["a b", "c d"]),
            ("a'b'\"c\"d", &["abcd"]),
            (r#"\  "a\"\n" '\'"#, &[" ", "a\"\\n", "\\"]),
            ("'' \"\"", &["", ""]),
            ("$HOME *", &["$HOME", "*"]),
            ("", &[]),
        ] {
            assert_eq!(split(text).expect(text), words, "{text}");
        }
    }

    #[test]
    fn open_ends_are_errors() {
        for text in ["'a", "\"a", "\"a\\", "a\\", "a\0b"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
