//! A node that does not run for a while, and comes back late.

use super::support::{WEB, stateless_group, web_group, with_device, without_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::time::{Duration, Instant};

#[test]
fn h36_a_thawed_node_stops_answering_for_what_silence_gave_away() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = without_device(&lab, &stateless_group("web", "alpha, beta", WEB));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    // The client's neighbour table follows the announcements, so it cannot tell what alpha would
    // answer: that is asked inside alpha's network too.
    let server = format!("{WEB}:80");
    let inside = lab.probe_inside("alpha", &server, Duration::from_millis(2));
    inside.wait_for("alpha", Instant::now(), Duration::from_secs(5));
    let outside = lab.probe(&server, Duration::from_millis(5));
    lab.freeze("alpha", true);
    let taken = outside.wait_for("beta", Instant::now(), Duration::from_secs(20));
    let thawed = Instant::now();
    lab.freeze("alpha", false);
    lab.wait("alpha gave the address up", Duration::from_secs(5), |lab| {
        !lab.node("alpha").has_address(WEB)
    });
    println!(
        "both had the address for at most {:?}, {:?} of that after the thaw",
        taken.elapsed(),
        thawed.elapsed()
    );
    // Asked inside alpha, beta answers once alpha's kernel has let go.
    inside.wait_for("beta", thawed, Duration::from_secs(5));
    std::thread::sleep(Duration::from_millis(1000));
    for (place, probe) in [("inside", &inside), ("outside", &outside)] {
        let answers = probe.answers().into_iter();
        let late: Vec<Duration> = answers
            .filter(|answer| answer.at > thawed && answer.from.as_deref() == Some("alpha"))
            .map(|answer| answer.at - thawed)
            .collect();
        println!("answers of the thawed node, asked {place}: {late:?}");
        assert!(
            late.iter().all(|after| *after < Duration::from_millis(50)),
            "asked {place}: {late:?}\n{}",
            lab.logs()
        );
    }
    lab.wait_running("web", "beta");
    assert!(!lab.node("alpha").has_address(WEB), "{}", lab.logs());
}

#[test]
fn i1_with_a_device_a_frozen_node_never_thaws_into_holding_anything() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    lab.freeze("alpha", true);
    lab.wait_running("web", "beta");
    assert_eq!(lab.fenced(), ["alpha"]);
    assert!(!lab.node("alpha").is_up(), "nothing of it is left to thaw");
}
