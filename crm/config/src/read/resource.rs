//! One resource: `- vip: 192.0.2.7/24`, `- filesystem: {device: …}`, `- systemd:nginx`.

use super::Reader;
use super::section::Section;
use crate::agents::{OWN_AGENTS, own_agent};
use crate::nearest::nearest;
use crate::tree::{Entry, Place, Tree, Value, shorten};
use crm_core::id::{ResourceId, is_valid_name};
use crm_core::model::{AgentClass, AgentRef, OnFail, Resource, Timeouts};
use crm_core::time::Span;
use std::collections::BTreeMap;

/// Between two polls of `status` if the configuration does not say.
pub(crate) const INTERVAL: Span = Span::secs(10);

/// Words with a meaning of their own in every resource; agents may not use them.
pub(crate) const RESERVED: &[&str] =
    &["name", "timeouts", "on_fail", "interval", "args", "stateless", "params"];

/// Keys of `timeouts`.
pub(crate) const TIMEOUT_KEYS: &[&str] = &["start", "stop", "status"];

/// The names used in a group so far, each with the last number that was tried behind it.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, u32>);

impl Names {
    /// `base`, or the first of `base-2`, `base-3`, … that is free.
    fn free(&mut self, base: String) -> String {
        let Some(mut number) = self.0.get(&base).copied() else { return base };
        loop {
            number = number.saturating_add(1);
            let id = format!("{base}-{number}");
            if !self.0.contains_key(&id) {
                self.0.insert(base, number);
                return id;
            }
        }
    }
}

