//! `/etc/resolv.conf` (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use mesh_api::Hostname;

/// What the system says of its DNS servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// Servers in their order, at most 3, at least the one on this machine.
    pub servers: Vec<SocketAddr>,
    /// Domains by which clients complete names.
    pub search: Vec<Hostname>,
    /// Ask the servers in turn, not always the first one first (`options rotate`).
    pub rotate: bool,
}

/// A file that names servers, and none that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`nameserver {0}` is no address")]
pub struct InvalidResolvConf(String);

const PORT: u16 = 53;
// What the C library reads, too.
const MOST_SERVERS: usize = 3;

// === impl ResolvConf ===

impl FromStr for ResolvConf {
    type Err = InvalidResolvConf;

    /// Reads the file's text. As in the C library, what it does not know is passed over, and of
    /// several lists of domains the last one holds. A server may have a port, written
    /// `[address]:port` (OpenBSD's form).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut found = Self {
            servers: Vec::new(),
            search: Vec::new(),
            rotate: false,
        };
        let mut wrong = None;
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let word = words.next().unwrap_or_default();
                    match server(word) {
                        Some(server) => found.servers.push(server),
                        None => wrong = Some(word.chars().take(64).collect()),
                    }
                }
                Some("search" | "domain") => {
                    found.search = words
                        .filter(|word| *word != ".")
                        .filter_map(|word| word.parse().ok())
                        .filter(|domain: &Hostname| !domain.is_wildcard())
                        .collect();
                }
                Some("options") => found.rotate |= words.any(|word| word == "rotate"),
                _ => {}
            }
        }
        found.servers.truncate(MOST_SERVERS);
        if found.servers.is_empty() {
            if let Some(wrong) = wrong {
                return Err(InvalidResolvConf(wrong));
            }
            found.servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        Ok(found)
    }
}

fn server(word: &str) -> Option<SocketAddr> {
    if word.starts_with('[') {
        if let Some((bare, port)) = word.strip_prefix('[')?.rsplit_once("]:") {
            let port: u16 = port.parse().ok()?;
            return Some(SocketAddr::new(bare.parse().ok()?, port));
        }
        let bare = word.strip_prefix('[')?.strip_suffix(']')?;
        return Some(SocketAddr::new(bare.parse().ok()?, PORT));
    }
    let ip: IpAddr = word.parse().ok()?;
    Some(SocketAddr::new(ip, PORT))
}
