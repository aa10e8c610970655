//! The layout of file servers in the documentation (docs/layouts/files.yaml): a web server with PHP, NFS and Samba over one volume, and a client of each that goes on while the group is moved by
//! hand and while its machine loses its power.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crm_tests::machines::{Laboratory, Machine, Specification};

use crate::layout;
use crate::light::{LONG, Light, Parts, SERVICE};

const HEARTBEAT: &str = "keepalive: 500ms, warntime: 2s, deadtime: 5s, initdead: 30s";
const DEVICE: &str = "10s";

/// The site listens on the address that moves. Each page is a process of its own, as PHP's module wants it.
pub(crate) const HTTPD: &str = "ServerRoot /data1/apache
ServerName 10.9.0.100
Listen 10.9.0.100:80
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
LoadModule php_module /usr/lib/apache2/modules/libphp8.2.so
StartServers 1
MinSpareServers 1
MaxSpareServers 2
MaxRequestWorkers 4
User www-data
Group www-data
DocumentRoot /data1/apache/site
TypesConfig /dev/null
<FilesMatch \"\\.php$\">
    SetHandler application/x-httpd-php
</FilesMatch>
ErrorLog /data1/apache/error.log
PidFile /run/httpd.pid
";

/// Says that a row is kept when it is on the disk, and not before.
pub(crate) const ROW: &str = "<?php
$row = (int) $_GET['n'];
$file = fopen('/data1/apache/data/rows', 'a');
if (!$file || !flock($file, LOCK_EX) || !fwrite($file, \"$row\\n\") || !fsync($file)) {
    http_response_code(500);
    exit('lost');
}
echo \"kept $row\\n\";
";

/// `sync always`: what is acknowledged is on the disk.
const SMB: &str = "[global]
server role = standalone server
map to guest = Bad User
load printers = no
disable spoolss = yes
[share]
path = /data1/samba/share
read only = no
guest ok = yes
sync always = yes
";

/// One program for each protocol: writes one number after the other and notes those that were acknowledged, and when.
const WRITER: &str = r#"
import fcntl, os, subprocess, sys, time, urllib.request

kind, service = sys.argv[1:]
acknowledged = open('/root/%s.acknowledged' % kind, 'a', buffering=1)
errors = open('/root/%s.errors' % kind, 'a', buffering=1)

def web(number):
    page = 'http://%s/row.php?n=%d' % (service, number)
    return urllib.request.urlopen(page, timeout=3).read() == b'kept %d\n' % number

def nfs(number):
    os.write(nfs.file, b'%d\n' % number)
    os.fsync(nfs.file)
    return True

def smb(number):
    with open('/root/smb.note', 'w') as note:
        note.write('%d\n' % number)
    put = ['timeout', '10', 'smbclient', '//%s/share' % service, '-N', '-t', '5', '-c', 'put /root/smb.note %d' % number]
    done = subprocess.run(put, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        errors.write('%d %r\n' % (number, done.stdout))
    return done.returncode == 0

if kind == 'nfs':
    # One file, opened and locked once and for all.
    nfs.file = os.open('/mnt/rows', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    fcntl.lockf(nfs.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
number = 0
while True:
    number += 1
    try:
        if globals()[kind](number):
            acknowledged.write('%d %.3f\n' % (number, time.time()))
    except OSError as error:
        errors.write('%d %s\n' % (number, error))
        if kind == 'nfs':
            sys.exit('a hard mount never fails')
        time.sleep(0.1)
"#;

const KINDS: [&str; 3] = ["web", "nfs", "smb"];

/// HB40 (Apache with PHP), HB15, HB50, I8 for files: the client's programs are started once, and every write that was
/// acknowledged to them is on the disk of the node that serves: after a move by hand, a loss of power, a program that
/// ends, and a move to the node that came back.
#[test]
#[ignore = "long: three to eight minutes; tests/run machines-long"]
fn hb40_hb15_hb50_i8_web_nfs_and_samba_go_on_after_a_move_and_a_power_cut() {
    let client = &Specification::servers("client").with_memory(256);
    let configuration = &layout::files(HEARTBEAT, DEVICE);
    let parts = Parts { nodes: 2, memory: 448, volumes: 1, disk: 64, client, configuration };
    let mut light = Light::of(Specification::servers, &parts, fill);
    // It started where there was a quorum first.
    light.node("alpha").ok("crm migrate --yes files alpha || crm status").unwrap();
    light.node("alpha").until("ss -Htln | grep -q 10.9.0.100:445", LONG).unwrap();
    begin(&mut light.client);
    wait_writes(&mut light.client, [3; 3]);

    // HB50: by hand, with a file open and locked.
    disturb(&mut light, "moved by hand", |light| {
        light.node("alpha").ok("crm migrate --yes files beta").unwrap();
    });
    assert_served_by(&mut light, "beta", "alpha");
    let kept = assert_kept(&mut light, "beta");
    println!("after the move {kept} on beta");
    let left =
        "ps -eo args= | grep -E '[s]mbd|[s]amba|[a]pache2|[r]pc.mountd|[n]fsdcld|\\[nfsd\\]'";
    let left = light.node("alpha").run(left).unwrap().text;
    assert_eq!(left, "", "left behind on alpha");

    // HB15.
    disturb(&mut light, "power cut", |light| light.node("beta").power_cut().unwrap());
    assert_held(light.node("alpha"));
    let kept = assert_kept(&mut light, "alpha");
    println!("after the power cut {kept} on alpha");

    // One of the server's programs ends: it is seen, and the server starts anew where it is.
    disturb(&mut light, "a program of the NFS server was killed", |light| {
        let alpha = light.node("alpha");
        let before = alpha.ok("busybox pidof rpc.mountd").unwrap();
        alpha.ok("kill -9 $(busybox pidof rpc.mountd)").unwrap();
        let anew =
            format!("now=$(busybox pidof rpc.mountd) && [ \"$now\" != \"{}\" ]", before.trim());
        alpha.until(&anew, LONG).unwrap();
        alpha.until("ip -4 -o addr show | grep -q ' 10.9.0.100/'", LONG).unwrap();
    });
    assert_held(light.node("alpha"));

    // Beta died while it exported: what it finds in its table when it comes back does no harm.
    light.back("beta");
    light.wait_whole();
    let old = light.node("beta").ok("cat /var/lib/nfs/etab").unwrap();
    assert!(old.contains("/data1/export"), "expected what the dead server left: {old:?}");
    disturb(&mut light, "moved to the node that came back", |light| {
        light.node("beta").ok("crm migrate --yes files beta").unwrap();
    });
    assert_served_by(&mut light, "beta", "alpha");
    println!("at the end {} on beta", assert_kept(&mut light, "beta"));
}

fn fill(_: &Laboratory, tree: &Path) {
    let put = |name: &str, text: &str| std::fs::write(tree.join(name), text).unwrap();
    for directory in ["export", "apache/site", "apache/data", "samba/share"] {
        std::fs::create_dir_all(tree.join(directory)).unwrap();
    }
    // Written by the servers' own users.
    for directory in ["export", "apache/data", "samba/share"] {
        let all = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(tree.join(directory), all).unwrap();
    }
    put("apache/httpd.conf", HTTPD);
    put("apache/site/row.php", ROW);
    put("samba/smb.conf", SMB);
}

/// Mounts, and starts the three programs.
fn begin(client: &mut Machine) {
    client.ok(&format!("cat >/root/writer <<'END'\n{WRITER}\nEND")).unwrap();
    let mount = format!("modprobe nfsv4 && mount -t nfs4 -o hard {SERVICE}:/data1/export /mnt");
    client.until(&mount, LONG).unwrap();
    for kind in KINDS {
        let run = format!("exec python3 /root/writer {kind} {SERVICE} 2>>/root/{kind}.end");
        client.spawn(&run).unwrap();
    }
}

/// How many writes of each kind were acknowledged so far.
fn writes(client: &mut Machine) -> [u64; 3] {
    KINDS.map(|kind| {
        let count = format!("cat /root/{kind}.acknowledged 2>/dev/null | wc -l");
        client.ok(&count).unwrap().trim().parse().unwrap()
    })
}

/// Waits until at least so many were.
fn wait_writes(client: &mut Machine, least: [u64; 3]) {
    let started = Instant::now();
    loop {
        let found = writes(client);
        if found.iter().zip(least).all(|(found, least)| *found >= least) {
            return;
        }
        if started.elapsed() > LONG {
            let said = client.run("tail -n 5 /root/*.errors /root/*.end; dmesg | tail -n 20");
            panic!(
                "expected {least:?} acknowledged writes of {KINDS:?}, found {found:?}: {said:?}"
            );
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Does something to the cluster, waits until all three go on, and prints how long each stood still.
fn disturb(light: &mut Light, what: &str, act: impl FnOnce(&mut Light)) {
    let before = writes(&mut light.client);
    let began = Instant::now();
    act(light);
    // One may have been under way, and acknowledged before.
    let least = writes(&mut light.client).map(|count| count + 3);
    wait_writes(&mut light.client, least);
    println!("{what}: all go on after {:.1} s", began.elapsed().as_secs_f32());
    for (kind, from) in KINDS.iter().zip(before) {
        let gap = format!(
            "tail -n +{} /root/{kind}.acknowledged | awk 'last && $2 - last > gap {{ gap = $2 - last }} {{ last = $2 }} \
             END {{ print gap + 0 }}'",
            from.max(1)
        );
        let gap = light.client.ok(&gap).unwrap();
        println!("  {kind} stood still for {} s", gap.trim());
    }
    let said = light.client.run("cat /root/nfs.errors /root/*.end").unwrap().text;
    let kernel = light.client.run("dmesg | tail -n 5").unwrap().text;
    assert_eq!(said, "", "a program of the client ended, or its mount failed:\n{kernel}");
}

/// The volume, the address and the server's threads are on `node`, and not on `other`.
fn assert_served_by(light: &mut Light, node: &str, other: &str) {
    let holds = "mountpoint -q /data1 && ip -4 -o addr show | grep -q ' 10.9.0.100/' && [ $(cat /proc/fs/nfsd/threads) = 8 ]";
    let any = "mountpoint -q /data1 || ip -4 -o addr show | grep -q ' 10.9.0.100/' || [ $(cat /proc/fs/nfsd/threads) != 0 ]";
    light.node(node).ok(holds).unwrap();
    assert_ne!(light.node(other).run(any).unwrap().code, 0, "{other} still has something");
    assert_held(light.node(node));
}

/// The lock that the client took before is still its own: the kernel gives it to nobody else.
fn assert_held(node: &mut Machine) {
    let take = "python3 -c \"import fcntl; fcntl.lockf(open('/data1/export/rows', 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)\"";
    let output = node.run(take).unwrap();
    assert!(output.code != 0 && output.text.contains("BlockingIOError"), "{output:?}");
}

/// I8: asserts that every acknowledged write is on the disk of `node`, and says how many there are of each kind.
fn assert_kept(light: &mut Light, node: &str) -> String {
    let mut said = Vec::new();
    for kind in KINDS {
        let told = light.client.ok(&format!("cut -d' ' -f1 /root/{kind}.acknowledged")).unwrap();
        let there = match kind {
            "web" => "cat /data1/apache/data/rows",
            "nfs" => "cat /data1/export/rows",
            // A file that is empty has no number in it.
            _ => {
                "cd /data1/samba/share && for file in *; do [ \"$(cat $file)\" = $file ] && echo $file; done; true"
            }
        };
        let there = light.node(node).ok(there).unwrap();
        let there: std::collections::BTreeSet<&str> = there.lines().collect();
        let missing: Vec<&str> = told.lines().filter(|number| !there.contains(number)).collect();
        assert!(missing.is_empty(), "{kind}: acknowledged, and not on {node}: {missing:?}");
        said.push(format!("{} of {kind}", told.lines().count()));
    }
    format!("every acknowledged write is there: {}", said.join(", "))
}
