//! The laboratory tested by itself: a fault that it claims to make must be one.

use std::time::{Duration, Instant};

use crm_tests::machines::laboratory::address;
use crm_tests::machines::{Laboratory, Machine, Specification};

const SOON: Duration = Duration::from_secs(60);

/// One answered ping; busybox and iputils both know these options.
fn ping(to: &str) -> String {
    format!("ping -c 1 -W 2 {to}")
}

#[test]
fn frames_pass_until_a_direction_is_cut_or_a_cable_is_pulled() {
    let mut lab = Laboratory::new().unwrap();
    let mut alpha = lab.machine(&Specification::bare("alpha")).unwrap();
    let mut beta = lab.machine(&Specification::bare("beta")).unwrap();
    for machine in [&mut alpha, &mut beta] {
        machine.power_on().unwrap();
    }
    let started = Instant::now();
    for machine in [&mut alpha, &mut beta] {
        machine.wait_booted().unwrap();
    }
    println!("two bare machines: {:.1} s", started.elapsed().as_secs_f32());

    let (at, other) = (beta.address(0), beta.address(1));
    alpha.until(&ping(&at), SOON).unwrap();
    alpha.until(&ping(&other), SOON).unwrap();

    let uptime = |machine: &mut Machine| {
        let (asked, said) = (Instant::now(), machine.ok("cut -d' ' -f1 /proc/uptime").unwrap());
        (asked, said.trim().parse::<f64>().unwrap(), Instant::now())
    };
    let began = uptime(&mut alpha);

    // One direction: the request arrives (beta counts it), the answer does not.
    lab.link(0).cut("beta", "alpha");
    let echoes = "awk '/^Icmp:/ && $2 ~ /[0-9]/ { print $2 }' /proc/net/snmp";
    let before: u64 = beta.ok(echoes).unwrap().trim().parse().unwrap();
    assert_ne!(alpha.run(&ping(&at)).unwrap().code, 0, "an answer came over the cut direction");
    let after: u64 = beta.ok(echoes).unwrap().trim().parse().unwrap();
    assert!(
        after > before,
        "the direction that was not cut carried nothing: {before}, then {after}"
    );
    alpha.ok(&ping(&other)).unwrap();
    lab.link(0).heal();
    alpha.until(&ping(&at), SOON).unwrap();

    // Loss: most frames go missing, not all.
    lab.link(0).lose("alpha", "beta", 50);
    let text = alpha.run(&format!("ping -q -c 60 -i 0.05 -W 1 {at}")).unwrap().text;
    let received: u32 = text
        .split(" packets received")
        .next()
        .and_then(|t| t.rsplit(' ').next())
        .unwrap()
        .parse()
        .unwrap();
    assert!((10..=50).contains(&received), "half of 60 should be lost:\n{text}");
    lab.link(0).heal();

    // A machine's second is a second, however busy this host was when it booted.
    let ended = uptime(&mut alpha);
    // It looked at its clock at some moment of each question.
    let least = (ended.0 - began.2).as_secs_f64();
    let most = (ended.2 - began.0).as_secs_f64();
    let (there, error) = (ended.1 - began.1, 0.5 + most / 50.0);
    assert!(
        there > least - error && there < most + error,
        "{least} to {most} s were {there} s in the machine"
    );
    println!("{least:.2} to {most:.2} s were {there:.2} s in the machine");

    alpha.set_cable(0, false).unwrap();
    alpha.until("[ \"$(cat /sys/class/net/eth0/carrier)\" = 0 ]", SOON).unwrap();
    assert_ne!(alpha.run(&ping(&at)).unwrap().code, 0);
    alpha.set_cable(0, true).unwrap();
    alpha.until(&ping(&at), SOON).unwrap();
}

#[test]
fn a_machine_without_power_is_gone_and_a_frozen_one_is_late() {
    let mut lab = Laboratory::new().unwrap();
    let disk = lab.blank_disk("alpha", 8 << 20).unwrap();
    let mut alpha = lab.machine(&Specification::bare("alpha").with_disk(&disk)).unwrap();
    let mut beta = lab.machine(&Specification::bare("beta")).unwrap();
    for machine in [&mut alpha, &mut beta] {
        machine.power_on().unwrap();
    }
    let at = alpha.address(0);
    assert_eq!(at, address(0, 1).to_string());
    beta.until(&ping(&at), SOON).unwrap();

    // Frozen: it answers nothing, and the time of the world has gone on for it.
    let uptime = |text: String| text.split(' ').next().unwrap().parse::<f32>().unwrap();
    let before = uptime(alpha.ok("cat /proc/uptime").unwrap());
    alpha.freeze().unwrap();
    assert_ne!(beta.run("ping -c 3 -W 3 10.9.0.1").unwrap().code, 0);
    alpha.thaw().unwrap();
    beta.until(&ping(&at), SOON).unwrap();
    let gap = uptime(alpha.ok("cat /proc/uptime").unwrap()) - before;
    assert!(gap > 3.0, "the clock of a frozen machine must jump; it went on by {gap} s");

    // Power: what was on the disk stays, what was in memory goes, and another machine boots from it.
    alpha.ok("mke2fs -q /dev/vda 2>/dev/null && mount /dev/vda /mnt && echo kept >/mnt/file && sync && echo lost >/tmp/file").unwrap();
    alpha.power_cut().unwrap();
    assert!(!alpha.is_on());
    assert_ne!(beta.run(&ping(&at)).unwrap().code, 0, "a machine without power answered");
    alpha.power_on().unwrap();
    alpha.wait_booted().unwrap();
    assert_eq!(alpha.ok("mount /dev/vda /mnt && cat /mnt/file").unwrap().trim(), "kept");
    assert_ne!(alpha.run("cat /tmp/file").unwrap().code, 0);

    // Reset: the emulator stays, the system is another one.
    alpha.qmp().unwrap().forget_events().unwrap();
    alpha.ok("echo before >/tmp/file").unwrap();
    alpha.reset().unwrap();
    alpha.wait_reset(SOON).unwrap();
    alpha.wait_booted().unwrap();
    assert_ne!(alpha.run("cat /tmp/file").unwrap().code, 0);
}
