//! A new definition of a group that may be running.
//!
//! What can change without a restart changes at once. Otherwise the resources from the first
//! difference on are stopped by their old definition and started by the new one.

use super::ExecuteOutput;
use super::duties::Duties;
use super::group::{GroupState, Incoming};
use super::resource::{ResourceState, Verdict};
use crate::model::{Group, Resource};
use crate::operation::Action;
use crate::status::ResourcePhase;
use crate::time::Time;
use std::sync::Arc;

impl GroupState {
    /// Takes a new definition, now as far as possible, the rest when it may (see [`Self::land`]).
    pub(super) fn define(&mut self, now: Time, group: &Group) {
        self.retiring = false;
        self.restart = group.restart;
        for resource in &mut self.resources {
            let same = group.resources.iter().find(|new| resource.spec.is_same_thing(new));
            if let Some(new) = same.filter(|new| **new != *resource.spec) {
                resource.spec = Arc::new(new.clone());
                resource.look_at = resource.look_at.min(now + resource.interval());
            }
        }
        let pairs = self.resources.iter().zip(&group.resources);
        let kept = |(old, new): &(&ResourceState, &Resource)| old.spec.is_same_thing(new);
        let same = pairs.take_while(kept).count();
        self.incoming = (same < self.resources.len().max(group.resources.len())).then(|| {
            let resources = group.resources[same..].iter().cloned().map(Arc::new).collect();
            Incoming { from: same, resources }
        });
    }

    /// Everything that had to go down once is down: the new definition takes its place.
    pub(super) fn land(&mut self, now: Time, duties: &mut Duties) {
        if let Some(counter) = self.restart_to.take() {
            self.restarts_done = counter;
        }
        let Some(incoming) = self.incoming.take() else { return };
        let mut old = self.resources.split_off(incoming.from);
        for spec in incoming.resources {
            let known = old.iter().position(|resource| resource.spec.is_same_thing(&spec));
            let state = match known {
                Some(i) => ResourceState { spec, ..old.remove(i) },
                // Nobody has looked at this one: unknown is never stopped.
                None => ResourceState::unknown(now, spec),
            };
            self.resources.push(state);
        }
        if old.is_empty() {
            return;
        }
        for gone in &old {
            duties.unwatch(&self.id, &gone.spec.id);
        }
        self.doubt(now, incoming.from, &old, duties);
    }

    /// I2: what was stopped may be what is kept, by another definition or under another name, as a mount with other options
    /// is the same mount. So what is kept is looked at before anything starts on it. That it does not run is no failure
    /// where it was stopped so, as far as definitions tell. A look that has begun says nothing.
    fn doubt(&mut self, now: Time, kept: usize, gone: &[ResourceState], duties: &mut Duties) {
        for resource in self.resources.iter_mut().take(kept) {
            if let Some(open) = resource.open.as_mut().filter(|open| open.action == Action::Status)
                && !std::mem::replace(&mut open.cancelled, true)
            {
                duties.outputs.push_back(ExecuteOutput::Cancel { op: open.op });
            }
            let own = &resource.spec;
            let stopped_with_it =
                gone.iter().any(|gone| gone.spec.id == own.id || gone.spec.clashes_with(own));
            let undecided = resource.verdict == Verdict::Open;
            match resource.phase {
                ResourcePhase::Running if !stopped_with_it => resource.unsure = true,
                ResourcePhase::Running | ResourcePhase::Unknown => {
                    resource.set(ResourcePhase::Unknown, None);
                }
                ResourcePhase::Failed if undecided && stopped_with_it => {
                    resource.set(ResourcePhase::Unknown, None);
                }
                _ => continue,
            }
            resource.look_at = now;
        }
    }
}
