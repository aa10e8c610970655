//! `filesystem` with real mounts, in a mount namespace of its own. Rows HB30 to HB38.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Resource, isolated, may_run, tool, wait_for};

fn filesystem(directory: &Path, device: &str, at: &Path, kind: &str) -> Resource {
    let at = at.display().to_string();
    Resource::new("filesystem", directory, &[("device", device), ("at", &at), ("type", kind)])
}

/// A loop device with a fresh filesystem on it.
fn device(directory: &Path, name: &str, make: &str) -> Option<String> {
    if !may_run("a loop device", Path::new("/dev/loop-control").exists()) {
        return None;
    }
    let file = directory.join(name);
    let image = fs::File::create(&file).expect("image");
    image.set_len(16 << 20).expect("length");
    tool(&format!("{make} {}", file.display()));
    Some(tool(&format!("losetup --find --show {}", file.display())).trim().to_owned())
}

fn is_mounted(at: &Path) -> bool {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    text.lines().any(|line| line.split(' ').nth(4) == at.to_str())
}

/// A process that uses a directory, ended with the test.
struct User(Child);

impl User {
    fn new(shell: &str, directory: &Path) -> User {
        let process = Command::new("/bin/sh")
            .args(["-c", shell])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("sh");
        User(process)
    }

    fn sleeping(directory: &Path) -> User {
        User::new("exec sleep 600", directory)
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().expect("wait").is_none()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn directory_in(base: &Path, name: &str) -> PathBuf {
    let path = base.join(name);
    fs::create_dir_all(&path).expect("directory");
    path
}

#[test]
fn hb33_hb35_hb38_a_device_is_mounted_told_and_unmounted() {
    isolated("hb33_hb35_hb38_a_device_is_mounted_told_and_unmounted", |directory| {
        // Labels are the machine's, and another run may be under way. Our own process number is 2 in every run.
        let name = directory.to_string_lossy();
        let label = format!("crm{}", &name[name.rfind('_').map_or(0, |at| at + 1)..]);
        let make = format!("mkfs.ext4 -q -L {label}");
        let Some(device) = device(directory, "image", &make) else { return };
        let at = directory.join("data");
        let data = filesystem(directory, &device, &at, "ext4").with("options", "noatime");
        data.run("validate").ok();
        let before = data.run("status").code(7);
        assert_eq!(before.stdout, "unmounted (stopped)\n");
        let started = data.run("start").ok();
        assert!(started.has_line(&format!("watch mount {}", at.display())), "{started:#?}");
        assert!(is_mounted(&at), "the mount point was created");
        let info = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        let line =
            info.lines().find(|line| line.contains(at.to_str().expect("text"))).expect("line");
        assert!(line.contains("noatime") && line.contains(" ext4 "), "{line}");
        fs::write(at.join("file"), "kept").expect("write");
        assert_eq!(data.run("status").ok().stdout, "mounted (running)\n");
        data.run("stop").ok();
        assert!(!is_mounted(&at));
        data.run("status").code(7);
        // By label, and what was written is there.
        let by_label = filesystem(directory, &format!("LABEL={label}"), &at, "ext4");
        by_label.run("start").ok();
        assert_eq!(fs::read_to_string(at.join("file")).expect("read"), "kept");
        data.run("status").ok();
        by_label.run("stop").ok();
        tool(&format!("losetup -d {device}"));
    });
}

#[test]
fn hb30_what_is_missing_is_named() {
    isolated("hb30_what_is_missing_is_named", |directory| {
        let at = directory_in(directory, "data");
        let start = |device: &str, at: &Path, kind: &str| {
            filesystem(directory, device, at, kind).run("start")
        };
        start("/dev/null", &at, "ext4").code(6).because("/dev/null is no block device");
        start("/dev/no-such", &at, "ext4").code(5).because("/dev/no-such");
        start("-Lnothing", &at, "ext4").code(5).because("nothing");
        start("UUID=0-0", &at, "ext4").code(5).because("0-0");
        let deep = directory.join("no/such/point");
        start("tmpfs", &deep, "tmpfs").code(6).because("its parent directory is missing");
        fs::write(directory.join("file"), "").expect("file");
        start("tmpfs", &directory.join("file"), "tmpfs").code(6).because("is no directory");
        start("tmpfs", Path::new("/"), "tmpfs").code(6).because("nothing can be mounted");
        start("tmpfs", Path::new("data"), "tmpfs").code(6).because("an absolute path");
        Resource::new("filesystem", directory, &[("device", "/dev/null"), ("at", "/x")])
            .run("start")
            .code(6)
            .because("`type` is required");
        start("nas:/x", &at, "glusterfs").code(5).because("mount.glusterfs");
    });
}

#[test]
fn hb31_an_unknown_type_is_an_error() {
    isolated("hb31_an_unknown_type_is_an_error", |directory| {
        let at = directory_in(directory, "data");
        filesystem(directory, "nothing", &at, "nosuchfs")
            .run("start")
            .code(5)
            .because("does not know the filesystem type \"nosuchfs\"");
    });
}

#[test]
fn hb32_a_damaged_ext2_is_checked_and_a_hopeless_one_fails() {
    isolated("hb32_a_damaged_ext2_is_checked_and_a_hopeless_one_fails", |directory| {
        let Some(device) = device(directory, "image", "mkfs.ext2 -q -b 1024") else { return };
        let at = directory.join("data");
        let data = filesystem(directory, &device, &at, "ext2");
        let answer = data.run("start").ok();
        assert!(answer.lines.iter().any(|line| line.contains("checking")), "{answer:#?}");
        fs::write(at.join("file"), "x").expect("write");
        data.run("stop").ok();
        let quiet = filesystem(directory, &device, &at, "ext2").with("fsck", "never");
        let answer = quiet.run("start").ok();
        assert!(!answer.lines.iter().any(|line| line.contains("checking")), "{answer:#?}");
        quiet.run("stop").ok();
        // Two names for one inode with a wrong count: beyond what a check repairs unasked.
        for command in ["clri file", "sif <2> links_count 9", "sif <2> mode 0"] {
            let status = Command::new("debugfs")
                .args(["-w", "-R", command, &device])
                .output()
                .expect("debugfs");
            assert!(status.status.success());
        }
        tool(&format!("debugfs -w -R dirty {device}"));
        let answer = data.run("start").code(1);
        assert!(answer.reason().contains("fsck.ext2"), "{answer:#?}");
        assert!(!is_mounted(&at));
        tool(&format!("losetup -d {device}"));
    });
}

#[test]
fn hb33_a_failed_mount_names_device_and_directory() {
    isolated("hb33_a_failed_mount_names_device_and_directory", |directory| {
        let Some(device) = device(directory, "image", "true") else { return };
        let at = directory_in(directory, "data");
        let answer = filesystem(directory, &device, &at, "ext4").run("start").code(1);
        let reason = answer.reason();
        assert!(
            reason.contains(&device) && reason.contains(at.to_str().expect("text")),
            "{reason}"
        );
        assert!(reason.contains("damaged superblock"), "{reason}");
        filesystem(directory, "tmpfs", &at, "tmpfs")
            .with("options", "no-such-option=1")
            .run("start")
            .code(1)
            .because("wrong option");
        tool(&format!("losetup -d {device}"));
    });
}

#[test]
fn hb34_already_mounted_is_success_for_the_same_and_an_error_for_another_device() {
    let name = "hb34_already_mounted_is_success_for_the_same_and_an_error_for_another_device";
    isolated(name, |directory| {
        let Some(one) = device(directory, "one", "mkfs.ext4 -q") else { return };
        let Some(two) = device(directory, "two", "mkfs.ext4 -q") else { return };
        let at = directory_in(directory, "data");
        tool(&format!("mount -t ext4 {one} {}", at.display()));
        filesystem(directory, &one, &at, "ext4").run("start").ok();
        let other = filesystem(directory, &two, &at, "ext4");
        let answer = other.run("start").code(1);
        let reason = answer.reason();
        assert!(reason.contains(&one) && reason.contains(&two), "both are named: {reason}");
        other.run("status").code(7);
        other.run("stop").ok();
        assert!(is_mounted(&at), "the stop of the one leaves the other alone");
        filesystem(directory, &one, &at, "ext4").run("stop").ok();
        assert!(!is_mounted(&at));
        tool(&format!("losetup -d {one}"));
        tool(&format!("losetup -d {two}"));
    });
}

#[test]
fn hb35_every_kind_of_user_is_found_and_ended() {
    isolated("hb35_every_kind_of_user_is_found_and_ended", |directory| {
        let at = directory.join("data");
        let data = filesystem(directory, "tmpfs", &at, "tmpfs");
        data.run("start").ok();
        fs::write(at.join("file"), "x").expect("file");
        fs::copy("/bin/sleep", at.join("sleep")).expect("program");
        let file = at.join("file").display().to_string();
        // A library that is mapped, with no descriptor left open.
        let own = fs::read_to_string("/proc/self/maps").expect("maps");
        let library =
            own.lines().find_map(|line| line.get(line.find('/')?..)?.strip_suffix("/libc.so.6"));
        let library = format!("{}/libc.so.6", library.expect("the C library is mapped"));
        let file_mapped = at.join("libc.so.6").display().to_string();
        fs::copy(library, &file_mapped).expect("library");
        let mut users = [
            ("cwd", User::sleeping(&at)),
            ("fd", User::new(&format!("exec sleep 600 3< {file}"), Path::new("/"))),
            ("exe", User::new(&format!("exec {}/sleep 600", at.display()), Path::new("/"))),
            ("map", User::new(&format!("LD_PRELOAD={file_mapped} exec sleep 600"), Path::new("/"))),
        ];
        let maps = |user: &User| {
            fs::read_to_string(format!("/proc/{}/maps", user.0.id()))
                .is_ok_and(|text| text.contains(&file_mapped))
        };
        wait_for("the mapping", || maps(&users[3].1));
        let answer = data.run("stop").ok();
        assert!(!is_mounted(&at));
        for (kind, user) in &mut users {
            let line = answer.lines.iter().find(|line| line.contains(&user.0.id().to_string()));
            assert!(line.is_some_and(|line| line.contains("SIGTERM")), "{kind}: {answer:#?}");
            wait_for(kind, || !user.lives());
        }
    });
}

#[test]
fn hb36_stop_of_unmounted_is_success() {
    isolated("hb36_stop_of_unmounted_is_success", |directory| {
        let at = directory_in(directory, "data");
        let answer = filesystem(directory, "tmpfs", &at, "tmpfs").run("stop").ok();
        assert!(answer.lines.iter().any(|line| line.contains("is not mounted")), "{answer:#?}");
        // Also if the device has gone altogether.
        filesystem(directory, "/dev/no-such", &at, "ext4").run("stop").ok();
    });
}

#[test]
fn hb37_only_users_of_this_mount_are_ended() {
    isolated("hb37_only_users_of_this_mount_are_ended", |directory| {
        let parent = directory_in(directory, "parent");
        tool(&format!("mount -t tmpfs tmpfs {}", parent.display()));
        let at = parent.join("data");
        let source = directory_in(&parent, "source");
        let data = filesystem(directory, source.to_str().expect("text"), &at, "none")
            .with("options", "bind");
        data.run("start").ok();
        fs::write(source.join("file"), "x").expect("file");
        let mut inside = User::sleeping(&at);
        // The same filesystem, the same files, but not through this mount.
        let mut beside = User::sleeping(&source);
        let reader = format!("exec sleep 600 3< {}/file", source.display());
        let mut reader = User::new(&reader, Path::new("/"));
        let mut above = User::sleeping(&parent);
        let mut root = User::sleeping(Path::new("/"));
        data.run("status").ok();
        data.run("stop").ok();
        wait_for("the user", || !inside.lives());
        for (name, user) in [
            ("beside", &mut beside),
            ("reader", &mut reader),
            ("above", &mut above),
            ("root", &mut root),
        ] {
            assert!(user.lives(), "{name} was hit");
        }
        drop((beside, reader, above));
        tool(&format!("umount {}", parent.display()));
    });
}

#[test]
fn hb37_a_user_that_heeds_no_term_is_killed_within_the_time() {
    isolated("hb37_a_user_that_heeds_no_term_is_killed_within_the_time", |directory| {
        let at = directory.join("data");
        let data = filesystem(directory, "tmpfs", &at, "tmpfs").timeout(Duration::from_secs(3));
        data.run("start").ok();
        let ready = at.join("ready");
        let mut user = User::new("trap '' TERM; : > ready; while :; do sleep 1; done", &at);
        wait_for("the trap", || ready.exists());
        let answer = data.run("stop").ok();
        assert!(answer.took < Duration::from_secs(3), "{answer:#?}");
        assert!(answer.lines.iter().any(|line| line.contains("SIGKILL")), "{answer:#?}");
        wait_for("its end", || !user.lives());
    });
}

#[test]
fn hb37_who_may_not_be_ended_is_named() {
    isolated("hb37_who_may_not_be_ended_is_named", |directory| {
        let at = directory.join("data");
        let data = filesystem(directory, "tmpfs", &at, "tmpfs").with("force_unmount", "never");
        data.run("start").ok();
        let mut user = User::sleeping(&at);
        let answer = data.run("stop").code(1).because("is still in use");
        assert!(answer.reason().contains(&format!("{} (sleep)", user.0.id())), "{answer:#?}");
        assert!(user.lives() && is_mounted(&at), "never lazily");
        drop(user);
        data.run("stop").ok();
    });
}

#[test]
fn mounts_below_are_unmounted_first() {
    isolated("mounts_below_are_unmounted_first", |directory| {
        let at = directory.join("data");
        let data = filesystem(directory, "tmpfs", &at, "tmpfs");
        data.run("start").ok();
        let below = directory_in(&at, "a/b");
        tool(&format!("mount -t tmpfs tmpfs {}", below.display()));
        let deeper = directory_in(&below, "c");
        tool(&format!("mount -t tmpfs tmpfs {}", deeper.display()));
        let mut user = User::sleeping(&deeper);
        data.run("stop").ok();
        assert!(!is_mounted(&at) && !is_mounted(&below) && !is_mounted(&deeper));
        wait_for("the user of the deepest", || !user.lives());
    });
}

#[test]
fn a_mount_over_the_mount_is_told_and_taken_off() {
    isolated("a_mount_over_the_mount_is_told_and_taken_off", |directory| {
        let at = directory.join("data");
        let source = directory_in(directory, "source");
        let data = filesystem(directory, source.to_str().expect("text"), &at, "none")
            .with("options", "bind,ro");
        data.run("start").ok();
        assert!(fs::write(at.join("file"), "x").is_err(), "read-only");
        assert!(fs::write(source.join("file"), "x").is_ok(), "the original is not");
        data.run("start").ok();
        tool(&format!("mount -t tmpfs cover {}", at.display()));
        data.run("status").code(1).because("cover is mounted over");
        data.run("stop").ok();
        assert!(!is_mounted(&at));
    });
}

#[test]
fn works_in_a_user_namespace() {
    isolated("works_in_a_user_namespace", |directory| {
        let source = directory_in(directory, "source");
        let (one, two) = (directory_in(directory, "one"), directory_in(directory, "two"));
        let agent = env!("CARGO_BIN_EXE_crm-agent");
        let state = directory.join("state");
        let script = format!(
            "set -e; export CRM_STATE_DIR={}\n\
             t() {{ CRM_DEVICE=tmpfs CRM_AT={} CRM_OPTIONS=size=1m {agent} filesystem $1; }}\n\
             b() {{ CRM_DEVICE={} CRM_AT={} CRM_OPTIONS=bind,ro {agent} filesystem $1; }}\n\
             for r in t b; do $r start; $r start; $r status; $r stop; ! $r status; done",
            state.display(),
            one.display(),
            source.display(),
            two.display(),
        );
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .output()
            .expect("unshare");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}

#[test]
fn a_filesystem_that_became_read_only_is_not_well() {
    isolated("a_filesystem_that_became_read_only_is_not_well", |directory| {
        let Some(device) = device(directory, "image", "mkfs.ext4 -q") else { return };
        let at = directory_in(directory, "data");
        let data = filesystem(directory, &device, &at, "ext4");
        data.run("start").ok();
        tool(&format!("mount -o remount,ro {}", at.display()));
        data.run("status").code(1).because("has become read-only");
        data.run("stop").ok();
        let data = data.with("options", "ro");
        data.run("start").ok();
        data.run("status").ok();
        data.run("stop").ok();
        tool(&format!("losetup -d {device}"));
    });
}

/// The disk fails under it: on kernels that leave it "rw" as well.
#[test]
fn hb26_a_filesystem_that_takes_no_writes_any_more_is_not_well() {
    isolated("hb26_a_filesystem_that_takes_no_writes_any_more_is_not_well", |directory| {
        let small = directory_in(directory, "small");
        tool(&format!("mount -t tmpfs -o size=8m tmpfs {}", small.display()));
        let Some(device) = device(&small, "image", "mkfs.ext4 -q") else { return };
        let at = directory_in(directory, "data");
        let data = filesystem(directory, &device, &at, "ext4");
        data.run("start").ok();
        data.run("status").ok();
        // What lies under it has no room for more.
        let fill = format!("cat /dev/zero >{} 2>/dev/null", small.join("fill").display());
        let _ = Command::new("sh").args(["-c", &fill]).status().expect("sh");
        let write = format!("head -c 4m /dev/urandom >{}; sync", at.join("file").display());
        wait_for("the filesystem gives up", || {
            let _ = Command::new("sh").args(["-c", &write]).stderr(Stdio::null()).status();
            fs::write(at.join("more"), "text").is_err()
        });
        data.run("status").code(1).because("look for errors of");
        data.run("stop").ok();
        tool(&format!("losetup -d {device}"));
    });
}

#[test]
fn a_device_held_by_another_mount_namespace_is_not_released() {
    isolated("a_device_held_by_another_mount_namespace_is_not_released", |directory| {
        let Some(device) = device(directory, "image", "mkfs.ext4 -q") else { return };
        let at = directory_in(directory, "data");
        let data = filesystem(directory, &device, &at, "ext4");
        data.run("start").ok();
        let own = fs::read_link("/proc/self/ns/mnt").expect("own namespace");
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sleep", "600"])
            .current_dir("/")
            .spawn()
            .expect("unshare");
        let holder = User(child);
        let pid = holder.0.id();
        wait_for("the other namespace", || {
            fs::read_link(format!("/proc/{pid}/ns/mnt")).is_ok_and(|other| other != own)
                && fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c == "sleep\n")
        });
        let answer = data.run("stop").code(1).because("in another mount namespace");
        assert!(answer.reason().contains(&format!("{pid} (sleep)")), "{answer:#?}");
        drop(holder);
        data.run("stop").ok();
        tool(&format!("losetup -d {device}"));
    });
}

#[test]
fn the_caller_is_named_and_not_ended() {
    isolated("the_caller_is_named_and_not_ended", |directory| {
        let at = directory.join("data");
        let data = filesystem(directory, "tmpfs", &at, "tmpfs").timeout(Duration::from_secs(1));
        data.run("start").ok();
        std::env::set_current_dir(&at).expect("enter");
        let answer = data.run("stop").code(1).because("is still in use");
        let own = format!("{} (", std::process::id());
        assert!(answer.reason().contains(&own), "{answer:#?}");
        std::env::set_current_dir("/").expect("leave");
        // The agent itself, called from there, is in nobody's way.
        data.within(&at).run("stop").ok();
    });
}
