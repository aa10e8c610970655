//! AS6: only crm starts what crm manages. What this machine's own init would start besides it, by its files:
//! systemd need not run here.

use crm_config::StartedAtBoot;
use crm_core::model::{AgentClass, Cluster, Resource};
use std::fs;
use std::path::{Path, PathBuf};

/// Distributions' units for what our agents, and OCF's of the same name, run.
const UNITS: [(&str, &[&str]); 7] = [
    ("apache", &["apache2", "httpd"]),
    ("mysql", &["mariadb", "mysql", "mysqld"]),
    ("nfs", &["nfs-server", "nfs-kernel-server"]),
    ("nfsserver", &["nfs-server", "nfs-kernel-server"]),
    ("pgsql", &["postgresql"]),
    ("samba", &["smbd", "nmbd", "smb"]),
    ("tomcat", &["tomcat9", "tomcat10", "tomcat"]),
];
/// Where the links to enabled units are, and where those that an administrator masked point to nothing.
const LINKS: [&str; 2] = ["etc/systemd/system", "lib/systemd/system"];
const RUNLEVELS: [&str; 4] = ["etc/rc2.d", "etc/rc3.d", "etc/rc4.d", "etc/rc5.d"];
/// Longest table of filesystems that is read, in bytes.
const FSTAB_BYTES_MAX: u64 = 1 << 20;

/// What of these groups' resources the machine below `root` starts by itself.
pub(crate) fn started_at_boot(root: &Path, cluster: &Cluster) -> Vec<StartedAtBoot> {
    let mut found = Vec::new();
    for group in &cluster.groups {
        for (index, resource) in group.resources.iter().enumerate() {
            found.extend(starters(root, resource).map(|by| StartedAtBoot {
                group: group.id.clone(),
                resource: index,
                by,
            }));
        }
    }
    found
}

fn starters(root: &Path, resource: &Resource) -> Option<String> {
    let name = resource.agent.name.as_str();
    match &resource.agent.class {
        AgentClass::Systemd => unit(root, name),
        AgentClass::Lsb => unit(root, name).or_else(|| script(root, name)),
        AgentClass::Heartbeat => script(root, name),
        AgentClass::Own if name == "filesystem" => mount(root, resource.params.get("at")?),
        AgentClass::Own | AgentClass::Ocf { .. } => {
            let (_, units) = UNITS.iter().find(|(agent, _)| *agent == name)?;
            units.iter().find_map(|name| unit(root, name))
        }
    }
}

/// The unit's full name, if a target that is reached at boot wants it.
fn unit(root: &Path, name: &str) -> Option<String> {
    let full = crm_agents::systemd::full_name(name);
    let masked = root.join("etc/systemd/system").join(&full);
    if fs::read_link(masked).is_ok_and(|target| target == Path::new("/dev/null")) {
        return None;
    }
    let mut wanted = LINKS.iter().flat_map(|links| entries(&root.join(links)));
    wanted
        .any(|directory| {
            let reached = directory.extension().is_some_and(|e| e == "wants" || e == "requires");
            reached && directory.join(&full).symlink_metadata().is_ok()
        })
        .then_some(full)
}

/// The link by which a runlevel starts the script.
fn script(root: &Path, name: &str) -> Option<String> {
    let mut links = RUNLEVELS.iter().flat_map(|level| entries(&root.join(level)));
    let link = links.find(|link| {
        let file = link.file_name().unwrap_or_default().to_string_lossy();
        file.strip_prefix('S').is_some_and(|rest| {
            rest.trim_start_matches(|digit: char| digit.is_ascii_digit()) == name
        })
    })?;
    Some(Path::new("/").join(link.strip_prefix(root).unwrap_or(&link)).display().to_string())
}

/// The line of the table of filesystems that mounts this directory at boot.
fn mount(root: &Path, at: &str) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    let file = fs::File::open(root.join("etc/fstab")).ok()?;
    file.take(FSTAB_BYTES_MAX).read_to_string(&mut text).ok()?;
    let mounts = |line: &str| {
        let mut fields = line.split_whitespace();
        let (device, directory) = (fields.next()?, fields.next()?);
        let options = fields.nth(1).unwrap_or_default();
        let here = directory.trim_end_matches('/') == at.trim_end_matches('/');
        let by_itself = !options.split(',').any(|option| option == "noauto");
        (here && by_itself && !device.starts_with('#')).then(|| format!("/etc/fstab ({device})"))
    };
    text.lines().find_map(mounts)
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(read) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = read.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// The root of a machine; gone with the test.
    struct Root(PathBuf);

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn as6_what_init_would_start_too_is_found() {
        let kept = Root(std::env::temp_dir().join(format!("crm-boot-{}", std::process::id())));
        let root = &kept.0;
        let wants = root.join("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).expect("directories");
        fs::create_dir_all(root.join("etc/rc3.d")).expect("directories");
        for name in ["mariadb.service", "nginx.service", "masked.service"] {
            symlink(Path::new("/lib/systemd/system").join(name), wants.join(name)).expect("a link");
        }
        symlink("/dev/null", root.join("etc/systemd/system/masked.service")).expect("a link");
        fs::write(root.join("etc/rc3.d/S20oractl"), "").expect("a script");
        fs::write(root.join("etc/rc3.d/K20stopped"), "").expect("a script");
        let table = "# /dev/x /srv/b ext4\n/dev/drbd0 /srv/a/ ext4 defaults 0 0\n/dev/y /srv/c ext4 noauto,ro 0 0\n";
        fs::write(root.join("etc/fstab"), table).expect("a table");
        let text = "cluster: x\nnodes: {a: {links: [10.0.0.1]}, b: {links: [10.0.0.2]}}\nfencing: none\ngroups:\n  g:\n    resources:\n";
        let starts = |resource: &str| -> Vec<String> {
            let text = format!("{text}      - {resource}\n");
            let cluster = crm_config::parse(&text).expect(resource);
            started_at_boot(root, &cluster).into_iter().map(|found| found.by).collect()
        };
        let found: Vec<Vec<String>> = [
            "mysql: /srv/a/db",
            "systemd:nginx",
            "systemd:masked",
            "systemd:other",
            "heartbeat:oractl: {args: [X]}",
            "lsb:stopped",
            "filesystem: {device: /dev/drbd0, at: /srv/a}",
            "filesystem: {device: /dev/x, at: /srv/b}",
            "filesystem: {device: /dev/y, at: /srv/c}",
            "vip: 10.0.0.9/24",
        ]
        .map(starts)
        .to_vec();
        let one = |text: &str| vec![text.to_owned()];
        let none = Vec::new;
        let wanted = [
            one("mariadb.service"),
            one("nginx.service"),
            none(),
            none(),
            one("/etc/rc3.d/S20oractl"),
            none(),
            one("/etc/fstab (/dev/drbd0)"),
            none(),
            none(),
            none(),
        ];
        assert_eq!(found, wanted);
    }
}
