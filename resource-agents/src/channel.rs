//! Descriptor 3: what an agent tells the daemon beside its exit code, one line each.

use std::cell::RefCell;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;

use crate::line::{Line, Watch};

/// The lines to the daemon. Without descriptor 3 they go nowhere, which is fine.
#[derive(Debug)]
pub(crate) struct Channel {
    out: RefCell<Option<File>>,
}

impl Channel {
    pub(crate) fn new(out: Option<File>) -> Channel {
        Channel { out: RefCell::new(out) }
    }

    /// The same descriptor for a part of the action.
    pub(crate) fn duplicate(&self) -> Channel {
        let out = self.out.borrow().as_ref().and_then(|out| out.try_clone().ok());
        Channel::new(out)
    }

    /// Why it failed, or why it is as it is; shown to the operator.
    pub(crate) fn reason(&self, text: impl Display) {
        self.send(&Line::Reason(text.to_string()));
    }

    /// What is being done right now; also for people, who read it on the standard error.
    pub(crate) fn progress(&self, text: impl Display) {
        let text = text.to_string();
        let _ = writeln!(std::io::stderr(), "{text}");
        self.send(&Line::Progress(text));
    }

    /// A fact about the resource.
    pub(crate) fn attribute(&self, name: &str, value: impl Display) {
        self.send(&Line::Attribute { name: name.to_owned(), value: value.to_string() });
    }

    pub(crate) fn watch(&self, watch: Watch) {
        self.send(&Line::Watch(watch));
    }

    /// Lets go of the descriptor, in a child that outlives the action.
    pub(crate) fn close(&self) {
        self.out.borrow_mut().take();
    }

    /// One write per line, so that lines of several writers cannot mix.
    fn send(&self, line: &Line) {
        if let Some(out) = self.out.borrow_mut().as_mut() {
            // The daemon may have stopped listening; the action goes on regardless.
            let _ = out.write_all(format!("{line}\n").as_bytes());
        }
    }
}
