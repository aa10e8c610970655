//! Nodes of which one rule, or a few, are broken. Which is chosen per thread, so that one copy of the core
//! serves for all broken builds; each world stays on one thread.

use crm_core::rules::{Rule, Rules};
use std::cell::Cell;

thread_local! {
    static BROKEN: Cell<&'static [Rule]> = const { Cell::new(&[]) };
}

/// Rules of which those given to [`without`] do not hold.
#[derive(Clone, Debug, Default)]
pub struct Mutant;

impl Rules for Mutant {
    fn holds(rule: Rule) -> bool {
        !BROKEN.get().contains(&rule)
    }
}

/// Calls `act`, in which every [`Mutant`] lacks `rules`.
pub fn without<T>(rules: &'static [Rule], act: impl FnOnce() -> T) -> T {
    struct Restore(&'static [Rule]);
    impl Drop for Restore {
        fn drop(&mut self) {
            BROKEN.set(self.0);
        }
    }
    let _restore = Restore(BROKEN.replace(rules));
    act()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_broken_only_inside() {
        assert!(Mutant::holds(Rule::Restamp));
        without(&[Rule::Restamp], || {
            assert!(!Mutant::holds(Rule::Restamp) && Mutant::holds(Rule::JointVoters));
        });
        assert!(Mutant::holds(Rule::Restamp));
    }
}
