//! Split brain from recorded states, seen from one side and from both.

mod common;

use common::{answer, first_answer};
use crm_drbd::generation::Generation;
use crm_drbd::split_brain::{Verdict, View, recognise, told_by};
use crm_drbd::state::Resource;
use crm_drbd::tracker::Tracker;

struct Recorded {
    resource: Resource,
    generations: Vec<(u32, Generation)>,
}

fn recorded(state: &str) -> Recorded {
    let mut tracker = Tracker::new();
    let events = ["drbdsetup events2 --now --stat", "drbdsetup events2"];
    for line in first_answer(state, &events).output.lines() {
        tracker.line(line).expect("fits");
    }
    let resource = tracker.picture().expect("whole")["r0"].clone();
    let generation = Generation::read(&answer(state, "drbdadm get-gi").output).expect("read");
    Recorded { resource, generations: vec![(0, generation)] }
}

impl Recorded {
    fn view<'a>(&'a self, node: &'a str, told: bool) -> View<'a> {
        View { node, resource: &self.resource, generations: &self.generations, told }
    }

    fn without_generations<'a>(&'a self, node: &'a str, told: bool) -> View<'a> {
        View { node, resource: &self.resource, generations: &[], told }
    }
}

#[test]
fn both_sides_prove_it_with_who_wrote_how_much() {
    for state in ["13-split-both-primary", "14-split-brain"] {
        let (a, b) = (recorded(&format!("{state}.a")), recorded(&format!("{state}.b")));
        let verdict = recognise(&a.view("a", false), Some(&b.view("b", false)));
        let Verdict::Proved(evidence) = &verdict else { panic!("{state}: {verdict}") };
        assert_eq!(evidence.sides.len(), 2);
        assert!(evidence.sides.iter().all(|side| side.is_primary && side.was_primary));
        let text = verdict.to_string();
        assert!(text.contains("KiB changed since they parted"), "{text}");
    }
    let (a, b) = (recorded("14-split-brain.a"), recorded("14-split-brain.b"));
    let text = recognise(&a.view("a", false), Some(&b.view("b", false))).to_string();
    assert_eq!(
        text,
        "split brain: the identifiers of the data have parted; a is Primary, 36 KiB changed since \
         they parted; b is Primary, 40 KiB changed since they parted"
    );
}

#[test]
fn one_side_alone_says_only_what_it_knows() {
    let a = recorded("14-split-brain.a");
    let untold = recognise(&a.without_generations("a", false), None);
    assert!(matches!(untold, Verdict::Possible(_)), "{untold}");
    let told = recognise(&a.without_generations("a", true), None);
    assert!(matches!(told, Verdict::Proved(_)), "{told}");
    // The other side may merely wait.
    let waiting = recorded("08-a-dead-b-secondary.b");
    assert_eq!(recognise(&waiting.view("b", false), None), Verdict::None);
    let with = recognise(
        &waiting.without_generations("b", false),
        Some(&a.without_generations("a", false)),
    );
    assert!(matches!(with, Verdict::Possible(_)), "{with}");
}

#[test]
fn a_cut_link_is_none_while_only_one_side_writes() {
    let (a, b) = (recorded("12-link-cut.a"), recorded("12-link-cut.b"));
    assert_eq!(recognise(&a.view("a", false), Some(&b.view("b", false))), Verdict::None);
    // What was told once does not outlast the proof that one copy holds all of the other.
    let (a, b) = (recorded("18-b-disconnected.a"), recorded("18-b-disconnected.b"));
    assert_eq!(recognise(&a.view("a", true), Some(&b.view("b", false))), Verdict::None);
}

#[test]
fn two_primaries_apart_are_one_even_without_identifiers() {
    let (a, b) = (recorded("13-split-both-primary.a"), recorded("13-split-both-primary.b"));
    let verdict =
        recognise(&a.without_generations("a", false), Some(&b.without_generations("b", false)));
    assert!(matches!(verdict, Verdict::Proved(_)), "{verdict}");
}

#[test]
fn the_stream_tells_it_on_both_sides_and_tells_when_it_is_over() {
    for stream in ["events2-stream.a", "events2-stream.b"] {
        let mut tracker = Tracker::new();
        let mut words = Vec::new();
        for line in common::text(&format!("8.4/{stream}.txt")).lines() {
            for change in tracker.line(line).expect("fits") {
                words.extend(told_by(&change));
            }
        }
        let first = words.iter().position(|told| *told).expect("it was told");
        assert!(words[first + 1..].contains(&false), "{stream}: it was resolved");
    }
}
