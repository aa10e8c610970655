//! A daemon that crashes again and again under an armed watchdog (H16): it feeds nothing, the machine is
//! reset, and the others may conclude that from the run that armed it.

use crate::cluster::Lab;
use crm_core::time::Span;

fn resets(lab: &Lab) -> usize {
    lab.log.iter().filter(|line| line.contains("RESET")).count()
}

/// The daemon of `name` crashes `every` so often, until the machine is reset; it does not boot again.
fn crashes_until_reset(lab: &mut Lab, name: &str, every: Span) {
    for _ in 0..400 {
        lab.restart_daemon(&name.into());
        lab.run(every);
        if resets(lab) > 0 {
            return;
        }
    }
    panic!("no reset\n{}", lab.log.join("\n"));
}

#[test]
fn h16_what_a_crash_loop_held_is_taken_over_once_the_machine_is_reset() {
    for every in [150, 300, 450, 600] {
        let mut lab = Lab::new("none L=3 S=2 W=10 a+ b+ c+ | g@c h@a i@b");
        lab.run(Span::secs(6));
        assert_eq!(lab.holders("g"), ["c"]);
        crashes_until_reset(&mut lab, "c", Span::millis(every));
        assert!(lab.holders("g").iter().all(|name| name == "c"), "taken before the reset");
        lab.crash(&"c".into());
        lab.run(Span::secs(60));
        assert!(lab.twice.is_empty(), "I1, every {every} ms: {:?}", lab.twice);
        assert_eq!(lab.holders("g").len(), 1, "every {every} ms\n{}", lab.log.join("\n"));
    }
}

/// The control: runs that last get their lease, and the machine is not reset.
#[test]
fn h16_a_daemon_that_crashes_now_and_then_keeps_its_machine() {
    let mut lab = Lab::new("none L=3 S=2 W=10 a+ b+ c+ | g@c h@a i@b");
    lab.run(Span::secs(6));
    for _ in 0..20 {
        lab.restart_daemon(&"c".into());
        lab.run(Span::secs(4));
    }
    assert_eq!(resets(&lab), 0, "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("g"), ["c"]);
    assert!(lab.twice.is_empty(), "{:?}", lab.twice);
}
