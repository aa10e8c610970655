//! The Debian machines and the devices that the product relies on: DRBD, a power switch.

use std::time::{Duration, Instant};

use crm_tests::machines::power::Request;
use crm_tests::machines::{Laboratory, Specification};

const SOON: Duration = Duration::from_secs(120);

const RESOURCE: &str = "resource r0 {
  protocol C;
  device /dev/drbd0 minor 0;
  meta-disk internal;
  net { timeout 20; connect-int 2; ping-int 2; ping-timeout 10; }
  on alpha { disk /dev/vdb; address 10.9.0.1:7788; }
  on beta { disk /dev/vdb; address 10.9.0.2:7788; }
}";

#[test]
fn drbd_connects_and_a_fenced_primary_leaves_its_data_to_the_other() {
    let mut lab = Laboratory::new().unwrap();
    let disks = ["alpha-data", "beta-data"].map(|name| lab.blank_disk(name, 32 << 20).unwrap());
    let mut alpha = lab.machine(&Specification::light("alpha").with_disk(&disks[0])).unwrap();
    let mut beta = lab.machine(&Specification::light("beta").with_disk(&disks[1])).unwrap();
    let started = Instant::now();
    alpha.power_on().unwrap();
    beta.power_on().unwrap();
    alpha.wait_booted().unwrap();
    beta.wait_booted().unwrap();
    println!("two Debian machines, shell: {:.1} s", started.elapsed().as_secs_f32());
    for machine in [&mut alpha, &mut beta] {
        assert_eq!(machine.ok("hostname").unwrap().trim(), machine.name());
        machine.ok(&format!("printf '%s\\n' '{RESOURCE}' >/etc/drbd.d/r0.res")).unwrap();
        machine.ok("modprobe drbd && drbdadm create-md --force r0 && drbdadm up r0").unwrap();
    }
    alpha.until("[ \"$(drbdadm cstate r0)\" = Connected ]", SOON).unwrap();
    // Both disks are empty: nothing to copy.
    alpha.ok("drbdadm -- --clear-bitmap new-current-uuid r0").unwrap();
    beta.until("[ \"$(drbdadm dstate r0)\" = UpToDate/UpToDate ]", SOON).unwrap();
    alpha
        .ok("drbdadm primary r0 && mke2fs -q -t ext4 /dev/drbd0 && mount /dev/drbd0 /mnt")
        .unwrap();
    alpha.ok("echo acknowledged >/mnt/file && sync").unwrap();

    // A device that does not do its work must not look as if it had.
    lab.power().set_broken(true);
    assert_ne!(beta.run("lab-fence off alpha").unwrap().code, 0);
    assert!(alpha.is_on());
    lab.power().set_broken(false);
    assert_ne!(beta.run("lab-fence off nobody").unwrap().code, 0);

    assert_eq!(beta.ok("lab-fence off alpha").unwrap().trim(), "ok alpha is off");
    assert!(!alpha.is_on());
    assert!(alpha.run("true").is_err(), "a machine that was shot answered");
    let asked = Request { from: "beta".into(), action: "off".into(), target: "alpha".into() };
    assert_eq!(lab.power().requests().last(), Some(&asked));

    beta.ok("drbdadm disconnect --force r0; drbdadm primary r0 && mount /dev/drbd0 /mnt").unwrap();
    assert_eq!(beta.ok("cat /mnt/file").unwrap().trim(), "acknowledged");

    // It is switched on by its peer, and what it wrote alone before is not asked for again.
    beta.ok("drbdadm connect r0").unwrap();
    assert_eq!(beta.ok("lab-fence on alpha").unwrap().trim(), "ok alpha is on");
    alpha.wait_booted().unwrap();
    alpha.ok("modprobe drbd && { drbdadm up r0 || drbdadm adjust r0; }").unwrap();
    alpha
        .until(
            "[ \"$(drbdadm role r0)/$(drbdadm dstate r0)\" = Secondary/Primary/UpToDate/UpToDate ]",
            SOON,
        )
        .unwrap();
}