impl Reader<'_> {
    /// Reads the resource at `path`; `taken` are the names used before it in its group.
    pub(super) fn resource(
        &mut self,
        tree: &Tree,
        path: &str,
        taken: &mut Names,
    ) -> Option<Resource> {
        let nothing = Tree { at: tree.at.end..tree.at.end, value: Value::Empty };
        let (agent_text, agent_at, body) = match &tree.value {
            Value::Map(entries) => match entries.as_slice() {
                [only] => (only.key.as_str(), only.key_at.clone(), &only.value),
                _ => {
                    self.findings
                        .error(tree.at.clone(), "a resource has exactly one key, its agent")
                        .label(format!("expected one key, found {}", entries.len()))
                        .help("write `- agent: {parameter: value}`; check the indentation of the parameters");
                    return None;
                }
            },
            Value::Scalar(text) => (text.as_str(), tree.at.clone(), &nothing),
            _ => {
                self.wrong(tree, "a resource", "`agent: value` or `agent: {parameter: value}`");
                return None;
            }
        };
        self.places.note(path, &agent_at);
        let agent = self.agent(agent_text, &agent_at)?;
        let own = match agent.class {
            AgentClass::Own => own_agent(&agent.name),
            _ => None,
        };
        let mut resource = Resource {
            id: ResourceId::new(""),
            params: BTreeMap::new(),
            args: Vec::new(),
            timeouts: own.map(|own| own.timeouts()).unwrap_or_default(),
            interval: INTERVAL,
            on_fail: OnFail::Restart,
            stateless: own.is_some_and(|own| own.stateless),
            observe_everywhere: own.is_some_and(|own| own.observe_everywhere),
            agent,
        };
        let mut name = None;
        match &body.value {
            Value::Empty => {}
            Value::Map(_) => {
                let section =
                    Section::open(body, format!("resource `{}`", shorten(agent_text)), self)?;
                name = self.resource_keys(&section, path, &mut resource);
            }
            Value::Scalar(text) => self.primary(&mut resource, text, body, path),
            Value::List(_) => {
                let found = self
                    .findings
                    .error(body.at.clone(), "the parameters of a resource are not a list")
                    .label("expected a value or `{parameter: value}`, found a list");
                if takes_args(&resource.agent.class) {
                    found.help("write positional arguments as `{args: [first, second]}`");
                }
            }
        }
        if let Some(own) = own {
            for parameter in
                own.required.iter().filter(|name| !resource.params.contains_key(**name))
            {
                let found = self
                    .findings
                    .error(agent_at.clone(), format!("`{}` needs `{parameter}`", own.name))
                    .label(format!("`{parameter}` is missing"));
                if own.primary == Some(*parameter) {
                    found.help(format!("write `- {}: {}`", own.name, parameter.to_uppercase()));
                } else {
                    found.help(format!("write `- {}: {{{parameter}: …}}`", own.name));
                }
            }
        }
        resource.id = self.resource_id(name, &resource.agent, &agent_at, taken);
        Some(resource)
    }

    /// Reads `vip`, `ocf:PROVIDER:NAME`, `systemd:UNIT`, `lsb:SCRIPT` or `heartbeat:SCRIPT`.
    pub(super) fn agent(&mut self, text: &str, at: &Place) -> Option<AgentRef> {
        let parsed = match text.split_once(':') {
            None => Some((AgentClass::Own, text)),
            Some(("systemd", unit)) => Some((AgentClass::Systemd, unit)),
            Some(("lsb", script)) => Some((AgentClass::Lsb, script)),
            Some(("heartbeat", script)) => Some((AgentClass::Heartbeat, script)),
            Some(("ocf", rest)) => rest
                .split_once(':')
                .filter(|(provider, _)| is_valid_name(provider))
                .map(|(provider, name)| (AgentClass::Ocf { provider: provider.to_owned() }, name)),
            Some(_) => None,
        };
        match parsed {
            Some((class, name)) if is_agent_name(&class, name) => {
                Some(AgentRef { class, name: name.to_owned() })
            }
            _ => {
                let found = self
                    .findings
                    .error(at.clone(), format!("`{}` is not an agent", shorten(text)))
                    .label("expected the name of an agent");
                // HB11: pages about Heartbeat show its line continuation in a Korean font.
                if matches!(text, "W" | "₩" | "\\") {
                    found.help(
                        "a lone `W` or `₩` is often a backslash that a Korean font drew: remove it",
                    );
                } else {
                    found.help(
                        "agents are written `vip`, `ocf:PROVIDER:NAME`, `systemd:UNIT`, `lsb:SCRIPT` \
                         or `heartbeat:SCRIPT`",
                    );
                }
                None
            }
        }
    }

    fn primary(&mut self, resource: &mut Resource, text: &str, body: &Tree, path: &str) {
        let own = match resource.agent.class {
            AgentClass::Own => own_agent(&resource.agent.name),
            _ => None,
        };
        if let Some(primary) = own.and_then(|own| own.primary) {
            self.places.note(format!("{path}/{primary}"), &body.at);
            resource.params.insert(primary.to_owned(), text.to_owned());
            return;
        }
        if resource.agent.class == AgentClass::Own && own.is_none() {
            let name = &resource.agent.name;
            let found = self.findings.error(
                self.places.find(path),
                format!("there is no agent `{}` of ours", shorten(name)),
            );
            match nearest(name, OWN_AGENTS.iter().map(|own| own.name)) {
                Some(meant) => found.help(format!("did you mean `{meant}`?")),
                None => found
                    .help("one that you installed takes `{parameter: value}`, not a single value"),
            };
            return;
        }
        let help = if takes_args(&resource.agent.class) {
            format!("write `- {}: {{args: [{}]}}`", resource.agent, shorten(text))
        } else if resource.agent.class == AgentClass::Systemd {
            format!("write `- {}` alone", resource.agent)
        } else {
            format!("write `- {}: {{parameter: {}}}`", resource.agent, shorten(text))
        };
        self.findings
            .error(
                body.at.clone(),
                format!("`{}` has no parameter that a single value stands for", resource.agent),
            )
            .label("expected `{parameter: value}`")
            .help(help);
    }

    /// Reads all keys of a resource and returns its name and the name's place.
    fn resource_keys(
        &mut self,
        section: &Section<'_>,
        path: &str,
        resource: &mut Resource,
    ) -> Option<(String, Place)> {
        let mut name = None;
        for entry in section.entries {
            match entry.key.as_str() {
                "name" => {
                    name = self
                        .text(&entry.value, "`name`", "a name")
                        .map(|text| (text.to_owned(), entry.value.at.clone()));
                }
                "timeouts" => self.timeouts(entry, &mut resource.timeouts),
                "on_fail" => {
                    if let Some(chosen) = self.on_fail(entry) {
                        resource.on_fail = chosen;
                    }
                }
                "interval" => {
                    if let Some(span) = self.positive_duration(entry) {
                        resource.interval = span;
                    }
                }
                "args" => self.args(entry, resource),
                "stateless" => self.stateless(entry, resource),
                "params" => self.foreign_params(entry, path, resource),
                _ => self.param(entry, path, &mut resource.params),
            }
        }
        name
    }

    fn on_fail(&mut self, entry: &Entry) -> Option<OnFail> {
        self.choice(
            entry,
            &[
                ("restart", OnFail::Restart),
                ("move", OnFail::Move),
                ("ignore", OnFail::Ignore),
                ("block", OnFail::Block),
            ],
        )
    }

    /// Reads `timeouts: {start: 20s, stop: 30s, status: 5s}` over the defaults in `timeouts`.
    pub(super) fn timeouts(&mut self, entry: &Entry, timeouts: &mut Timeouts) {
        let Some(section) = Section::open(&entry.value, "`timeouts`".to_owned(), self) else {
            return;
        };
        let section = section.allow(TIMEOUT_KEYS, self);
        for (key, field) in [
            ("start", &mut timeouts.start),
            ("stop", &mut timeouts.stop),
            ("status", &mut timeouts.status),
        ] {
            let span = section.entry(key).and_then(|entry| self.positive_duration(entry));
            *field = span.unwrap_or(*field);
        }
    }

    fn args(&mut self, entry: &Entry, resource: &mut Resource) {
        if !takes_args(&resource.agent.class) {
            self.findings
                .error(
                    entry.key_at.clone(),
                    format!("`{}` takes no positional arguments", resource.agent),
                )
                .label("`args` is for `heartbeat:` and `lsb:` only")
                .help("give each parameter its name");
            return;
        }
        let items = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            Value::Scalar(_) => std::slice::from_ref(&entry.value),
            _ => return self.wrong(&entry.value, "`args`", "a list of arguments"),
        };
        for item in items {
            if let Some(text) = self.text(item, "an argument", "a value") {
                resource.args.push(text.to_owned());
            }
        }
    }

    fn stateless(&mut self, entry: &Entry, resource: &mut Resource) {
        let Some(said) = self.boolean(entry) else { return };
        let own = match resource.agent.class {
            AgentClass::Own => own_agent(&resource.agent.name),
            _ => None,
        };
        if said && own.is_some_and(|own| !own.stateless && !own.stateless_is_admins_choice) {
            self.findings
                .error(entry.key_at.clone(), format!("`{}` is never stateless", resource.agent))
                .label("two copies of it destroy data")
                .help("remove this; a group that may move on silence all the same says `unsafe_failover: true`");
            return;
        }
        resource.stateless = said;
    }

    /// `params: {name: x}`: for foreign agents whose parameters carry one of the reserved words.
    fn foreign_params(&mut self, entry: &Entry, path: &str, resource: &mut Resource) {
        if resource.agent.class == AgentClass::Own {
            self.findings
                .error(entry.key_at.clone(), "`params` is a reserved word")
                .label("our own agents take their parameters directly")
                .help("move what is in it one level up");
            return;
        }
        let Some(section) = Section::open(&entry.value, "`params`".to_owned(), self) else {
            return;
        };
        for entry in section.entries {
            self.param(entry, path, &mut resource.params);
        }
    }

    /// One parameter of an agent: its name goes into a variable of the environment.
    pub(super) fn param(
        &mut self,
        entry: &Entry,
        path: &str,
        params: &mut BTreeMap<String, String>,
    ) {
        if !is_parameter_name(&entry.key) {
            self.findings
                .error(
                    entry.key_at.clone(),
                    format!("`{}` cannot name a parameter", shorten(&entry.key)),
                )
                .label("expected letters, digits and `_`")
                .help("agents get their parameters as variables of the environment");
            return;
        }
        let what = format!("`{}`", entry.key);
        let Some(text) = self.text(&entry.value, &what, "a value; quote it if it is `~` or `null`")
        else {
            return;
        };
        if text.contains('\0') {
            return self.wrong(&entry.value, &what, "a value without NUL bytes");
        }
        self.places.note(format!("{path}/{}", entry.key), &entry.value.at);
        if params.insert(entry.key.clone(), text.to_owned()).is_some() {
            self.findings
                .error(entry.key_at.clone(), format!("`{}` is given twice", entry.key))
                .label("once directly and once in `params`")
                .help("keep one of the two");
        }
    }

    /// The name that was given, or one made from the agent's: `vip`, `vip-2`.
    fn resource_id(
        &mut self,
        name: Option<(String, Place)>,
        agent: &AgentRef,
        at: &Place,
        taken: &mut Names,
    ) -> ResourceId {
        let id = match name {
            Some((name, at)) => {
                self.valid_name(&name, &at, "a resource");
                if taken.0.contains_key(&name) {
                    self.findings
                        .error(
                            at,
                            format!("a second resource called `{}` in this group", shorten(&name)),
                        )
                        .label("this name is taken")
                        .help("choose another `name`");
                }
                name
            }
            None => {
                let id = taken.free(plain_name(agent));
                if !is_valid_name(&id) {
                    self.valid_name(&id, at, "a resource");
                }
                id
            }
        };
        taken.0.insert(id.clone(), 1);
        ResourceId::new(&id)
    }
}

fn takes_args(class: &AgentClass) -> bool {
    matches!(class, AgentClass::Heartbeat | AgentClass::Lsb)
}

/// Whether `name` may name an agent: it becomes a file name or a unit, never a path.
fn is_agent_name(class: &AgentClass, name: &str) -> bool {
    match class {
        AgentClass::Own => {
            name.len() > 1
                && is_valid_name(name)
                && name.starts_with(|c: char| c.is_ascii_lowercase())
        }
        AgentClass::Systemd => {
            (1..=255).contains(&name.len())
                && !name.starts_with(['-', '.'])
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@:\\".contains(&b))
        }
        _ => is_valid_name(name),
    }
}

fn is_parameter_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// The agent's name as far as it can name a resource.
fn plain_name(agent: &AgentRef) -> String {
    const CHARS_MAX: usize = 48;
    let name: String = agent
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .take(CHARS_MAX)
        .collect();
    let name = name.trim_start_matches(['.', '_', '-']);
    name.strip_suffix(".service").unwrap_or(name).to_owned()
}
