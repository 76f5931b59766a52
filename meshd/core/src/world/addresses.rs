//! Addresses for services that have none (Istio: automatic allocation from 240.240.0.0/16).

use std::collections::HashSet;
use std::net::Ipv4Addr;

use sha2::{Digest, Sha256};

/// Addresses of the range that can be given out: not the first, not the last.
const USABLE: u32 = (1 << 16) - 2;

/// Gives each service of the list an address. A service keeps its address as long as nothing
/// else wants the same one: the name's hash decides, and ties go on to the next free address in
/// the order of names. Services that find no room get none.
pub(super) fn allocate<'a>(
    names: impl IntoIterator<Item = &'a str>,
    taken: &HashSet<Ipv4Addr>,
) -> Vec<(&'a str, Ipv4Addr)> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let mut used: HashSet<Ipv4Addr> = taken.clone();
    let mut given = Vec::new();
    for name in names {
        let hash: [u8; 32] = Sha256::digest(name).into();
        let start = hash
            .iter()
            .take(4)
            .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte))
            % USABLE;
        let free = (0..USABLE)
            .map(|step| address((start + step) % USABLE))
            .find(|address| !used.contains(address));
        if let Some(address) = free {
            used.insert(address);
            given.push((name, address));
        }
    }
    given
}

fn address(index: u32) -> Ipv4Addr {
    let base = u32::from(Ipv4Addr::new(240, 240, 0, 0));
    Ipv4Addr::from(base + 1 + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocation_is_stable_and_free_of_collisions() {
        let names: Vec<String> = (0..2_000)
            .map(|n| format!("host-{n}.example.com"))
            .collect();
        let all = allocate(names.iter().map(String::as_str), &HashSet::new());
        let distinct: HashSet<Ipv4Addr> = all.iter().map(|(_, address)| *address).collect();
        assert_eq!(distinct.len(), names.len());
        assert!(distinct.iter().all(|a| a.octets()[..2] == [240, 240]
            && a.octets()[2..] != [0, 0]
            && a.octets()[2..] != [255, 255]));
        let alone = allocate(["host-7.example.com"], &HashSet::new());
        let again = allocate(["host-7.example.com"], &HashSet::from([alone[0].1]));
        assert_ne!(alone[0].1, again[0].1);
    }
}
