//! A small pull parser for the XML that agents print: tags, attributes, text. It forgives what
//! real agents get wrong, bounds what it reads, and never panics.

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    Close(&'a str),
    /// `closed`: the tag ends in `/>`, no `Close` follows.
    Open {
        name: &'a str,
        attributes: Vec<(&'a str, String)>,
        closed: bool,
    },
    Text(String),
}

/// Reads a document from front to back.
pub(crate) struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Parser<'a> {
        Parser { rest: text }
    }

    /// The next event; `None` at the end.
    pub(crate) fn event(&mut self) -> Result<Option<Event<'a>>, String> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            if let Some(rest) = self.rest.strip_prefix("<!--") {
                self.skip_past(rest, "-->")?;
            } else if let Some(rest) = self.rest.strip_prefix("<![CDATA[") {
                let text = self.skip_past(rest, "]]>")?;
                return Ok(Some(Event::Text(text.to_owned())));
            } else if let Some(rest) = self.rest.strip_prefix("<?") {
                self.skip_past(rest, "?>")?;
            } else if let Some(rest) = self.rest.strip_prefix("<!") {
                self.skip_past(rest, ">")?;
            } else if let Some(rest) = self.rest.strip_prefix("</") {
                return Ok(Some(Event::Close(self.skip_past(rest, ">")?.trim())));
            } else if let Some(rest) = self.rest.strip_prefix('<') {
                return self.open(rest).map(Some);
            } else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Ok(Some(Event::Text(unescape(text))));
            }
        }
    }

    /// Returns what lies before `end` and goes on behind it.
    fn skip_past(&mut self, from: &'a str, end: &str) -> Result<&'a str, String> {
        let (inside, rest) =
            from.split_once(end).ok_or_else(|| format!("the text ends before `{end}`"))?;
        self.rest = rest;
        Ok(inside)
    }

    fn open(&mut self, from: &'a str) -> Result<Event<'a>, String> {
        let end = from
            .find(|c: char| c.is_whitespace() || c == '>' || c == '/')
            .ok_or("the text ends within a tag")?;
        let (name, mut rest) = from.split_at(end);
        if name.is_empty() {
            return Err("a tag has no name".to_owned());
        }
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>") {
                self.rest = after;
                return Ok(Event::Open { name, attributes, closed: true });
            }
            if let Some(after) = rest.strip_prefix('>') {
                self.rest = after;
                return Ok(Event::Open { name, attributes, closed: false });
            }
            let (attribute, after) = rest
                .split_once('=')
                .filter(|(attribute, _)| !attribute.contains(['<', '>']))
                .ok_or_else(|| format!("<{name}>: expected an attribute or the end of the tag"))?;
            let after = after.trim_start();
            let quote =
                after.chars().next().filter(|c| *c == '"' || *c == '\'').ok_or_else(|| {
                    format!("<{name} {}>: the value has no quotes", attribute.trim())
                })?;
            let (value, after) = after
                .get(1..)
                .and_then(|after| after.split_once(quote))
                .ok_or_else(|| format!("<{name} {}>: the value has no end", attribute.trim()))?;
            if attributes.len() < MOST_ATTRIBUTES {
                attributes.push((attribute.trim(), unescape(value)));
            }
            rest = after;
        }
    }
}

/// Replaces entities; what is no entity stays as it is.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let known = from.find(';').filter(|end| *end <= LONGEST_ENTITY).and_then(|end| {
            let symbol = entity(from.get(1..end)?)?;
            Some((symbol, from.get(end + 1..)?))
        });
        match known {
            Some((symbol, after)) => {
                out.push(symbol);
                rest = after;
            }
            None => {
                out.push('&');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "apos" => Some('\''),
        "gt" => Some('>'),
        "lt" => Some('<'),
        "quot" => Some('"'),
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)
        }
    }
}

const LONGEST_ENTITY: usize = 10;
const MOST_ATTRIBUTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Event<'_>>, String> {
        let mut parser = Parser::new(text);
        let mut events = Vec::new();
        while let Some(event) = parser.event()? {
            events.push(event);
        }
        Ok(events)
    }

    #[test]
    fn reads_tags_attributes_text_and_entities() {
        let events = all("<?xml?><!DOCTYPE a>\n<a b = 'x&lt;y' c=\"&#65;&nope;\"><!-- < --><d/>t&amp;<![CDATA[<z>]]></a >")
            .expect("reads");
        assert_eq!(
            events[1..],
            [
                Event::Open {
                    name: "a",
                    attributes: vec![("b", "x<y".to_owned()), ("c", "A&nope;".to_owned())],
                    closed: false
                },
                Event::Open { name: "d", attributes: vec![], closed: true },
                Event::Text("t&".to_owned()),
                Event::Text("<z>".to_owned()),
                Event::Close("a"),
            ]
        );
    }

    #[test]
    fn broken_text_is_an_error_and_never_a_panic() {
        for text in
            ["<", "<a", "<a b", "<a b=", "<a b=c>", "<a b='", "</a", "<!-- ", "< a>", "<a =>"]
        {
            assert!(all(text).is_err(), "{text}");
        }
        let whole = "<?xml?><a b='x&lt;y'>tä&#x;&;<![CDATA[ü]]><!-- ö --></a>";
        for (at, _) in whole.char_indices() {
            let _ = all(&whole[at..]);
            let _ = all(&whole[..at]);
        }
    }
}
