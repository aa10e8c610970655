//! Nodes of which one rule is broken. Which one is chosen per thread, so that one copy of the core
//! serves for all broken builds; each world stays on one thread.

use crm_core::rules::{Rule, Rules};
use std::cell::Cell;

thread_local! {
    static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Rules of which the one given to [`without`] does not hold.
#[derive(Clone, Debug, Default)]
pub struct Mutant;

impl Rules for Mutant {
    fn holds(rule: Rule) -> bool {
        BROKEN.get() != Some(rule)
    }
}

/// Calls `act`, in which every [`Mutant`] lacks `rule`.
pub fn without<T>(rule: Rule, act: impl FnOnce() -> T) -> T {
    struct Restore(Option<Rule>);
    impl Drop for Restore {
        fn drop(&mut self) {
            BROKEN.set(self.0);
        }
    }
    let _restore = Restore(BROKEN.replace(Some(rule)));
    act()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_broken_only_inside() {
        assert!(Mutant::holds(Rule::Restamp));
        without(Rule::Restamp, || {
            assert!(!Mutant::holds(Rule::Restamp) && Mutant::holds(Rule::JointVoters));
        });
        assert!(Mutant::holds(Rule::Restamp));
    }
}
