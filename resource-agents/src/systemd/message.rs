//! D-Bus messages, as far as a client of systemd needs them: calls with strings, and answers and
//! signals that begin with simple values. No input makes it panic.

/// A message that came in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// 1 a call, 2 an answer, 3 an error, 4 a signal.
    pub kind: u8,
    /// Of the call that this answers.
    pub reply_to: u32,
    /// The object that a signal is about.
    pub path: String,
    /// The name of a signal.
    pub member: String,
    /// The name of an error.
    pub error: String,
    /// The first arguments, up to one of a kind that is not read.
    pub arguments: Vec<Value>,
}

/// A simple argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string, an object path or a signature.
    Text(String),
    /// A number or a truth value.
    Number(u32),
}

/// A method call with strings as arguments.
pub fn call(
    serial: u32,
    path: &str,
    interface: &str,
    member: &str,
    destination: &str,
    arguments: &[&str],
) -> Vec<u8> {
    let mut body = Vec::new();
    for argument in arguments {
        put_text(&mut body, argument);
    }
    let mut fields = Vec::new();
    for (code, kind, text) in
        [(1, b'o', path), (2, b's', interface), (3, b's', member), (6, b's', destination)]
    {
        pad(&mut fields, 8);
        fields.extend([code, 1, kind, 0]);
        put_text(&mut fields, text);
    }
    if !arguments.is_empty() {
        pad(&mut fields, 8);
        fields.extend([8, 1, b'g', 0]);
        fields.push(u8::try_from(arguments.len()).unwrap_or(u8::MAX));
        fields.extend(std::iter::repeat_n(b's', arguments.len()));
        fields.push(0);
    }
    let mut out = vec![b'l', 1, 0, 1];
    out.extend(length(&body).to_le_bytes());
    out.extend(serial.to_le_bytes());
    out.extend(length(&fields).to_le_bytes());
    out.extend(fields);
    pad(&mut out, 8);
    out.extend(body);
    out
}

/// How long the message is that begins here; `None` if more bytes are needed to know.
///
/// # Errors
/// These bytes begin no message, or one that is too long.
pub fn size(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(head) = bytes.get(..16) else { return Ok(None) };
    if head[0] != b'l' || head[3] != 1 {
        return Err(format!("expected a D-Bus message, found the bytes {:?}", &head[..4]));
    }
    let number = |at: usize| {
        let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
        usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
    };
    let (body, fields) = (number(4), number(12));
    if body > LONGEST || fields > LONGEST {
        return Err(format!("a D-Bus message of {body} bytes is too long"));
    }
    Ok(Some((16 + fields).next_multiple_of(8) + body))
}

/// Reads one whole message; `None` if it is damaged.
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader { bytes, at: 1 };
    let mut message = Message { kind: reader.byte()?, ..Message::default() };
    reader.at = 12;
    let end = usize::try_from(reader.number()?).ok()?.checked_add(16)?;
    let mut signature = String::new();
    while reader.at < end {
        reader.align(8);
        let code = reader.byte()?;
        let kind = reader.signature()?;
        let value = reader.value(kind.bytes().next()?)?;
        match (code, value) {
            (1, Value::Text(text)) => message.path = text,
            (3, Value::Text(text)) => message.member = text,
            (4, Value::Text(text)) => message.error = text,
            (5, Value::Number(serial)) => message.reply_to = serial,
            (8, Value::Text(text)) => signature = text,
            _ => {}
        }
    }
    reader.align(8);
    for kind in signature.bytes() {
        // What comes after one that is not read cannot be found.
        let Some(value) = reader.value(kind) else { break };
        message.arguments.push(value);
    }
    Some(message)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.bytes.get(self.at..self.at.checked_add(4)?)?;
        self.at += 4;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let end = self.at.checked_add(length)?;
        let text = String::from_utf8_lossy(self.bytes.get(self.at..end)?).into_owned();
        self.at = end + 1;
        Some(text)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?);
        self.text(length)
    }

    fn value(&mut self, kind: u8) -> Option<Value> {
        match kind {
            b's' | b'o' => {
                let length = usize::try_from(self.number()?).ok()?;
                self.text(length).map(Value::Text)
            }
            b'g' => self.signature().map(Value::Text),
            b'u' | b'b' | b'i' => self.number().map(Value::Number),
            b'v' => {
                let inner = self.signature()?;
                match inner.as_bytes() {
                    // A variant in a variant could nest without end.
                    [kind] if *kind != b'v' => self.value(*kind),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    pad(out, 4);
    out.extend(length(text.as_bytes()).to_le_bytes());
    out.extend(text.as_bytes());
    out.push(0);
}

fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Far more than systemd says of one unit.
const LONGEST: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reads_back() {
        let bytes = call(7, "/a/b", "x.Y", "Do", "x", &["one", "", "three"]);
        assert_eq!(size(&bytes), Ok(Some(bytes.len())));
        let message = parse(&bytes).expect("whole");
        assert_eq!(
            (message.kind, message.path.as_str(), message.member.as_str()),
            (1, "/a/b", "Do")
        );
        let texts = ["one", "", "three"].map(|text| Value::Text(text.to_owned()));
        assert_eq!(message.arguments, texts);
    }

    #[test]
    fn no_damage_and_no_cut_makes_it_panic() {
        let whole = call(7, "/a/b", "x.Y", "Do", "x", &["one", "two"]);
        for cut in 0..whole.len() {
            let _ = parse(&whole[..cut]);
            assert!(size(&whole[..cut]).is_ok());
        }
        for at in 0..whole.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] ^= bits;
                let _ = size(&damaged);
                let _ = parse(&damaged);
            }
        }
        assert!(size(&[0; 16]).is_err());
        let mut long = whole;
        long[7] = 0xff;
        assert!(size(&long).is_err());
    }
}
