//! The `/etc/hosts` of a workload: hosts(5).

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// musl reads lines of at most 510 bytes; longer ones lose names.
const LONGEST_LINE: usize = 500;

/// The text of a hosts file: the machine itself, then the services. Names that no resolver could
/// ask for (wildcards) are left out.
pub(super) fn render(machine: &str, own: Ipv4Addr, services: &[(IpAddr, Vec<String>)]) -> String {
    let mut text = String::from(
        "# Made by meshctl: the names of this machine and of the mesh's services.\n\
         127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    );
    entry(&mut text, IpAddr::V4(own), std::slice::from_ref(&machine));
    for (address, names) in services {
        entry(&mut text, *address, names);
    }
    text
}

/// Replaces a hosts file's text and keeps its inode, to which bind mounts refer. A reader at the
/// same time sees old or new entries, never a broken line at the end: what is left of a longer
/// old text is overwritten with empty lines before it is cut off. Made with mode 0644 if missing.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)?;
    let old = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut padded = text.as_bytes().to_vec();
    padded.resize(old.max(text.len()), b'\n');
    file.write_all_at(&padded, 0)?;
    file.set_len(text.len() as u64)?;
    // Whatever the umask: apps of the workload may run as somebody else.
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

fn entry(text: &mut String, address: IpAddr, names: &[impl AsRef<str>]) {
    let prefix = address.to_string();
    let mut length = usize::MAX;
    for name in names
        .iter()
        .map(AsRef::as_ref)
        .filter(|name| can_be_asked_for(name))
    {
        if length.saturating_add(1 + name.len()) > LONGEST_LINE {
            if length != usize::MAX {
                text.push('\n');
            }
            text.push_str(&prefix);
            length = prefix.len();
        }
        let _ = write!(text, " {name}");
        length += 1 + name.len();
    }
    if length != usize::MAX {
        text.push('\n');
    }
}

fn can_be_asked_for(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && name.len() <= 253 && name.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn lists_the_machine_and_the_services() {
        let vip = IpAddr::from([240, 240, 0, 1]);
        let text = render(
            "box",
            OWN,
            &[(
                vip,
                names(&["reviews", "reviews.default.svc.cluster.local"]),
            )],
        );
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "127.0.0.1 localhost",
                "::1 localhost ip6-localhost ip6-loopback",
                "10.77.0.2 box",
                "240.240.0.1 reviews reviews.default.svc.cluster.local",
            ]
        );
    }

    #[test]
    fn leaves_out_what_is_no_name() {
        let vip = IpAddr::from([240, 240, 0, 1]);
        let bad = ["*.example.com", "", "a b", "a\n6.6.6.6 bank", "#x"];
        assert_eq!(
            render("box", OWN, &[(vip, names(&bad))]),
            render("box", OWN, &[])
        );
        let some = render(
            "box",
            OWN,
            &[(vip, names(&["*.example.com", "example.com"]))],
        );
        assert!(some.ends_with("\n240.240.0.1 example.com\n"));
        assert!(!render("", OWN, &[]).contains("10.77.0.2"));
    }

    #[test]
    fn no_line_is_longer_than_musl_reads() {
        let many: Vec<String> = (0..100)
            .map(|n| format!("service-{n}.some-namespace.svc.cluster.local"))
            .collect();
        let text = render(
            "box",
            OWN,
            &[(IpAddr::from([240, 240, 0, 1]), many.clone())],
        );
        assert!(text.lines().all(|line| line.len() <= LONGEST_LINE));
        let found: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("240.240.0.1 "))
            .flat_map(str::split_whitespace)
            .collect();
        assert_eq!(found, many);
    }

    #[test]
    fn writes_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        write(&path, "a long first text\n").unwrap();
        let first = fs::metadata(&path).unwrap();
        assert_eq!(first.mode() & 0o777, 0o644);
        for text in ["short\n", "", "a much longer second text than the first\n"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().ino(), first.ino());
    }
}
