//! Memory that was needed once: pages of the program that only its start used, and what the
//! allocator keeps for the next burst.
//!
//! Starting runs through most of the program once (options, files, schemas, handshakes), and the
//! kernel maps 64 KiB around each page that is touched, so that a proxy which has just started has
//! 12 MiB of its own code mapped. What it needs from then on is a part of that. Unmapped pages
//! stay in the kernel's cache, one copy for all proxies of a machine, and what is used comes back
//! at the cost of a minor fault.

use std::fs;
use std::ops::Range;
use std::time::Duration;

use crate::net::{give_back, unmap_until_used};

/// How often the allocator of this thread gives back what it holds. Workers do so themselves.
const TIDY: Duration = Duration::from_secs(5);

/// After so many times, the pages of the program are unmapped again: some 200 minor faults bring
/// back those that are in use.
const FORGET_EVERY: u32 = 12;

/// Unmaps what is a file's: the program, and the libraries that it uses.
fn forget_start() {
    let Ok(maps) = fs::read_to_string("/proc/self/smaps") else {
        return;
    };
    for range in unchanged(&maps) {
        if let Err(error) = unmap_until_used(&range) {
            tracing::debug!(%error, "pages of the start stay mapped");
        }
    }
}

/// Gives back what the start needed, and from then on, once a while, what a configuration or a
/// burst of work did. Never ends.
pub(crate) async fn keep_small() {
    loop {
        forget_start();
        for _ in 0..FORGET_EVERY {
            give_back();
            tokio::time::sleep(TIDY).await;
        }
    }
}

/// Read-only mappings of files without a page of their own, by smaps(5).
fn unchanged(maps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in maps.lines() {
        if let Some(value) = line.strip_prefix("Anonymous:") {
            let own = value.trim().trim_end_matches(" kB") != "0";
            found.extend(candidate.take().filter(|_| !own));
        } else if let Some(mapping) = mapping(line) {
            candidate = mapping;
        }
    }
    found
}

/// The first line of a mapping: its range, if it is of a file and read-only. `None` for other
/// lines.
fn mapping(line: &str) -> Option<Option<Range<usize>>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let range = number(start)?..number(end)?;
    let permissions = words.next()?;
    let path = words.nth(3);
    let of_file = path.is_some_and(|path| path.starts_with('/'));
    let private = permissions.starts_with("r-") && permissions.ends_with('p');
    Some((of_file && private).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_are_as_they_were() {
        let maps = "\
55d0c0000000-55d0c0001000 r--p 00000000 fe:00 42 /usr/bin/mesh-proxy
Rss:                   4 kB
Anonymous:             0 kB
55d0c0001000-55d0c0009000 r-xp 00001000 fe:00 42 /usr/bin/mesh-proxy (deleted)
Rss:                   4 kB
Anonymous:             0 kB
55d0c0009000-55d0c000a000 r--p 00009000 fe:00 42 /usr/bin/mesh-proxy
Anonymous:             4 kB
55d0c000a000-55d0c000b000 rw-p 0000a000 fe:00 42 /usr/bin/mesh-proxy
Anonymous:             0 kB
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000001000-7f0000002000 r--s 00000000 00:00 7 /dev/shm/shared
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
";
        assert_eq!(
            unchanged(maps),
            [
                0x55d0_c000_0000..0x55d0_c000_1000,
                0x55d0_c000_1000..0x55d0_c000_9000
            ]
        );
    }

    #[test]
    fn the_program_runs_on() {
        let before = resident();
        forget_start();
        let after = resident();
        assert!(after < before, "{before} KiB, then {after} KiB");
    }

    fn resident() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("RssFile:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.unwrap().parse().unwrap()
    }
}
