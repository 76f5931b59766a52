//! The header by which a balancer says whose connection it passes on: versions 1 and 2 of the
//! PROXY protocol (haproxy.org, `proxy-protocol.txt`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most bytes a header may have: version 2 says its length in 16 bits, and nobody sends more
/// than a few of its extensions.
pub const MAX_PROXY_HEADER: usize = 4096;

/// What the bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// Not known yet; give more.
    NeedMore,
    /// A whole header.
    Whole {
        /// Its bytes; what the client sent comes after them.
        length: usize,
        /// The client; absent if the balancer speaks for itself (a health check) or does not
        /// know: then the connection's own address holds.
        client: Option<SocketAddr>,
    },
    /// Anything else.
    Invalid,
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const WORD: &[u8] = b"PROXY ";
/// Section 2.1: the longest header of version 1, with its end.
const LONGEST_LINE: usize = 107;
const FIXED: usize = 16;

/// Says what the bytes begin with. Total: any bytes have an answer. Once it is not
/// [`ProxyHeader::NeedMore`], more bytes do not change it.
pub fn proxy_header(bytes: &[u8]) -> ProxyHeader {
    let begins = |with: &[u8]| {
        let common = bytes.len().min(with.len());
        bytes.get(..common) == with.get(..common)
    };
    if begins(SIGNATURE) {
        binary(bytes)
    } else if begins(WORD) {
        text(bytes)
    } else {
        ProxyHeader::Invalid
    }
}

/// Section 2.2: signature, version and command, family, length, addresses.
fn binary(bytes: &[u8]) -> ProxyHeader {
    let Some(fixed) = bytes.get(SIGNATURE.len()..FIXED) else {
        return ProxyHeader::NeedMore;
    };
    let &[command, family, high, low] = fixed else {
        return ProxyHeader::Invalid;
    };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_PROXY_HEADER {
        return ProxyHeader::Invalid;
    }
    let of_itself = match command {
        0x20 => true,
        0x21 => false,
        _ => return ProxyHeader::Invalid,
    };
    let Some(addresses) = bytes.get(FIXED..length) else {
        return ProxyHeader::NeedMore;
    };
    let client = match (of_itself, family) {
        // TCP over IPv4: source, destination, both ports.
        (false, 0x11) => {
            let ip = addresses.first_chunk::<4>().map(|ip| Ipv4Addr::from(*ip));
            source(ip.map(IpAddr::V4), addresses.get(8..12))
        }
        (false, 0x21) => {
            let ip = addresses.first_chunk::<16>().map(|ip| Ipv6Addr::from(*ip));
            source(ip.map(IpAddr::V6), addresses.get(32..36))
        }
        // Families that say nothing about a connection of TCP are passed over.
        _ => {
            return ProxyHeader::Whole {
                length,
                client: None,
            };
        }
    };
    match client {
        Some(client) => ProxyHeader::Whole {
            length,
            client: Some(client),
        },
        None => ProxyHeader::Invalid,
    }
}

fn source(ip: Option<IpAddr>, ports: Option<&[u8]>) -> Option<SocketAddr> {
    let port = ports?.first_chunk::<2>()?;
    Some(SocketAddr::new(ip?, u16::from_be_bytes(*port)))
}

/// Section 2.1: `PROXY TCP4 <source> <destination> <source port> <destination port>` and the end
/// of the line.
fn text(bytes: &[u8]) -> ProxyHeader {
    let window = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() >= LONGEST_LINE {
            ProxyHeader::Invalid
        } else {
            ProxyHeader::NeedMore
        };
    };
    let line = window
        .get(WORD.len()..end)
        .and_then(|line| std::str::from_utf8(line).ok());
    let length = end + 2;
    let Some(line) = line else {
        return ProxyHeader::Invalid;
    };
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return ProxyHeader::Whole {
            length,
            client: None,
        };
    }
    match client_of(line) {
        Some(client) => ProxyHeader::Whole {
            length,
            client: Some(client),
        },
        None => ProxyHeader::Invalid,
    }
}

