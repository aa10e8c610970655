//! The tracker on recorded streams of `drbdsetup events2`.

mod common;

use crm_drbd::state::{Connection, Disk, Role};
use crm_drbd::tracker::{Change, Lost, Tracker, What};

fn follow(tracker: &mut Tracker, text: &str) -> Vec<Change> {
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(number, line)| {
            tracker.line(line).unwrap_or_else(|error| panic!("line {}: {error}", number + 1))
        })
        .collect()
}

fn told(changes: &[Change]) -> Vec<String> {
    let real = changes.iter().filter(|change| change.what != What::Progress);
    real.map(|change| change.what.to_string()).collect()
}

#[test]
fn whole_recorded_lives_are_followed() {
    for name in ["events2-stream.a", "events2-stream.b", "events2-stream-statistics.b"] {
        let mut tracker = Tracker::new();
        let changes = follow(&mut tracker, &common::text(&format!("8.4/{name}.txt")));
        let picture = tracker.picture().expect("whole");
        assert!(picture.contains_key("r0"), "{name}");
        let told = told(&changes);
        for expected in [
            "is there",
            "role Secondary -> Primary",
            "disk 0 Inconsistent -> UpToDate",
            "peer Connected -> NetworkFailure",
            "calls split-brain",
            "split-brain answered 0",
            "peer Disconnecting -> StandAlone",
        ] {
            assert!(told.iter().any(|line| line == expected), "{name}: {expected}: {told:#?}");
        }
    }
}

#[test]
fn what_8_4_says_of_a_connection_that_was_ended_breaks_no_stream() {
    let mut tracker = Tracker::new();
    let told = told(&follow(&mut tracker, &common::text("8.4/events2-takeover.b.txt")));
    for expected in ["fence-peer answered 1792", "role Secondary -> Primary"] {
        assert!(told.iter().any(|line| line == expected), "{expected}: {told:#?}");
    }
    let peer = &tracker.picture().expect("whole")["r0"].peers["peer"];
    assert_eq!(
        (&peer.connection, &peer.volumes[&0].disk),
        (&Connection::Connecting, &Disk::Outdated)
    );
    // With its name it is one that should be known.
    let named =
        "change peer-device name:r0 peer-node-id:0 conn-name:other volume:0 peer-disk:Outdated";
    assert!(matches!(tracker.line(named), Err(Lost::Misfit(_))));
}

#[test]
fn statistics_change_nothing_that_matters() {
    let lives = ["events2-stream.b", "events2-stream-statistics.b"].map(|name| {
        let mut tracker = Tracker::new();
        told(&follow(&mut tracker, &common::text(&format!("8.4/{name}.txt"))))
    });
    // They were recorded together; the one with statistics a moment longer or shorter.
    let [plain, counted] = lives;
    let both = plain.len().min(counted.len());
    assert!(both > 100);
    assert_eq!(plain[..both], counted[..both]);
}

#[test]
fn changes_are_told_with_what_was_before() {
    let mut tracker = Tracker::new();
    let text = common::text("9/events2.txt");
    let (dump, life) = text.split_once("exists -\n").expect("a dump");
    let first = follow(&mut tracker, dump);
    assert!(first.is_empty(), "nothing is told before the dump is whole");
    assert_eq!(tracker.picture(), Err(&Lost::NoDump));
    let whole = tracker.line("exists -").expect("fits");
    assert!(told(&whole).contains(&"disk 1 (not said) -> Inconsistent".to_owned()));
    let changes = told(&follow(&mut tracker, life));
    assert_eq!(
        changes,
        [
            "disk 1 Inconsistent -> UpToDate",
            "beta/1 replication SyncTarget -> Established",
            "volume 0 lost quorum",
            "I/O is held back: quorum",
            "is gone",
            "is there",
            "role (not said) -> Secondary",
            "I/O is held back: quorum",
            "disk 0 (not said) -> UpToDate",
            "volume 0 lost quorum",
            "disk 1 (not said) -> UpToDate",
            "volume 1 has quorum",
            "beta (not said) -> Connected",
            "beta role (not said) -> Primary",
            "beta/0 replication (not said) -> Established",
            "beta/0 disk (not said) -> UpToDate",
            "beta/1 replication (not said) -> Established",
            "beta/1 disk (not said) -> UpToDate",
            "beta/0 replication Established -> (not said)",
            "beta/0 disk UpToDate -> (not said)",
            "beta/1 replication Established -> (not said)",
            "beta/1 disk UpToDate -> (not said)",
            "beta Connected -> (not said)",
            "beta role Primary -> (not said)",
            "disk 0 UpToDate -> (not said)",
            "disk 1 UpToDate -> (not said)",
            "is gone",
        ]
    );
    assert!(tracker.picture().expect("whole").is_empty());
}

