//! Every placement of one fault in a few stories keeps every promise; and the search finds broken
//! rules, those among them that drawn faults did not find.

use crm_core::rules::{Rules, Sound};
use crm_sim::assumptions::Assumption;
use crm_sim::broken::Broken;
use crm_sim::mutant::{self, Mutant};
use crm_sim::search::{Bounds, Found, Menu, Path, Story, explore, layouts, replay};
use crm_sim::trace::Trace;

fn search<R: Rules>(
    layout: &str,
    story: &str,
    twists: u8,
) -> (Found, Option<(Path, &'static str)>) {
    search_without::<R>(layout, story, twists, None)
}

fn search_without<R: Rules>(
    layout: &str,
    story: &str,
    twists: u8,
    breaks: Option<Assumption>,
) -> (Found, Option<(Path, &'static str)>) {
    let layout = layouts::find(layout).unwrap();
    let story = Story::find(story).unwrap();
    let bounds =
        Bounds { twists, menu: Menu::Short, states_max: STATES_MAX, lasts: None, from: 0, breaks };
    let (found, broken) = explore(story.begin::<R>(layout, Trace::silent()).unwrap(), bounds);
    let broken = broken.map(|(path, violation)| {
        // The path alone leads there again.
        let mut world = story.begin::<R>(layout, Trace::tail()).unwrap();
        let again = replay(&mut world, &path).map(|violation| violation.invariant);
        assert_eq!(again, Some(violation.invariant), "{}", violation.detail);
        (path, violation.invariant)
    });
    (found, broken)
}

#[test]
fn every_placement_of_one_fault_keeps_every_promise() {
    let mut states = 0;
    let searches: [(&str, &[&str]); 3] = [
        ("pair", &["calm", "owner-dies", "banned", "cut", "daemon-restarts", "parts", "parts-cut"]),
        ("pair-none", &["owner-dies", "cut"]),
        ("pair-tied", &["calm", "daemon-restarts", "parts"]),
    ];
    for (layout, stories) in searches {
        for story in stories {
            let (found, broken) = search::<Sound>(layout, story, 1);
            assert_eq!(broken, None, "{layout} {story}");
            assert!(found.exhausted && found.branches > 50, "{layout} {story} {found:?}");
            states += found.states;
        }
    }
    for layout in ["pair-witness", "pair-witness-watchdog", "trio-watchdog"] {
        let (found, broken) = search::<Sound>(layout, "calm", 1);
        assert_eq!(broken, None, "{layout}");
        states += found.states;
    }
    assert!(states > 300_000, "{states}");
}

#[test]
fn every_placement_of_two_faults_in_a_calm_pair_keeps_every_promise() {
    let (found, broken) = search::<Sound>("pair", "calm", 2);
    assert_eq!(broken, None);
    assert!(found.exhausted && found.states > 300_000, "{found:?}");
}

/// The first search keeps every promise without the assumption, the second one does not.
fn rests_on(breaks: Assumption, safe: (&str, &str), unsafe_one: (&str, &str), promise: &str) {
    let (found, broken) = search_without::<Sound>(safe.0, safe.1, 1, Some(breaks));
    assert_eq!(broken, None);
    assert!(found.exhausted, "{found:?}");
    let (_, broken) = search_without::<Sound>(unsafe_one.0, unsafe_one.1, 1, Some(breaks));
    assert_eq!(broken.map(|(_, promise)| promise), Some(promise));
}

#[test]
fn h20_one_restored_store_among_three_votes_is_harmless_and_beside_a_loss_it_is_not() {
    rests_on(Assumption::Disk, ("pair-witness", "calm"), ("pair-witness", "owner-dies"), HISTORY);
}

#[test]
fn h25_a_paused_machine_is_harmless_with_a_device_and_with_a_watchdog_it_is_not() {
    rests_on(Assumption::Clock, ("pair", "owner-dies"), ("trio-watchdog", "calm"), ONE_NODE);
}

#[test]
fn the_same_search_finds_the_same() {
    let first = search::<Sound>("pair", "cut", 1);
    assert_eq!(first, search::<Sound>("pair", "cut", 1));
}

/// A broken rule is found where the sound rules pass.
fn must_be_found(name: &str, layout: &str, story: &str, twists: u8, promise: &str) {
    let broken = Broken::find(name).unwrap_or_else(|| panic!("no rule is called {name}"));
    let (found, caught) = mutant::without(broken.rules, || search::<Mutant>(layout, story, twists));
    let caught = caught.map(|(_, promise)| promise);
    assert_eq!(caught, Some(promise), "{name}: {found:?}");
}

#[test]
fn h16_fed_on_opening_is_found() {
    must_be_found("fed-on-opening", "trio-watchdog", "isolated", 1, ONE_NODE);
}

#[test]
fn h17_fed_while_stopping_is_found() {
    must_be_found("fed-while-stopping", "trio-watchdog", "isolated", 1, ONE_NODE);
}

#[test]
fn r16_company_not_asked_is_found() {
    must_be_found("company-not-asked", "pair", "parts-cut", 1, ONE_NODE);
}

const HISTORY: &str = "a_committed_change_is_in_every_later_committed_record";
const ONE_NODE: &str = "a_group_runs_on_at_most_one_node";
/// More than any of these searches meets.
const STATES_MAX: u64 = 2_000_000;