fn client_of(line: &str) -> Option<SocketAddr> {
    let mut words = line.split(' ');
    let is_six = match words.next()? {
        "TCP4" => false,
        "TCP6" => true,
        _ => return None,
    };
    let ip: IpAddr = words.next()?.parse().ok()?;
    let to: IpAddr = words.next()?.parse().ok()?;
    let port: u16 = words.next()?.parse().ok()?;
    let _: u16 = words.next()?.parse().ok()?;
    let fits = ip.is_ipv6() == is_six && to.is_ipv6() == is_six && words.next().is_none();
    fits.then_some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(length: usize, client: Option<&str>) -> ProxyHeader {
        let client = client.map(|client| client.parse().unwrap());
        ProxyHeader::Whole { length, client }
    }

    #[test]
    fn lines_of_version_1() {
        let cases: [(&str, ProxyHeader); 14] = [
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET",
                whole(42, Some("192.0.2.1:56324")),
            ),
            (
                "PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
                whole(32, Some("[2001:db8::1]:1")),
            ),
            ("PROXY UNKNOWN\r\n", whole(15, None)),
            ("PROXY UNKNOWN ff::1 ff::2 1 2\r\n", whole(31, None)),
            ("", ProxyHeader::NeedMore),
            ("PRO", ProxyHeader::NeedMore),
            ("PROXY TCP4 192.0.2.1", ProxyHeader::NeedMore),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
                ProxyHeader::NeedMore,
            ),
            ("PROXX ", ProxyHeader::Invalid),
            ("GET / HTTP/1.1\r\n", ProxyHeader::Invalid),
            ("PROXY TCP4 ::1 ::1 1 2\r\n", ProxyHeader::Invalid),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
                ProxyHeader::Invalid,
            ),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 1 99999\r\n",
                ProxyHeader::Invalid,
            ),
            (
                "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
                ProxyHeader::Invalid,
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(proxy_header(line.as_bytes()), expected, "{line:?}");
        }
        let long = format!("PROXY TCP4 {}", "1".repeat(LONGEST_LINE));
        assert_eq!(proxy_header(long.as_bytes()), ProxyHeader::Invalid);
    }

    fn version_2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, addresses].concat()
    }

    #[test]
    fn headers_of_version_2() {
        let four = [10, 0, 0, 1, 10, 0, 0, 2, 0x1f, 0x90, 0, 80];
        let mut six = vec![0; 36];
        (six[15], six[32], six[33]) = (1, 0x1f, 0x90);
        let extended = [&four[..], &[0x04, 0, 1, 9]].concat();
        let cases: [(Vec<u8>, ProxyHeader); 8] = [
            (
                version_2(0x21, 0x11, &four),
                whole(28, Some("10.0.0.1:8080")),
            ),
            (version_2(0x21, 0x21, &six), whole(52, Some("[::1]:8080"))),
            (
                version_2(0x21, 0x11, &extended),
                whole(32, Some("10.0.0.1:8080")),
            ),
            (version_2(0x20, 0x11, &four), whole(28, None)),
            (version_2(0x20, 0, &[]), whole(16, None)),
            (version_2(0x21, 0x11, &four[..8]), ProxyHeader::Invalid),
            (version_2(0x11, 0x11, &four), ProxyHeader::Invalid),
            (version_2(0x21, 0x11, &[0; 5000]), ProxyHeader::Invalid),
        ];
        for (bytes, expected) in cases {
            assert_eq!(proxy_header(&bytes), expected, "{bytes:?}");
            let rest = [&bytes[..], b"rest"].concat();
            assert_eq!(proxy_header(&rest), expected, "{bytes:?}");
            for cut in 0..bytes.len().min(FIXED) {
                assert_eq!(proxy_header(&bytes[..cut]), ProxyHeader::NeedMore);
            }
        }
    }

    proptest! {
        #[test]
        fn an_answer_stays(bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0..3_usize) {
            let begin: &[u8] = [&b""[..], WORD, SIGNATURE][start];
            let bytes = [begin, &bytes].concat();
            let whole = proxy_header(&bytes);
            for cut in 0..bytes.len() {
                let early = proxy_header(&bytes[..cut]);
                prop_assert!(early == ProxyHeader::NeedMore || early == whole);
            }
            if let ProxyHeader::Whole { length, .. } = whole {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
