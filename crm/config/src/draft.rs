//! Texts for `crm init` and `crm join`: a commented start, and a node added to a file that people
//! wrote. Comments stay, and nothing is written that [`crate::parse`] would refuse.

use crate::diagnostic::Diagnostics;
use crate::source;
use crate::tree::{Entry, Tree, Value};
use crate::{diagnostic::Findings, parse};
use crm_core::id::is_valid_name;
use std::fmt;
use std::net::IpAddr;

/// The protection that `crm init` asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftProtection {
    /// A fencing device for the first node; `crm join` adds the others'.
    /// The text is the device as YAML, such as `{agent: fence_ipmilan, ip: 10.1.0.1}`.
    Device(String),
    /// A third vote at this address, and the watchdog device of the node.
    Witness { address: String, watchdog: String },
    /// None, in so many words.
    None,
}

/// Why a draft could not be made.
#[derive(Debug)]
pub enum DraftError {
    /// The name or an address cannot stand in a configuration.
    Invalid(String),
    /// The node is in the file already.
    Exists(String),
    /// The file as it is, or as it would be, is refused.
    Refused(Diagnostics),
    /// The place for the node could not be found; the line to add by hand.
    NoPlace(String),
}

impl fmt::Display for DraftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DraftError::Invalid(what) => write!(f, "{what}"),
            DraftError::Exists(name) => write!(f, "node `{name}` is in the configuration already"),
            DraftError::Refused(diagnostics) => write!(f, "{}", diagnostics.one_line()),
            DraftError::NoPlace(line) => {
                write!(
                    f,
                    "`nodes:` is not written in a form that can be extended; add this to it by hand: {line}"
                )
            }
        }
    }
}

impl std::error::Error for DraftError {}

/// A commented configuration for the first node of a new cluster.
///
/// # Errors
/// A name, an address or the device cannot stand in a configuration.
pub fn draft(
    cluster: &str,
    node: &str,
    links: &[String],
    protection: &DraftProtection,
) -> Result<String, DraftError> {
    if !is_valid_name(cluster) {
        return Err(DraftError::Invalid(format!("`{cluster}` cannot name a cluster")));
    }
    let node_line = match protection {
        DraftProtection::Witness { watchdog, .. } => node_line(node, links, Some(watchdog))?,
        _ => node_line(node, links, None)?,
    };
    let (witness, fencing) = match protection {
        DraftProtection::Device(device) => (
            String::new(),
            format!(
                "# The device that proves a silent node dead. Try it before you rely on it: crm fence {node}\n\
                 fencing:\n  {node}: {device}\n"
            ),
        ),
        DraftProtection::Witness { address, .. } => (
            format!(
                "\n# The third vote, on a machine that runs nothing of this cluster.\n\
                 witness: {}\n",
                ip(address)?
            ),
            "# No device: the quorum waits until the watchdog of a silent node has reset it.\n\
             fencing: none\n"
                .to_owned(),
        ),
        DraftProtection::None => (
            String::new(),
            "# Nothing proves a silent node dead. Groups with data wait for the operator\n\
             # (crm confirm-dead), stateless groups move, and two nodes may hold those at once.\n\
             fencing: none\n"
                .to_owned(),
        ),
    };
    let text = format!(
        "# The configuration of this cluster, the same on every node. The cluster runs what was\n\
         # applied, not what is written here: change it, then `crm check`, then `crm apply`.\n\
         cluster: {cluster}\n\
         \n\
         # Each node with its address in every network; the first addresses belong together.\n\
         nodes:\n  {node_line}\n\
         {witness}\n\
         # How long is silence? keepalive < warntime < deadtime.\n\
         heartbeat: {{keepalive: 200ms, warntime: 500ms, deadtime: 1s, initdead: 30s}}\n\
         \n\
         {fencing}\
         \n\
         # What runs together, started in this order and stopped in reverse:\n\
         # groups:\n\
         #   web:\n\
         #     prefer: [{node}]\n\
         #     resources:\n\
         #       - filesystem: {{device: /dev/drbd0, at: /srv/web, type: ext4}}\n\
         #       - vip: 192.0.2.10/24\n\
         #       - systemd:nginx\n\
         groups: {{}}\n"
    );
    parse(&text).map_err(DraftError::Refused)?;
    Ok(text)
}

