//! The environment of the command: what the administrator gives it, and nothing of the agent's.

use std::fs;
use std::path::Path;

use super::words;
use crate::contract::Failure;

/// `NAME=VALUE` words, quoted as in a shell.
pub(crate) fn from_words(text: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let words = words::split(text.unwrap_or_default())
        .map_err(|error| Failure::configured(format!("`environment`: {error}")))?;
    words
        .iter()
        .map(|word| {
            assignment(word).ok_or_else(|| {
                Failure::configured(format!("`environment` must hold NAME=VALUE, found {word:?}"))
            })
        })
        .collect()
}

/// `NAME=VALUE` lines; blank lines and those that begin with `#` or `;` are skipped, `export`
/// is allowed. HB45: a file that is missing is a failure, unless its path begins with `-`.
pub(crate) fn from_file(path: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let (optional, path) = match path.strip_prefix('-') {
        Some(path) => (true, path),
        None => (false, path),
    };
    let text = match fs::read_to_string(Path::new(path)) {
        Ok(text) => text,
        Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Failure::installed(format!(
                "cannot read the environment file {path}: {error}"
            )));
        }
    };
    parse(&text).map_err(|(line, what)| Failure::configured(format!("{path}, line {line}: {what}")))
}

fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, String)> {
    let mut all = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let words = words::split(line).map_err(|error| (at + 1, error))?;
        // The value without quotes may hold spaces, as systemd allows.
        let pair = assignment(&words.join(" "))
            .ok_or_else(|| (at + 1, "expected NAME=VALUE".to_owned()))?;
        all.push(pair);
    }
    Ok(all)
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let mut symbols = name.chars();
    let first = symbols.next()?;
    let fits = (first.is_ascii_alphabetic() || first == '_')
        && symbols.all(|symbol| symbol.is_ascii_alphanumeric() || symbol == '_');
    fits.then(|| (name.to_owned(), value.to_owned()))
}

/// Variables that belong to this call of the agent, or to the daemon, and not to the command.
pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with("CRM_")
        || name.starts_with("OCF_")
        || matches!(
            name,
            "INVOCATION_ID"
                | "JOURNAL_STREAM"
                | "LISTEN_FDNAMES"
                | "LISTEN_FDS"
                | "LISTEN_PID"
                | "NOTIFY_SOCKET"
                | "WATCHDOG_PID"
                | "WATCHDOG_USEC"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file() {
        let text = "# c\n\n; c\nexport A=1\nB='two words'\nC=two words\nD=\n";
        let pairs = parse(text).expect("reads");
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("A", "1"), ("B", "two words"), ("C", "two words"), ("D", "")]);
        assert_eq!(parse("A=1\nrm -rf").unwrap_err().0, 2);
        assert_eq!(parse("A='1").unwrap_err().0, 1);
    }

    #[test]
    fn hb45_a_missing_environment_file_is_a_failure() {
        let failure = from_file(Some("/no/such/file")).expect_err("refused");
        assert!(failure.reason.contains("/no/such/file"), "{failure}");
        assert_eq!(from_file(Some("-/no/such/file")), Ok(Vec::new()));
    }

    #[test]
    fn words_must_be_assignments() {
        assert!(from_words(Some("A=1 'B=2 3'")).is_ok());
        for bad in ["A", "=1", "1A=1", "A-B=1"] {
            assert!(from_words(Some(bad)).is_err(), "{bad}");
        }
    }
}
