//! The meta-data of an OCF agent, read into the same type as our own.

use super::xml::{Event, Parser};
use crate::metadata::{ActionSpec, Kind, MetaData, Observe, Parameter};

/// Reads what an OCF agent's `meta-data` printed, or a fence agent's `metadata`, which is nearly the same.
///
/// Forgiving: unknown tags are skipped, order does not matter, the first description wins
/// (agents put English first). `monitor` becomes `status`, `validate-all` becomes `validate`.
///
/// # Errors
/// The text is no XML, or holds no `<resource-agent name=...>`.
pub fn parse_meta_data(text: &str) -> Result<MetaData, String> {
    if text.len() > LONGEST {
        return Err(format!("{} bytes of meta-data are more than {LONGEST}", text.len()));
    }
    let mut reader = Reader::default();
    let mut parser = Parser::new(text);
    while let Some(event) = parser.event()? {
        match event {
            Event::Open { name, attributes, closed } => {
                reader.open(name, &attributes);
                if closed {
                    reader.close(name);
                }
            }
            Event::Close(name) => reader.close(name),
            Event::Text(text) => reader.text.push_str(&text),
        }
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    meta: Option<MetaData>,
    parameter: Option<Parameter>,
    /// What `<shortdesc>` and `<longdesc>` of the parameter said.
    short: String,
    long: String,
    text: String,
}

impl Reader {
    fn open(&mut self, tag: &str, attributes: &[(&str, String)]) {
        let value = |name: &str| {
            attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
        };
        let flag = |name: &str| matches!(value(name), Some("1" | "true" | "yes"));
        self.text.clear();
        match tag {
            "resource-agent" => {
                self.meta = value("name").map(|name| MetaData {
                    name: name.to_owned(),
                    version: value("version").unwrap_or_default().to_owned(),
                    // Fence agents say it here.
                    short_description: value("shortdesc").unwrap_or_default().to_owned(),
                    long_description: String::new(),
                    primary: None,
                    parameters: Vec::new(),
                    // Nobody has promised otherwise: it may hold data.
                    stateless: false,
                    observe: Observe::Candidates,
                    roles: false,
                    actions: Vec::new(),
                });
            }
            "parameter" => {
                self.short.clear();
                self.long.clear();
                self.parameter = value("name").map(|name| {
                    let mut parameter = Parameter::new(name, Kind::String, "");
                    parameter.required = flag("required");
                    parameter.unique =
                        flag("unique") || value("unique-group").is_some_and(|g| !g.is_empty());
                    parameter.replaces =
                        value("obsoletes").filter(|old| !old.is_empty()).map(str::to_owned);
                    parameter.deprecated = flag("deprecated");
                    parameter
                });
                if let (Some(meta), true) = (&mut self.meta, flag("primary")) {
                    meta.primary = value("name").map(str::to_owned);
                }
            }
            "content" => {
                if let Some(parameter) = &mut self.parameter {
                    parameter.kind = kind(value("type").unwrap_or_default());
                    parameter.default =
                        value("default").filter(|text| !text.is_empty()).map(str::to_owned);
                }
            }
            "option" => {
                if let (Some(parameter), Some(value)) = (&mut self.parameter, value("value")) {
                    parameter.values.push(value.to_owned());
                }
            }
            "action" => {
                if let (Some(meta), Some(name)) = (&mut self.meta, value("name")) {
                    // A fence agent's `monitor` asks the device, its `status` the power of one machine.
                    let fences = meta.name.starts_with("fence_");
                    let name = match name {
                        "monitor" if !fences => "status",
                        "validate-all" if !fences => "validate",
                        other => other,
                    };
                    let milliseconds = |name| value(name).and_then(milliseconds);
                    let action = ActionSpec {
                        name: name.to_owned(),
                        timeout_ms: milliseconds("timeout"),
                        interval_ms: milliseconds("interval").filter(|ms| *ms > 0),
                    };
                    meta.roles |= name == "promote";
                    // One `monitor` per role is usual, and `status` may stand beside it.
                    match meta.actions.iter_mut().find(|known| known.name == action.name) {
                        None => meta.actions.push(action),
                        Some(known) => {
                            known.timeout_ms = known.timeout_ms.max(action.timeout_ms);
                            known.interval_ms = known.interval_ms.or(action.interval_ms);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, tag: &str) {
        let text = tidy(&self.text);
        self.text.clear();
        let inside = self.parameter.is_some();
        match tag {
            "shortdesc" if inside => first(&mut self.short, text),
            "longdesc" if inside => first(&mut self.long, text),
            "shortdesc" => {
                if let Some(meta) = &mut self.meta {
                    first(&mut meta.short_description, text);
                }
            }
            "longdesc" => {
                if let Some(meta) = &mut self.meta {
                    first(&mut meta.long_description, text);
                }
            }
            "parameter" => {
                if let (Some(meta), Some(mut parameter)) = (&mut self.meta, self.parameter.take()) {
                    let long = std::mem::take(&mut self.long);
                    let short = std::mem::take(&mut self.short);
                    parameter.description = if long.is_empty() { short } else { long };
                    if meta.parameter(&parameter.name).is_none() {
                        meta.parameters.push(parameter);
                    }
                }
            }
            _ => {}
        }
    }

    fn finish(self) -> Result<MetaData, String> {
        self.meta.ok_or_else(|| "the XML has no <resource-agent name=\"...\">".to_owned())
    }
}

fn first(place: &mut String, text: String) {
    if place.is_empty() {
        *place = text;
    }
}

fn kind(word: &str) -> Kind {
    match word {
        "boolean" => Kind::Boolean,
        // OCF agents accept more in an "integer" than whole numbers ("20s", ""): see `check`.
        "integer" => Kind::Integer,
        "time" | "duration" => Kind::Duration,
        _ => Kind::String,
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    crate::parse_duration(text).ok().and_then(|span| u64::try_from(span.as_millis()).ok())
}

/// Without the blank lines at both ends.
fn tidy(text: &str) -> String {
    text.trim().to_owned()
}

const LONGEST: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const DUMMY: &str = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="Dummy" version="1.0">
<longdesc lang="en">A &lt;test&gt;</longdesc>
<shortdesc lang="en">Example</shortdesc>
<parameters>
<parameter name="state" unique-group="state" required="1" primary="1">
<longdesc lang="en">Location</longdesc><shortdesc lang="en">File</shortdesc>
<content type="string" default="/run/x.state" />
</parameter>
<parameter name="fake"><content type="select"><option value="a"/><option value="b"/></content></parameter>
</parameters>
<actions>
<action name="start" timeout="20s" />
<action name="monitor" timeout="20s" interval="10s" depth="0" />
<action name="monitor" timeout="30s" interval="11s" role="Promoted" />
<action name="promote" timeout="10" />
<action name="meta-data" timeout="5s" />
</actions>
</resource-agent>"#;

    #[test]
    fn reads_what_ocf_agents_print() {
        let meta = parse_meta_data(DUMMY).expect("reads");
        assert_eq!((meta.name.as_str(), meta.version.as_str()), ("Dummy", "1.0"));
        assert_eq!(meta.long_description, "A <test>");
        assert_eq!(meta.primary.as_deref(), Some("state"));
        let state = meta.parameter("state").expect("state");
        assert!(state.required && state.unique);
        assert_eq!(state.default.as_deref(), Some("/run/x.state"));
        assert_eq!(state.description, "Location");
        assert_eq!(meta.parameter("fake").expect("fake").values, ["a", "b"]);
        let status = meta.action("status").expect("status");
        assert_eq!((status.timeout_ms, status.interval_ms), (Some(30_000), Some(10_000)));
        assert!(meta.roles && !meta.stateless);
    }

    /// As `fence_apc` and `fence_kdump` of Debian 12 write it.
    const FENCE: &str = r#"<?xml version="1.0" ?>
<resource-agent name="fence_apc" shortdesc="Fence agent for APC over telnet/ssh" >
<symlink name="fence_x" shortdesc="Another"/>
<longdesc>Logs into the switch.</longdesc>
<vendor-url>http://www.apc.com</vendor-url>
<parameters>
	<parameter name="action" unique="0" required="1">
		<getopt mixed="-o, --action=[action]" />
		<content type="string" default="reboot"  />
		<shortdesc lang="en">Fencing action</shortdesc>
	</parameter>
	<parameter name="plug" unique="0" required="1" obsoletes="port">
		<getopt mixed="-n, --plug=[id]" />
		<content type="string"  />
		<shortdesc lang="en">Physical plug number</shortdesc>
	</parameter>
	<parameter name="port" unique="0" required="1" deprecated="1">
		<content type="string"  />
	</parameter>
</parameters>
<actions>
	<action name="on" automatic="0"/>
	<action name="off" />
	<action name="monitor" />
</actions>
</resource-agent>"#;

    #[test]
    fn reads_what_fence_agents_print() {
        let meta = parse_meta_data(FENCE).expect("reads");
        assert_eq!(meta.name, "fence_apc");
        assert_eq!(meta.short_description, "Fence agent for APC over telnet/ssh");
        let plug = meta.parameter("plug").expect("plug");
        assert_eq!((plug.required, plug.replaces.as_deref()), (true, Some("port")));
        assert!(meta.parameter("port").expect("port").deprecated && !plug.deprecated);
        // `monitor` is not the power of a machine.
        assert!(meta.action("off").is_some() && meta.action("status").is_none());
    }

    #[test]
    fn text_without_an_agent_is_an_error() {
        assert!(parse_meta_data("<html></html>").unwrap_err().contains("resource-agent"));
        assert!(parse_meta_data("not xml").is_err());
    }
}