const DUMP: &str = "exists resource name:r0 role:Primary suspended:no\n\
    exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary\n\
    exists device name:r0 volume:0 minor:0 disk:UpToDate\n\
    exists -\n";

#[test]
fn a_new_dump_replaces_what_was_known_and_tells_the_difference() {
    let mut tracker = Tracker::new();
    follow(&mut tracker, DUMP);
    tracker.restart();
    assert!(tracker.picture().is_err(), "what is not known to be so is not told");
    let later = DUMP.replace("Primary", "Secondary").replace("UpToDate", "Outdated");
    let changes = follow(&mut tracker, &later);
    assert_eq!(told(&changes), ["role Primary -> Secondary", "disk 0 UpToDate -> Outdated"]);
    // The same without a restart, as newer tools do on request.
    let changes = follow(&mut tracker, "exists -\n");
    assert_eq!(told(&changes), ["is gone"]);
}

#[test]
fn a_line_that_does_not_fit_leaves_no_picture() {
    for line in [
        "r0: No such resource",
        "change resource name:r9 role:Primary",
        "change device name:r0 volume:7 disk:UpToDate",
        "create peer-device name:r0 conn-name:nobody volume:0 replication:Off",
        "change resource name:r0",
        "exists resource name:r0",
        "change device name:r0 vol",
        "rename device name:r0 volume:0",
    ] {
        let mut tracker = Tracker::new();
        follow(&mut tracker, DUMP);
        let fits = matches!(line, "change resource name:r0" | "exists resource name:r0");
        assert_eq!(tracker.line(line).is_ok(), fits, "{line}");
        if fits {
            continue;
        }
        assert!(matches!(tracker.picture(), Err(Lost::Misfit(_))), "{line}");
        // Even a line that would fit changes nothing now; only a new start does.
        assert!(tracker.line("change resource name:r0 role:Secondary").is_err(), "{line}");
        tracker.restart();
        follow(&mut tracker, DUMP);
        assert_eq!(tracker.picture().expect("whole")["r0"].role, Role::Primary, "{line}");
    }
}

#[test]
fn a_change_before_or_inside_a_dump_is_a_misfit() {
    let mut tracker = Tracker::new();
    assert!(tracker.line("create resource name:r0 role:Secondary").is_err());
    let mut tracker = Tracker::new();
    tracker.line("exists resource name:r0 role:Secondary").expect("fits");
    assert!(tracker.line("change resource name:r0 role:Primary").is_err());
}

#[test]
fn a_dump_that_is_cut_short_leaves_the_last_whole_picture_unknown() {
    let mut tracker = Tracker::new();
    follow(&mut tracker, DUMP);
    tracker.restart();
    tracker.line("exists resource name:r0 role:Primary suspended:no").expect("fits");
    tracker.restart();
    assert!(tracker.picture().is_err());
    follow(&mut tracker, DUMP);
    let picture = tracker.picture().expect("whole");
    assert_eq!(picture["r0"].volumes[&0].disk, Disk::UpToDate);
    assert_eq!(picture["r0"].peers["peer"].connection, Connection::Connected);
}

#[test]
fn a_connection_that_was_cut_before_the_dump_has_no_name_until_it_is_made_again() {
    let mut tracker = Tracker::new();
    let dump = common::answer("14-split-brain.a", "drbdsetup events2").output;
    follow(&mut tracker, &dump);
    assert!(tracker.picture().expect("whole")["r0"].stands_alone());
    let again = "create connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting \
                 role:Unknown";
    tracker.line(again).expect("fits");
    let picture = tracker.picture().expect("whole");
    assert_eq!(picture["r0"].peers.keys().collect::<Vec<_>>(), ["peer"]);
    assert!(!picture["r0"].stands_alone());
}
