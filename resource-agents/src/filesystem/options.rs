//! Mount options as in fstab, parted into the kernel's flags and the filesystem's own text.

use sys_mount::MountFlags;

/// The `options` parameter, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) flags: MountFlags,
    /// What only the filesystem understands, joined by commas again.
    pub(super) data: String,
    /// As given, for helper programs that do their own parting.
    pub(super) text: String,
}

impl Options {
    /// Every text is valid: what is not in the table is the filesystem's affair. As in `mount`,
    /// the later of two contradicting options wins.
    pub(super) fn parse(text: &str) -> Options {
        let mut flags = MountFlags::empty();
        let mut data: Vec<&str> = Vec::new();
        for word in split(text) {
            if let Some((_, set, clear)) = TABLE.iter().find(|(name, _, _)| *name == word) {
                flags.remove(*clear);
                flags.insert(*set);
            } else if !is_for_fstab_only(word) {
                data.push(word);
            }
        }
        Options { flags, data: data.join(","), text: text.to_owned() }
    }

    pub(super) fn bind(&self) -> bool {
        self.flags.contains(MountFlags::BIND)
    }

    pub(super) fn read_only(&self) -> bool {
        self.flags.contains(MountFlags::RDONLY)
    }

    /// The flags of a bind mount that take a second call: the kernel ignores them in the first.
    pub(super) fn beside_bind(&self) -> MountFlags {
        self.flags - (MountFlags::BIND | MountFlags::REC | MountFlags::SILENT)
    }

    /// The options for a helper program, without those that only fstab's readers know.
    pub(super) fn for_helper(&self) -> String {
        let words: Vec<&str> = split(&self.text).filter(|w| !is_for_fstab_only(w)).collect();
        words.join(",")
    }
}

/// At commas outside double quotes (SELinux contexts hold commas).
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |symbol| {
        quoted ^= symbol == '"';
        symbol == ',' && !quoted
    })
    .map(str::trim)
    .filter(|word| !word.is_empty())
}

fn is_for_fstab_only(word: &str) -> bool {
    FSTAB_ONLY.contains(&word) || FSTAB_ONLY_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

const NONE: MountFlags = MountFlags::empty();
const ATIME: MountFlags =
    MountFlags::NOATIME.union(MountFlags::RELATIME).union(MountFlags::STRICTATIME);

/// Name, flags to set, flags to clear.
const TABLE: &[(&str, MountFlags, MountFlags)] = &[
    ("async", NONE, MountFlags::SYNCHRONOUS),
    ("atime", NONE, MountFlags::NOATIME),
    ("bind", MountFlags::BIND, NONE),
    ("defaults", NONE, NONE),
    ("dev", NONE, MountFlags::NODEV),
    ("diratime", NONE, MountFlags::NODIRATIME),
    ("dirsync", MountFlags::DIRSYNC, NONE),
    ("exec", NONE, MountFlags::NOEXEC),
    ("loud", NONE, MountFlags::SILENT),
    ("mand", MountFlags::MANDLOCK, NONE),
    ("noatime", MountFlags::NOATIME, ATIME),
    ("nodev", MountFlags::NODEV, NONE),
    ("nodiratime", MountFlags::NODIRATIME, NONE),
    ("noexec", MountFlags::NOEXEC, NONE),
    ("nomand", NONE, MountFlags::MANDLOCK),
    ("norelatime", NONE, MountFlags::RELATIME),
    ("nostrictatime", NONE, MountFlags::STRICTATIME),
    ("nosuid", MountFlags::NOSUID, NONE),
    ("rbind", MountFlags::BIND.union(MountFlags::REC), NONE),
    ("relatime", MountFlags::RELATIME, ATIME),
    ("ro", MountFlags::RDONLY, NONE),
    ("rw", NONE, MountFlags::RDONLY),
    ("silent", MountFlags::SILENT, NONE),
    ("strictatime", MountFlags::STRICTATIME, ATIME),
    ("suid", NONE, MountFlags::NOSUID),
    ("sync", MountFlags::SYNCHRONOUS, NONE),
];

const FSTAB_ONLY: &[&str] =
    &["_netdev", "auto", "group", "noauto", "nofail", "nouser", "owner", "user", "users"];
const FSTAB_ONLY_PREFIXES: &[&str] = &["comment=", "x-", "X-"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hb33_options_are_parted_into_flags_and_data() {
        let options = Options::parse("noatime,nosuid, errors=remount-ro,,size=1024k,mode=700");
        assert_eq!(options.flags, MountFlags::NOATIME | MountFlags::NOSUID);
        assert_eq!(options.data, "errors=remount-ro,size=1024k,mode=700");
    }

    #[test]
    fn the_later_of_two_contradicting_options_wins() {
        assert!(!Options::parse("ro,rw").read_only());
        assert!(Options::parse("rw,ro").read_only());
        assert_eq!(Options::parse("noatime,relatime").flags, MountFlags::RELATIME);
        assert_eq!(Options::parse("noexec,exec,nodev").flags, MountFlags::NODEV);
    }

    #[test]
    fn what_is_for_fstab_is_not_for_the_kernel() {
        let options = Options::parse("defaults,_netdev,noauto,x-systemd.automount,comment=hi,acl");
        assert_eq!((options.flags, options.data.as_str()), (MountFlags::empty(), "acl"));
        assert_eq!(options.for_helper(), "defaults,acl");
    }

    #[test]
    fn a_comma_in_quotes_parts_nothing() {
        let options = Options::parse("context=\"a:b:s0,c1\",ro");
        assert_eq!(options.data, "context=\"a:b:s0,c1\"");
        assert!(options.read_only());
    }

    #[test]
    fn bind_mounts_take_their_other_flags_apart() {
        let options = Options::parse("rbind,ro,nosuid");
        assert!(options.bind());
        assert_eq!(options.beside_bind(), MountFlags::RDONLY | MountFlags::NOSUID);
        assert!(Options::parse("bind").beside_bind().is_empty());
    }

    #[test]
    fn each_name_is_in_the_table_once() {
        for (at, (name, _, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[at + 1..].iter().all(|(other, _, _)| name < other), "{name}");
        }
    }
}
