//! What is wrong with a configuration: where, what was expected, what was found, what to do.

use crate::tree::Place;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::sync::Arc;

/// After this many diagnostics the rest of a file is not worth reading.
pub const DIAGNOSTICS_MAX: usize = 100;

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration works, and the admin should know this about it.
    Warning,
    /// The configuration is refused.
    Error,
}

/// One thing to say about a configuration, at its place in the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Said beside the caret: what was expected and found.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    at: Place,
    also: Vec<(Place, String)>,
    source: Arc<Source>,
}

#[derive(PartialEq, Eq)]
struct Source {
    name: String,
    text: String,
}

impl Diagnostic {
    /// Says beside the caret what was expected and found.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Diagnostic {
        self.label = label.into();
        self
    }
    /// Says what to do.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Diagnostic {
        self.help = Some(help.into());
        self
    }
    /// Points at a second place.
    pub(crate) fn also(&mut self, at: Place, label: impl Into<String>) -> &mut Diagnostic {
        self.also.push((at, label.into()));
        self
    }

    /// The name of the file, as the caller gave it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// `FILE:LINE:COLUMN: message; help`, for logs and for one-line answers.
    #[must_use]
    pub fn one_line(&self) -> String {
        let mut line = format!("{}:{}:{}: {}", self.file(), self.line, self.column, self.message);
        if !self.label.is_empty() {
            line.push_str(": ");
            line.push_str(&self.label);
        }
        if let Some(help) = &self.help {
            line.push_str("; ");
            line.push_str(help);
        }
        line.replace('\n', " ")
    }

    /// The message with the lines of the file it speaks of; with colours for a terminal.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let text = &self.source.text;
        let first = self.also.iter().map(|(at, _)| at.start).fold(self.at.start, usize::min);
        let last = self.also.iter().map(|(at, _)| at.end).fold(self.at.end, usize::max);
        // Only the lines around are given to the renderer: a file may be large.
        let from = text.get(..first).and_then(|head| head.rfind('\n')).map_or(0, |end| end + 1);
        let to =
            text.get(last..).and_then(|tail| tail.find('\n')).map_or(text.len(), |end| last + end);
        let shown = text.get(from..to).unwrap_or_default();
        let line_start = text.get(..from).unwrap_or_default().matches('\n').count() + 1;
        let local = |at: &Place| {
            let start = at.start.saturating_sub(from).min(shown.len());
            start..at.end.saturating_sub(from).clamp(start, shown.len())
        };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut snippet = Snippet::source(shown).line_start(line_start).path(self.file());
        let mut primary = AnnotationKind::Primary.span(local(&self.at));
        if !self.label.is_empty() {
            primary = primary.label(self.label.as_str());
        }
        snippet = snippet.annotation(primary);
        for (at, label) in &self.also {
            snippet =
                snippet.annotation(AnnotationKind::Context.span(local(at)).label(label.as_str()));
        }
        let mut group: Group<'_> = level.primary_title(self.message.as_str()).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.one_line())
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// The first error and how many more there are, in one line for an operator's answer.
    #[must_use]
    pub fn one_line(&self) -> String {
        let errors: Vec<&Diagnostic> =
            self.0.iter().filter(|found| found.severity == Severity::Error).collect();
        match errors.as_slice() {
            [] => "the configuration is refused without a reason".to_owned(),
            [only] => only.one_line(),
            [first, rest @ ..] => format!("{} (and {} more)", first.one_line(), rest.len()),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.0 {
            writeln!(f, "{diagnostic}\n")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl std::error::Error for Diagnostics {}

/// Collects what is wrong while a text is read.
pub(crate) struct Findings {
    source: Arc<Source>,
    list: Vec<Diagnostic>,
    errors: usize,
}

impl Findings {
    pub(crate) fn new(name: &str, text: &str) -> Findings {
        let source = Arc::new(Source { name: name.to_owned(), text: text.to_owned() });
        Findings { source, list: Vec::new(), errors: 0 }
    }
    pub(crate) fn error(&mut self, at: Place, message: impl Into<String>) -> &mut Diagnostic {
        self.errors += 1;
        self.add(Severity::Error, at, message.into())
    }
    pub(crate) fn warning(&mut self, at: Place, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Severity::Warning, at, message.into())
    }
    /// Whether anything forbids the configuration so far.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether something at this very place forbids it: what follows from that need not be told.
    pub(crate) fn has_error_at(&self, at: &Place) -> bool {
        self.list.iter().any(|found| found.severity == Severity::Error && found.at == *at)
    }

    /// All diagnostics, in the order of the text, at most [`DIAGNOSTICS_MAX`], errors first to stay.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let mut list = self.list;
        if list.len() > DIAGNOSTICS_MAX {
            list.sort_by_key(|found| std::cmp::Reverse(found.severity));
            list.truncate(DIAGNOSTICS_MAX);
        }
        list.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.severity)));
        list
    }

    fn add(&mut self, severity: Severity, at: Place, message: String) -> &mut Diagnostic {
        let head = self.source.text.get(..at.start).unwrap_or_default();
        let line_head = head.rsplit('\n').next().unwrap_or_default();
        let found = Diagnostic {
            severity,
            message,
            label: String::new(),
            help: None,
            line: head.matches('\n').count() + 1,
            column: line_head.chars().count() + 1,
            at,
            also: Vec::new(),
            source: Arc::clone(&self.source),
        };
        // A file of nonsense: what comes late overwrites the last one, so memory stays bounded.
        if self.list.len() >= 10 * DIAGNOSTICS_MAX {
            self.list.pop();
        }
        let index = self.list.len();
        self.list.push(found);
        &mut self.list[index]
    }
}
