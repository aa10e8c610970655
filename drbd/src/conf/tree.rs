//! Text to sections and statements.

use std::fmt;
use std::iter::Peekable;
use std::rc::Rc;
use std::str::Chars;

use crate::clip;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Rc<str>,
    /// From 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}

/// `keyword name... { items }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// `resource`, `on`, `net`, ...
    pub keyword: String,
    /// What follows it.
    pub names: Vec<String>,
    /// What is inside.
    pub items: Vec<Item>,
    /// Where it begins.
    pub place: Place,
}

/// `keyword value...;`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The option.
    pub keyword: String,
    /// Its values, without their quotes.
    pub values: Vec<String>,
    /// Where it begins.
    pub place: Place,
}

/// What a file or section is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// With braces.
    Section(Section),
    /// With a semicolon.
    Statement(Statement),
}

/// Text that is no DRBD configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct SyntaxError {
    /// Where.
    pub place: Place,
    /// What was expected and what was found.
    pub what: String,
}

/// Finds the files that an `include` names.
pub trait Source {
    /// Names and texts of the files that match `pattern`, which stands in `from`; none is fine if it
    /// holds a wildcard.
    ///
    /// # Errors
    /// Why one cannot be read.
    fn include(&mut self, pattern: &str, from: &str) -> Result<Vec<(String, String)>, String>;
}

/// For texts that stand alone: an `include` in them is an error.
impl Source for () {
    fn include(&mut self, _: &str, _: &str) -> Result<Vec<(String, String)>, String> {
        Err("no other file can be read here".to_owned())
    }
}

/// Reads a file and all that it includes.
///
/// # Errors
/// Where the text stops making sense.
pub fn parse(file: &str, text: &str, source: &mut dyn Source) -> Result<Vec<Item>, SyntaxError> {
    let mut budget = MOST_FILES;
    parse_file(file, text, source, 0, &mut budget)
}

fn parse_file(
    file: &str,
    text: &str,
    source: &mut dyn Source,
    depth: usize,
    budget: &mut usize,
) -> Result<Vec<Item>, SyntaxError> {
    let mut parser =
        Parser { chars: text.chars().peekable(), place: Place { file: file.into(), line: 1 } };
    if text.len() > MOST_TEXT {
        return Err(parser.error(format!("more than {MOST_TEXT} bytes")));
    }
    parser.items(source, depth, false, budget)
}

struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
    place: Place,
}

enum Token {
    Word(String),
    Open,
    Close,
    End,
}