/// Adds a node to `text`, which may be written by hand: only the new line is inserted.
///
/// # Errors
/// See [`DraftError`]; `text` is never made worse than it was.
pub fn add_node(text: &str, name: &str, links: &[String]) -> Result<String, DraftError> {
    let before = parse(text).map_err(DraftError::Refused)?;
    let line = node_line(name, links, None)?;
    if before.nodes.iter().any(|node| node.id.as_str() == name) {
        return Err(DraftError::Exists(name.to_owned()));
    }
    let mut findings = Findings::new(crate::FILE_NAME, text);
    let tree = source::read(text, &mut findings);
    let nodes = tree.as_ref().and_then(nodes_entry);
    let added = nodes.and_then(|entry| insert(text, entry, &line));
    let Some(added) = added else { return Err(DraftError::NoPlace(line)) };
    let after = parse(&added).map_err(DraftError::Refused)?;
    // The edit is textual: believe only what the reader sees in the result.
    let mut expected = before.nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>();
    expected.push(name);
    let seen = after.nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>();
    if seen != expected || after.groups != before.groups || after.fencing != before.fencing {
        return Err(DraftError::NoPlace(line));
    }
    Ok(added)
}

fn nodes_entry(tree: &Tree) -> Option<&Entry> {
    match &tree.value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == "nodes"),
        _ => None,
    }
}

fn insert(text: &str, nodes: &Entry, line: &str) -> Option<String> {
    let Value::Map(entries) = &nodes.value.value else { return None };
    let last = entries.last()?;
    if text.get(nodes.value.at.start..)?.starts_with('{') {
        let (head, tail) = text.split_at_checked(nodes.value.at.start + 1)?;
        // At the end, so that the order of the file stays the order of the nodes.
        let close = closing_brace(tail)?;
        let (inside, rest) = tail.split_at_checked(close)?;
        let kept = inside.trim_end().trim_end_matches(',');
        return Some(format!("{head}{kept}, {line}{rest}"));
    }
    let line_start = text.get(..last.key_at.start)?.rfind('\n').map_or(0, |end| end + 1);
    let indent = text.get(line_start..last.key_at.start)?;
    if !indent.bytes().all(|b| b == b' ') {
        return None;
    }
    // After the last line that belongs to the last node: its own, or deeper than its key. Blank lines
    // and comments belong to it only if more of it follows.
    let mut end = line_start;
    let mut seen = line_start;
    for (index, content) in text.get(line_start..)?.split_inclusive('\n').enumerate() {
        let bare = content.trim_start_matches(' ');
        let depth = content.len() - bare.len();
        let idle = content.trim().is_empty() || bare.starts_with('#');
        if index > 0 && !idle && depth <= indent.len() {
            break;
        }
        seen += content.len();
        if !idle {
            end = seen;
        }
    }
    let (head, tail) = text.split_at_checked(end)?;
    let newline = if head.ends_with('\n') { "" } else { "\n" };
    Some(format!("{head}{newline}{indent}{line}\n{tail}"))
}

/// The brace that closes the map whose inside `text` begins with; quotes and comments hide braces.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote: Option<char> = None;
    let mut comment = false;
    let mut before = ' ';
    for (index, c) in text.char_indices() {
        match (quote, c) {
            _ if comment => comment = c != '\n',
            (Some(open), _) if c == open && !(open == '"' && before == '\\') => quote = None,
            (Some(_), _) => {}
            // Inside a word such as `o'neil` it is a letter.
            (None, '"' | '\'') if before.is_whitespace() || "{[,:".contains(before) => {
                quote = Some(c)
            }
            (None, '#') if before.is_whitespace() => comment = true,
            (None, '{' | '[') => depth += 1,
            (None, '}') if depth == 0 => return Some(index),
            (None, '}' | ']') => depth = depth.checked_sub(1)?,
            (None, _) => {}
        }
        before = c;
    }
    None
}

fn node_line(name: &str, links: &[String], watchdog: Option<&str>) -> Result<String, DraftError> {
    if !is_valid_name(name) {
        return Err(DraftError::Invalid(format!("`{name}` cannot name a node")));
    }
    if links.is_empty() {
        return Err(DraftError::Invalid(format!("node `{name}` needs an address")));
    }
    let links = links.iter().map(|link| ip(link)).collect::<Result<Vec<_>, _>>()?;
    let links: Vec<String> = links.iter().map(|link| quoted(link)).collect();
    let watchdog = match watchdog {
        Some(device)
            if !device.starts_with("/dev/") || device.contains([' ', '{', '}', ',', '"', '\n']) =>
        {
            return Err(DraftError::Invalid(format!("`{device}` is not a watchdog device")));
        }
        Some(device) => format!(", watchdog: {device}"),
        None => String::new(),
    };
    Ok(format!("{}: {{links: [{}]{watchdog}}}", quoted(name), links.join(", ")))
}

fn ip(text: &str) -> Result<String, DraftError> {
    text.parse::<IpAddr>()
        .map(|address| address.to_string())
        .map_err(|_| DraftError::Invalid(format!("`{text}` is not an IP address")))
}

