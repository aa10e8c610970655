//! Which faults strike one run, and from which seed.

use super::{Fault, Subject};
use crate::random::Random;

/// One run to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// One fault, or two; in the order of [`super::every::single`].
    pub faults: Vec<Fault>,
    /// Draws when they strike, how long they last, and all luck.
    pub seed: u64,
}

impl Case {
    /// Its faults by their names, joined by `+`.
    #[must_use]
    pub fn names(&self, subject: &Subject) -> String {
        let names: Vec<String> =
            self.faults.iter().map(|fault| fault.id(&subject.cluster)).collect();
        names.join("+")
    }

    /// The same, for people.
    #[must_use]
    pub fn words(&self, subject: &Subject) -> String {
        let words: Vec<String> =
            self.faults.iter().map(|fault| fault.words(&subject.cluster)).collect();
        words.join(", and ")
    }

    /// Everything that is drawn in this run. Two cases of one seed share no luck.
    pub(super) fn random(&self, subject: &Subject) -> Random {
        Random::new(self.seed).fork(&self.names(subject))
    }
}
