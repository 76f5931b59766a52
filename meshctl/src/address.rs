//! Addresses and ports of a mesh on one machine.
//!
//! Every mesh takes a /24 of 127.64.0.0/10, part of the loopback network, so that each workload
//! has an address of its own, the services keep their real ports, and meshes do not meet.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

/// A bound port here tells other meshes that the network is taken.
const CLAIM_PORT: u16 = 15099;
const ATTEMPTS: u64 = 64;
/// Hosts 0, 1 (the mesh itself) and 255 are not for workloads.
const FIRST_HOST: u8 = 2;
const HOSTS: usize = 250;
/// Below the ephemeral ports of Linux, so that no outgoing connection takes one meanwhile.
const APP_PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A /24 network of the loopback network, claimed until this is dropped.
#[derive(Debug)]
pub struct Network {
    prefix: [u8; 3],
    _claim: TcpListener,
}

/// Why there is no address or port.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Too many workloads.
    #[error("the mesh has {0} workloads and gateways; one on a single machine may have 250")]
    TooMany(usize),
    /// No free network.
    #[error(
        "no free network in 127.64.0.0/10 after 64 tries: {0}; stop meshes that you do not need (`meshctl down`)"
    )]
    NoNetwork(io::Error),
    /// A port that must be free is not.
    #[error("cannot listen on {address} ({owner}): {source}; {advice}")]
    Taken {
        /// The address.
        address: SocketAddr,
        /// What needs it.
        owner: String,
        /// Why not.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// No free port for an application.
    #[error("no free port between 20000 and 32000 for an application")]
    NoPort,
}

// === impl Network ===

impl Network {
    /// Claims a network. The same directory gets the same one as long as it is free.
    ///
    /// # Errors
    /// If none is free.
    pub fn claim(state: &Path) -> Result<Self, AddressError> {
        let seed = hash(state.as_os_str().as_encoded_bytes());
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for attempt in 0..ATTEMPTS {
            let prefix = prefix(seed.wrapping_add(attempt));
            let [a, b, c] = prefix;
            match TcpListener::bind((Ipv4Addr::new(a, b, c, 1), CLAIM_PORT)) {
                Ok(claim) => {
                    return Ok(Self {
                        prefix,
                        _claim: claim,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(AddressError::NoNetwork(last))
    }

    /// Addresses for so many workloads, in order.
    ///
    /// # Errors
    /// If the network is too small for them.
    pub fn hosts(&self, count: usize) -> Result<Vec<IpAddr>, AddressError> {
        if count > HOSTS {
            return Err(AddressError::TooMany(count));
        }
        let [a, b, c] = self.prefix;
        Ok((FIRST_HOST..)
            .take(count)
            .map(|host| IpAddr::V4(Ipv4Addr::new(a, b, c, host)))
            .collect())
    }
}

/// 127.64.0.0/10 has 2^14 networks of 256 addresses.
fn prefix(number: u64) -> [u8; 3] {
    let [.., high, low] = number.to_be_bytes();
    [127, 64 | (high & 0x3f), low]
}

/// FNV-1a, 64 bits: stable over versions of the program.
fn hash(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold);
    hash ^ (hash >> 32)
}

/// Checks that nobody listens on an address.
///
/// # Errors
/// If somebody does, or the address cannot be listened on.
pub fn check_free(address: SocketAddr, owner: &str) -> Result<(), AddressError> {
    TcpListener::bind(address)
        .map(drop)
        .map_err(|source| AddressError::Taken {
            address,
            owner: owner.to_owned(),
            advice: match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need a privilege: map another one with `listen`"
                }
                io::ErrorKind::AddrInUse => {
                    "see who has it with `ss -ltnp`, or choose another port"
                }
                _ => "choose another address",
            },
            source,
        })
}

/// Chooses free ports of 127.0.0.1 for applications.
#[derive(Debug)]
pub struct PortPicker {
    next: u16,
    taken: BTreeSet<u16>,
}

impl PortPicker {
    /// Begins at a place that depends on the directory and keeps clear of `taken`.
    pub fn new(state: &Path, taken: BTreeSet<u16>) -> Self {
        let span = u64::from(APP_PORTS.end - APP_PORTS.start);
        let offset = hash(state.as_os_str().as_encoded_bytes()) % span;
        let next = APP_PORTS.start + u16::try_from(offset).unwrap_or_default();
        Self { next, taken }
    }

    /// A port that nobody listens on, on any address.
    ///
    /// # Errors
    /// If there is none.
    pub fn pick(&mut self) -> Result<u16, AddressError> {
        for _ in APP_PORTS {
            let port = self.next;
            self.next = if port + 1 < APP_PORTS.end {
                port + 1
            } else {
                APP_PORTS.start
            };
            if self.taken.insert(port) && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
                return Ok(port);
            }
        }
        Err(AddressError::NoPort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_stay_in_their_range() {
        for number in [0, 1, u64::from(u16::MAX), u64::MAX, 0x3fff, 0x4000] {
            let [a, b, _] = prefix(number);
            assert_eq!(a, 127);
            assert!((64..128).contains(&b), "{b}");
        }
    }

    #[test]
    fn two_claims_of_one_directory_get_two_networks() {
        let dir = tempfile::tempdir().unwrap();
        let first = Network::claim(dir.path()).unwrap();
        let second = Network::claim(dir.path()).unwrap();
        assert_ne!(first.prefix, second.prefix);
        let hosts = first.hosts(3).unwrap();
        assert_eq!(hosts.len(), 3);
        assert!(hosts.iter().all(IpAddr::is_loopback));
        assert!(first.hosts(251).is_err());
    }

    #[test]
    fn a_taken_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let error = check_free(address, "listen port of a gateway")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("gateway"),
            "{error}"
        );
    }

    #[test]
    fn picked_ports_differ_and_are_free() {
        let mut picker = PortPicker::new(Path::new("/x"), BTreeSet::new());
        let (a, b) = (picker.pick().unwrap(), picker.pick().unwrap());
        assert_ne!(a, b);
        let _held = TcpListener::bind(("127.0.0.1", a)).unwrap();
        let mut again = PortPicker::new(Path::new("/x"), BTreeSet::from([b]));
        let c = again.pick().unwrap();
        assert!(c != a && c != b);
    }
}