/// In quotes where YAML would see something else: an IPv6 address such as `::1`, a name such as `no`.
fn quoted(text: &str) -> String {
    let plain = text.parse::<std::net::Ipv4Addr>().is_ok();
    let word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain || word { text.to_owned() } else { format!("\"{text}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(list: &[&str]) -> Vec<String> {
        list.iter().map(|link| (*link).to_owned()).collect()
    }

    #[test]
    fn every_protection_gives_a_draft_that_reads() {
        for protection in [
            DraftProtection::None,
            DraftProtection::Device("{agent: command, command: \"/sbin/off alpha\"}".to_owned()),
            DraftProtection::Witness {
                address: "10.0.0.9".to_owned(),
                watchdog: "/dev/watchdog".to_owned(),
            },
        ] {
            let text =
                draft("shop", "alpha", &links(&["10.0.0.1", "fd00::1"]), &protection).unwrap();
            let cluster = parse(&text).unwrap();
            assert_eq!(cluster.nodes[0].links, ["10.0.0.1", "fd00::1"]);
            assert!(text.lines().filter(|line| line.starts_with('#')).count() > 8);
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_draft_is_refused() {
        let none = DraftProtection::None;
        for (cluster, node, list) in [
            ("my shop", "a", &["10.0.0.1"][..]),
            ("shop", "a: {}", &["10.0.0.1"]),
            ("shop", "a", &["10.0.0.1]"]),
            ("shop", "a", &[]),
        ] {
            assert!(draft(cluster, node, &links(list), &none).is_err());
        }
        let bad = DraftProtection::Device("{agent: x}\ngroups: {}".to_owned());
        assert!(matches!(
            draft("s", "a", &links(&["10.0.0.1"]), &bad),
            Err(DraftError::Refused(_))
        ));
    }

    #[test]
    fn an_added_node_leaves_every_other_line_alone() {
        let text = "# top\ncluster: x # name\nnodes:\n  # the first\n  alpha: {links: [10.0.0.1]} # rack 1\n  beta:\n    links:\n      - 10.0.0.2   # rack 2\n\n# fence\nfencing: none\n";
        let added = add_node(text, "gamma", &links(&["10.0.0.3"])).unwrap();
        assert_eq!(added, text.replace("# rack 2\n", "# rack 2\n  gamma: {links: [10.0.0.3]}\n"));
    }

    #[test]
    fn a_node_is_added_to_a_flow_map_too() {
        let text = "cluster: x\nfencing: none\nnodes: {a: {links: [10.0.0.1]}, \"b\": {links: [10.0.0.2]},} # {all}\n";
        let added = add_node(text, "c", &links(&["10.0.0.3"])).unwrap();
        assert!(added.contains("{links: [10.0.0.2]}, c: {links: [10.0.0.3]}} # {all}"), "{added}");
        assert_eq!(parse(&added).unwrap().nodes.len(), 3);
    }

    #[test]
    fn blank_lines_and_comments_inside_the_last_node_stay_with_it() {
        let text = "cluster: x\nfencing: none\nnodes:\n  a:\n\n# odd\n    links: [10.0.0.1]\n\n  # after\ngroups: {}\n";
        let added = add_node(text, "b", &links(&["10.0.0.3"])).unwrap();
        assert_eq!(added, text.replace("0.1]\n", "0.1]\n  b: {links: [10.0.0.3]}\n"));
    }

    #[test]
    fn quotes_inside_words_hide_no_braces() {
        let text = "cluster: x\nfencing: none\nnodes: {a: {links: [10.0.0.1], watchdog: /dev/it's}}\n\
                    groups: {g: {resources: [{process: {command: o'neil}}]}}\n";
        let added = add_node(text, "b", &links(&["10.0.0.3"])).unwrap();
        assert!(added.contains("/dev/it's}, b: {links: [10.0.0.3]}}\n"), "{added}");
    }

    #[test]
    fn a_node_at_the_end_of_a_file_without_newline() {
        let text = "cluster: x\nfencing: none\nnodes:\n  a: {links: [10.0.0.1]}";
        let added = add_node(text, "no", &links(&["10.0.0.3"])).unwrap();
        assert_eq!(added, format!("{text}\n  \"no\": {{links: [10.0.0.3]}}\n"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let text = "cluster: x\nfencing: none\nnodes: {a: {links: [10.0.0.1]}}\n";
        assert!(matches!(add_node(text, "a", &links(&["10.0.0.3"])), Err(DraftError::Exists(_))));
        assert!(matches!(add_node(text, "b", &links(&["10.0.0.1"])), Err(DraftError::Refused(_))));
        assert!(matches!(
            add_node(text, "b", &links(&["10.0.0.3", "10.1.0.3"])),
            Err(DraftError::Refused(_))
        ));
        assert!(matches!(
            add_node("nodes: [", "b", &links(&["10.0.0.3"])),
            Err(DraftError::Refused(_))
        ));
    }
}
