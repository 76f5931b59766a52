//! What stands in the memory of other processes, as a memory dump would have it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

/// So much is read at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// A process and everything that it has started.
///
/// # Errors
/// If there is no such process.
pub fn family(id: i32) -> io::Result<Vec<i32>> {
    let parents: Vec<(i32, i32)> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name before it may hold spaces.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
            Some((id, parent.parse().ok()?))
        })
        .collect();
    let mut family = vec![id];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(id, _)| *id),
        );
        next += 1;
    }
    Ok(family)
}

/// Calls `look` with everything writable in a process, piece by piece; consecutive pieces overlap
/// by `overlap` bytes. What the process gives back meanwhile is passed over.
///
/// # Errors
/// If the process may not be looked into.
pub fn look_into(id: i32, overlap: usize, mut look: impl FnMut(&[u8])) -> io::Result<()> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps"))?;
    let memory = File::open(format!("/proc/{id}/mem"))?;
    let mut piece = vec![0; CHUNK];
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        let parse = |text: &str| u64::from_str_radix(text, 16).ok();
        let range = range.split_once('-');
        let Some((Some(mut at), Some(end))) = range.map(|(a, b)| (parse(a), parse(b))) else {
            continue;
        };
        if !rights.starts_with("rw") {
            continue;
        }
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let Some(part) = piece.get_mut(..length) else {
                break;
            };
            if memory.read_exact_at(part, at).is_err() {
                break;
            }
            look(part);
            if length < CHUNK {
                break;
            }
            at += (CHUNK - overlap) as u64;
        }
    }
    Ok(())
}

/// Whether one of these stands in the memory of a process.
///
/// # Errors
/// If the process may not be looked into.
pub fn holds(id: i32, needles: &[Vec<u8>]) -> io::Result<bool> {
    let longest = needles.iter().map(Vec::len).max().unwrap_or(0);
    let mut found = false;
    look_into(id, longest, |piece| {
        found = found
            || needles
                .iter()
                .any(|needle| places(piece, needle).next().is_some());
    })?;
    Ok(found)
}

/// Where `needle` stands in `piece`.
pub fn places<'a>(piece: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    // Keys begin with anything; most of memory is zero. The search of text is quick in debug
    // builds, too.
    let mut from = 0;
    std::iter::from_fn(move || {
        let first = *needle.first()?;
        loop {
            let rest = piece.get(from..)?;
            let at = from + rest.iter().position(|octet| *octet == first)?;
            from = at + 1;
            if piece.get(at..)?.starts_with(needle) {
                return Some(at);
            }
        }
    })
}
