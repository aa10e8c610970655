//! The power is cut after every single operation of the store's disk, the daemon is killed there,
//! and every operation fails there; and it starts again.
//!
//! What the store is given comes from whole clusters of the real core on virtual time, whose
//! machines elect, vote, commit, join, leave and crash; what it must not forget is what those
//! machines said to one another at that moment.

mod aftermath;
mod fault_disk;
mod founding;
mod replay;
mod said;

use crate::happening::{Happening, Tell};
use crate::store::{Spare, Writer};
use crm_core::Input;
use crm_core::id::{Epoch, GroupId, ServiceId, Stamp, StoreId, WriteId};
use crm_core::record::{Failures, GrantState, Record, RoleGrant, Stored};
use crm_core::rules::Sound;
use crm_sim::diary::{Claim, Entry};
use crm_sim::layouts;
use crm_sim::plan::{Begin, Plan, Profile};
use crm_sim::trace::Trace;
use crm_sim::world::World;
use fault_disk::{Fault, FaultDisk, Skips};
use replay::{Figures, Mistakes, Replay};
use said::{Broken, Said};

/// A run that is replayed.
struct Run {
    layout: &'static str,
    profile: Profile,
    seed: u64,
    /// Virtual.
    seconds: u64,
    machines: usize,
    begin: Begin,
}

const RUNS: &[Run] = &[
    // Nodes join, one after the other, and become voters.
    Run {
        layout: "five-watchdog",
        profile: Profile::Elections,
        seed: 3,
        seconds: 60,
        machines: 4,
        begin: Begin::Joined,
    },
    // Armed runs come and go; operators.
    Run {
        layout: "trio-watchdog",
        profile: Profile::Operators,
        seed: 1,
        seconds: 40,
        machines: 1,
        begin: Begin::Founded,
    },
    Run {
        layout: "pair-witness",
        profile: Profile::Operators,
        seed: 1,
        seconds: 60,
        machines: 2,
        begin: Begin::Founded,
    },
    Run {
        layout: "trio-tied",
        profile: Profile::Fencing,
        seed: 3,
        seconds: 60,
        machines: 2,
        begin: Begin::Banned { node: 1 },
    },
];

/// What each machine of a run did with its store; and then some of what the run had no need of.
fn diaries(run: &Run) -> Vec<Vec<Entry>> {
    let layout = layouts::find(run.layout).expect("a layout");
    let mut plan = Plan::draw(run.seed, layout, Some(run.profile));
    plan.begin = run.begin;
    let mut world = World::<Sound>::new(plan, Trace::silent()).expect("a world");
    world.diary.open();
    assert!(world.run_until(run.seconds * 1_000_000).is_none(), "the run itself is sound");
    let mut diaries: Vec<Vec<Entry>> = (0..run.machines).map(|seat| world.diary.of(seat)).collect();
    diaries.iter_mut().for_each(|diary| rarer_records(diary, &layout.text()));
    diaries
}

/// Records with failures, roles and retired groups, each written and then spoken of.
fn rarer_records(diary: &mut Vec<Entry>, config: &str) {
    let last = diary.iter().rev().find_map(|entry| match entry {
        Entry::Writes(_, stored) => Some((**stored).clone()),
        _ => None,
    });
    let Some(mut stored) = last else { return };
    let cluster = layouts::parse(config).expect("a configuration");
    let node = cluster.nodes[0].id.clone();
    for version in 0..6_u32 {
        let Some(record) = &mut stored.record else { return };
        stored.writes += 1;
        if version.is_multiple_of(2) {
            stored.epoch = Epoch(stored.epoch.0 + 1);
            stored.vote = Some(node.clone());
        }
        *record = record.successor(stored.epoch);
        add_rare(record, version, &cluster, &node);
        let (write, stamp) = (WriteId(u64::MAX), record.stamp);
        diary.push(Entry::Writes(write, Box::new(stored.clone())));
        diary.push(Entry::Synced(write));
        diary.push(Entry::Says(claim(&stored, stamp)));
    }
}

fn add_rare(
    record: &mut Record,
    version: u32,
    cluster: &crm_core::model::Cluster,
    node: &crm_core::id::NodeId,
) {
    let group = &cluster.groups[0];
    if version.is_multiple_of(2) {
        record.retired.insert(group.id.clone(), group.clone());
    } else {
        record.retired.clear();
    }
    let failures = Failures { count: version, reason: "x".repeat(700), stop_failed: true };
    record.failures.insert(GroupId::new("g"), [(node.clone(), failures)].into());
    let (since, state) = (record.stamp, GrantState::Held);
    let role = RoleGrant { role: "primary".to_owned(), state, since };
    record.roles.insert(ServiceId::new("pg"), [(node.clone(), role)].into());
}

fn claim(stored: &Stored, stamp: Stamp) -> Claim {
    let (epoch, vote, writes) = (stored.epoch, stored.vote.clone(), stored.writes);
    Claim { what: "heartbeat", epoch, vote, stamp, writes }
}

/// # Errors
/// The first promise that is broken.
fn replay(diaries: &[Vec<Entry>], mistakes: Mistakes) -> Result<Figures, Broken> {
    let mut sum = Figures::default();
    for diary in diaries {
        let mut replay = Replay::new(mistakes);
        replay.run(diary)?;
        sum.add(&replay.figures);
    }
    Ok(sum)
}