impl Parser<'_> {
    fn error(&self, what: impl Into<String>) -> SyntaxError {
        SyntaxError { place: self.place.clone(), what: what.into() }
    }

    fn next_char(&mut self) -> Option<char> {
        let next = self.chars.next();
        if next == Some('\n') {
            self.place.line = self.place.line.saturating_add(1);
        }
        next
    }

    fn items(
        &mut self,
        source: &mut dyn Source,
        depth: usize,
        inside: bool,
        budget: &mut usize,
    ) -> Result<Vec<Item>, SyntaxError> {
        if depth > DEEPEST {
            return Err(self.error("sections or includes are nested too deep"));
        }
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            let place = self.place.clone();
            match self.token()? {
                None if inside => return Err(self.error("expected `}`, found the end of the file")),
                None => return Ok(items),
                Some(Token::Close) if inside => return Ok(items),
                Some(Token::Close) => return Err(self.error("this `}` closes nothing")),
                // An empty statement.
                Some(Token::End) => {}
                Some(Token::Open) => return Err(self.error("expected a word before `{`")),
                Some(Token::Word(word)) if word == "skip" => self.skip_section()?,
                Some(Token::Word(keyword)) => {
                    let item = self.item(keyword, place, source, depth, budget)?;
                    items.extend(item);
                }
            }
        }
    }

    fn item(
        &mut self,
        keyword: String,
        place: Place,
        source: &mut dyn Source,
        depth: usize,
        budget: &mut usize,
    ) -> Result<Vec<Item>, SyntaxError> {
        let mut words = Vec::new();
        loop {
            match self.token()? {
                Some(Token::Word(word)) if words.len() < MOST_WORDS => words.push(word),
                Some(Token::Word(_)) => return Err(self.error("too many words before `;`")),
                Some(Token::End) if keyword == "include" => {
                    return self.include(&words, &place, source, depth, budget);
                }
                Some(Token::End) => {
                    let statement = Statement { keyword, values: words, place };
                    return Ok(vec![Item::Statement(statement)]);
                }
                Some(Token::Open) => {
                    let items = self.items(source, depth + 1, true, budget)?;
                    let section = Section { keyword, names: words, items, place };
                    return Ok(vec![Item::Section(section)]);
                }
                Some(Token::Close) | None => {
                    let what = format!("expected `;` or `{{` after `{}`", clip(&keyword));
                    return Err(SyntaxError { place, what });
                }
            }
        }
    }

    fn include(
        &mut self,
        words: &[String],
        place: &Place,
        source: &mut dyn Source,
        depth: usize,
        budget: &mut usize,
    ) -> Result<Vec<Item>, SyntaxError> {
        let error = |what: String| SyntaxError { place: place.clone(), what };
        let [pattern] = words else {
            return Err(error("expected one file after `include`".to_owned()));
        };
        let files = source
            .include(pattern, &place.file)
            .map_err(|why| error(format!("cannot include {}: {why}", clip(pattern))))?;
        let mut items = Vec::new();
        for (name, text) in files {
            *budget = budget.checked_sub(1).ok_or_else(|| error("too many files".to_owned()))?;
            items.extend(parse_file(&name, &text, source, depth + 1, budget)?);
        }
        Ok(items)
    }

    /// `skip anything { anything, braces in pairs }`: its text need not be configuration at all.
    fn skip_section(&mut self) -> Result<(), SyntaxError> {
        let place = self.place.clone();
        let mut open = 0_usize;
        while let Some(next) = self.next_char() {
            match next {
                '{' => open += 1,
                '}' if open <= 1 => return Ok(()),
                '}' => open -= 1,
                _ => {}
            }
        }
        Err(SyntaxError { place, what: "this `skip` does not end".to_owned() })
    }

    fn skip_blanks(&mut self) {
        while let Some(next) = self.chars.peek().copied() {
            match next {
                '#' => {
                    while self.chars.peek().is_some_and(|next| *next != '\n') {
                        self.next_char();
                    }
                }
                next if next.is_whitespace() => drop(self.next_char()),
                _ => return,
            }
        }
    }

    fn token(&mut self) -> Result<Option<Token>, SyntaxError> {
        self.skip_blanks();
        Ok(Some(match self.chars.peek() {
            None => return Ok(None),
            Some('{') => self.take(Token::Open),
            Some('}') => self.take(Token::Close),
            Some(';') => self.take(Token::End),
            Some('"') => Token::Word(self.quoted()?),
            Some(_) => Token::Word(self.word()),
        }))
    }

    fn take(&mut self, token: Token) -> Token {
        self.next_char();
        token
    }

    fn quoted(&mut self) -> Result<String, SyntaxError> {
        let place = self.place.clone();
        let mut text = String::new();
        self.next_char();
        loop {
            match self.next_char() {
                Some('"') => return Ok(text),
                Some('\\') => match self.next_char() {
                    // A line that goes on.
                    Some('\n') | None => {}
                    Some(next) => text.push(next),
                },
                Some('\n') | None => {
                    let what = "expected a closing `\"` on the same line".to_owned();
                    return Err(SyntaxError { place, what });
                }
                Some(next) => text.push(next),
            }
        }
    }

    fn word(&mut self) -> String {
        let mut text = String::new();
        while let Some(next) = self.chars.peek().copied() {
            if next.is_whitespace() || matches!(next, '{' | '}' | ';' | '"' | '#') {
                break;
            }
            self.next_char();
            text.push(next);
        }
        text
    }
}

const DEEPEST: usize = 24;
const MOST_WORDS: usize = 256;
const MOST_FILES: usize = 1000;
const MOST_TEXT: usize = 4 * 1024 * 1024;