/// Which kinds of stores were written, so that nobody believes a test of empty ones.
fn kinds(diaries: &[Vec<Entry>]) -> [(&'static str, usize); 7] {
    let all: Vec<&Stored> = diaries
        .iter()
        .flatten()
        .filter_map(|entry| match entry {
            Entry::Writes(_, stored) => Some(&**stored),
            _ => None,
        })
        .collect();
    let records = |test: fn(&Record) -> bool| {
        all.iter().filter(|stored| stored.record.as_ref().is_some_and(test)).count()
    };
    [
        ("without a record", all.iter().filter(|stored| stored.record.is_none()).count()),
        ("votes", all.iter().filter(|stored| stored.vote.is_some()).count()),
        ("voters change", records(|record| record.voters != record.old_voters)),
        ("armed", records(|record| !record.armed.is_empty())),
        ("retired", records(|record| !record.retired.is_empty())),
        ("bans", records(|record| !record.bans.is_empty())),
        ("intents", records(|record| record.intents != Default::default())),
    ]
}

#[test]
fn as1_no_power_cut_kill_or_failure_at_any_operation_of_the_store_breaks_what_was_said() {
    let diaries: Vec<Vec<Entry>> = RUNS.iter().flat_map(diaries).collect();
    for (kind, count) in kinds(&diaries) {
        assert!(count > 0, "no store of this kind was written: {kind}");
    }
    let figures = replay(&diaries, Mistakes::default()).expect("sound");
    println!("{figures:?}");
    assert!(figures.writes > 200 && figures.cuts > 10_000 && figures.aftermaths > 50_000);
    assert!(figures.kills > 1_000 && figures.failures > 3_000 && figures.said > 10_000);
}

#[test]
fn as1_every_step_that_is_left_out_is_noticed() {
    let run = Run { seconds: 30, machines: 2, ..RUNS[0] };
    let diaries = diaries(&run);
    assert!(replay(&diaries, Mistakes::default()).is_ok());
    let skips = |step| Mistakes { skips: Some(step), ..Mistakes::default() };
    let lost = |broken: &Broken| {
        use Broken::{FewerWrites, Forgotten, OlderEpoch, OlderRecord, VotesTwice};
        matches!(broken, FewerWrites | Forgotten | OlderEpoch | OlderRecord | VotesTwice)
    };
    let refused = |broken: &Broken| matches!(broken, Broken::Refused(_));
    type Expected<'a> = &'a dyn Fn(&Broken) -> bool;
    let variants: [(&str, Mistakes, Expected); 8] = [
        ("no sync of the file", skips(Skips::FileSync), &refused),
        ("no sync of the directory", skips(Skips::DirectorySync), &lost),
        ("written in place", skips(Skips::Rename), &refused),
        ("a failed sync is repeated and believed", skips(Skips::SyncErrors), &refused),
        (
            "told what was read before it is proved",
            Mistakes { trusts_what_it_reads: true, ..Mistakes::default() },
            &lost,
        ),
        (
            "the spare file of an earlier run is written over",
            Mistakes { takes_what_lies_there: true, ..Mistakes::default() },
            &refused,
        ),
        ("said before written", Mistakes { says_before: true, ..Mistakes::default() }, &lost),
        (
            "said after a failed write",
            Mistakes { ignores_failures: true, ..Mistakes::default() },
            &lost,
        ),
    ];
    for (name, mistakes, expected) in variants {
        let broken = replay(&diaries, mistakes).expect_err(name);
        println!("{name}: {broken:?}");
        assert!(expected(&broken), "{name}: {broken:?}");
    }
}

#[test]
fn as1_whichever_operation_fails_the_writer_says_so_once_and_nothing_after() {
    let stored = Stored { writes: 1, ..Stored::new(StoreId(1)) };
    for number in 1..=4 {
        for fault in [Fault::Full, Fault::Fails, Fault::FailsDone] {
            let disk = replay::boot(&stored, None);
            disk.fail(number, fault);
            let (tell, mut inbox) = Tell::channel();
            let writer = Writer::start(replay::store(&disk), tell, ()).expect("thread");
            writer.write(WriteId(1), Box::new(stored.clone()));
            let Some(Happening::Input(Input::WriteFailed { reason })) = inbox.blocking_recv()
            else {
                panic!("operation {number} failed, and nobody was told")
            };
            assert!(reason.contains("/var/lib/crm/state cannot be written"), "{reason}");
            writer.write(WriteId(2), Box::new(stored.clone()));
            drop(writer);
            assert!(inbox.blocking_recv().is_none(), "no later success");
        }
    }
}

#[test]
fn as1_a_vote_that_is_not_synced_could_be_given_twice() {
    // An epoch that is followed and written first, the vote in it after that.
    let node = crm_core::id::NodeId::new("beta");
    let followed = Stored { epoch: Epoch(4), writes: 1, ..Stored::new(StoreId(1)) };
    let voted = Stored { vote: Some(node), writes: 2, ..followed.clone() };
    let cut = |skips| {
        let disk = replay::boot(&followed, skips);
        replay::store(&disk).save(&voted, &mut Spare::default()).expect("saved");
        let mut said = Said::default();
        said.hears(&Claim { writes: 0, ..claim(&voted, Stamp::default()) }).expect("one vote");
        let found = disk.now().aftermaths();
        let starts =
            found.into_iter().map(|found| replay::store(&FaultDisk::holding(found, None)).load());
        starts.map(|found| said.allows(&found)).find(Result::is_err)
    };
    assert_eq!(cut(None), None);
    assert_eq!(cut(Some(Skips::DirectorySync)), Some(Err(Broken::VotesTwice)));
}
