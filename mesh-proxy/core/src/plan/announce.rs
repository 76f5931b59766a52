//! What is said to a server before anything else: who calls (the PROXY protocol), or where the
//! bytes are to go (a tunnel).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri};

use crate::ir::{Cluster, HttpUpgrade, Protocol, ProxyProtocol, Tunnel};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const VERSION_2_LOCAL: u8 = 0x20;
const VERSION_2_PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header of the PROXY protocol for a connection of `client` to `server`; addresses that
/// are not known make one that says so.
pub fn proxy_header(
    version: ProxyProtocol,
    client: Option<SocketAddr>,
    server: Option<SocketAddr>,
) -> Vec<u8> {
    let known = client.zip(server).map(|(client, server)| {
        let ips = (client.ip().to_canonical(), server.ip().to_canonical());
        (ips, client.port(), server.port())
    });
    match version {
        ProxyProtocol::V1 => match known {
            None => b"PROXY UNKNOWN\r\n".to_vec(),
            Some(((IpAddr::V4(from), IpAddr::V4(to)), client, server)) => {
                format!("PROXY TCP4 {from} {to} {client} {server}\r\n").into_bytes()
            }
            Some(((from, to), client, server)) => {
                let (from, to) = (mapped(from), mapped(to));
                format!("PROXY TCP6 {from} {to} {client} {server}\r\n").into_bytes()
            }
        },
        ProxyProtocol::V2 => {
            let mut header = SIGNATURE.to_vec();
            let mut add = |command: u8, family: u8, length: u8, ips: &[u8], ports: &[u16]| {
                header.extend([command, family, 0, length]);
                header.extend_from_slice(ips);
                for port in ports {
                    header.extend(port.to_be_bytes());
                }
            };
            match known {
                None => add(VERSION_2_LOCAL, UNSPECIFIED, 0, &[], &[]),
                Some(((IpAddr::V4(from), IpAddr::V4(to)), client, server)) => {
                    let ips = [from.octets(), to.octets()].concat();
                    add(VERSION_2_PROXY, TCP_OVER_IPV4, 12, &ips, &[client, server]);
                }
                Some(((from, to), client, server)) => {
                    let ips = [mapped(from).octets(), mapped(to).octets()].concat();
                    add(VERSION_2_PROXY, TCP_OVER_IPV6, 36, &ips, &[client, server]);
                }
            }
            header
        }
    }
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// The request for a tunnel: CONNECT (RFC 9110 section 9.3.6), or a POST whose body are the bytes
/// (Envoy: tunneling_config.use_post).
pub fn tunnel_request(tunnel: &Tunnel) -> Vec<u8> {
    let target = target(tunnel);
    if tunnel.post {
        let head = format!("POST / HTTP/1.1\r\nHost: {target}\r\n");
        return format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    }
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").into_bytes()
}

/// The same over HTTP/2 (RFC 9113 section 8.5).
pub fn tunnel_head(tunnel: &Tunnel) -> http::request::Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.version = http::Version::HTTP_2;
    parts.method = Method::CONNECT;
    // A host with a port is an authority.
    if let Ok(authority) = Authority::try_from(target(tunnel)) {
        let mut uri = http::uri::Parts::default();
        uri.authority = Some(authority);
        if tunnel.post {
            parts.method = Method::POST;
            uri.scheme = Some(Scheme::HTTP);
            uri.path_and_query = Some(PathAndQuery::from_static("/"));
        }
        parts.uri = Uri::from_parts(uri).unwrap_or_default();
    }
    parts
}

/// Whether tunnels through servers of this service are asked for over HTTP/2 (Istio: a port of
/// HTTP/2 or gRPC, or h2UpgradePolicy UPGRADE on any port; useClientProtocol says nothing of
/// clients that speak opaque bytes).
pub fn tunnels_over_http2(cluster: &Cluster) -> bool {
    cluster.traffic.http == HttpUpgrade::Http2
        || matches!(cluster.protocol, Protocol::Http2 | Protocol::Grpc)
}

fn target(tunnel: &Tunnel) -> String {
    match tunnel.host.as_str().parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{}", tunnel.port),
        Err(_) => format!("{}:{}", tunnel.host, tunnel.port),
    }
}

/// What a server says to the request for a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelAnswer {
    /// The head is not whole yet.
    NeedMore,
    /// The tunnel begins behind so many bytes.
    Open(usize),
    /// There is none.
    Refused,
}

/// No head of an answer is longer.
const MAX_HEAD: usize = 16 * 1024;

/// Reads the answer to a CONNECT of [`tunnel_request`] from its first bytes.
pub fn tunnel_answer(bytes: &[u8]) -> TunnelAnswer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else {
        return if bytes.len() > MAX_HEAD {
            TunnelAnswer::Refused
        } else {
            TunnelAnswer::NeedMore
        };
    };
    // RFC 9112 section 4: the version, a space, three digits.
    let good = bytes.starts_with(b"HTTP/1.")
        && bytes.get(8) == Some(&b' ')
        && bytes.get(9) == Some(&b'2')
        && bytes
            .get(10..12)
            .is_some_and(|rest| rest.iter().all(u8::is_ascii_digit));
    if good {
        TunnelAnswer::Open(end + 4)
    } else {
        TunnelAnswer::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }

    #[test]
    fn tunnels_are_asked_for_in_both_versions() {
        for (host, post, line, uri) in [
            (
                "a.example.com",
                false,
                "CONNECT a.example.com:443 HTTP/1.1",
                "a.example.com:443",
            ),
            ("::1", false, "CONNECT [::1]:443 HTTP/1.1", "[::1]:443"),
            (
                "a.example.com",
                true,
                "POST / HTTP/1.1",
                "http://a.example.com:443/",
            ),
        ] {
            let tunnel = Tunnel {
                host: host.parse().unwrap(),
                port: 443,
                post,
            };
            let text = String::from_utf8(tunnel_request(&tunnel)).unwrap();
            assert_eq!(text.lines().next(), Some(line));
            let head = tunnel_head(&tunnel);
            assert_eq!(
                (head.method == Method::POST, head.uri.to_string()),
                (post, uri.to_owned())
            );
        }
    }

    #[test]
    fn headers_of_both_versions() {
        let text = |from, to| {
            String::from_utf8(proxy_header(ProxyProtocol::V1, address(from), address(to))).unwrap()
        };
        assert_eq!(
            text("10.0.0.1:5000", "10.0.0.2:80"),
            "PROXY TCP4 10.0.0.1 10.0.0.2 5000 80\r\n"
        );
        assert_eq!(
            text("[::1]:5000", "[::2]:80"),
            "PROXY TCP6 ::1 ::2 5000 80\r\n"
        );
        assert_eq!(
            text("10.0.0.1:5000", "[::2]:80"),
            "PROXY TCP6 ::ffff:10.0.0.1 ::2 5000 80\r\n"
        );
        assert_eq!(text("", "10.0.0.2:80"), "PROXY UNKNOWN\r\n");
    }

    #[test]
    fn what_is_written_can_be_read() {
        use crate::detect;
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            for (from, to) in [("10.0.0.1:5000", "10.0.0.2:80"), ("[::1]:5000", "[::2]:80")] {
                let header = proxy_header(version, address(from), address(to));
                let read = detect::proxy_header(&header);
                let want = detect::ProxyHeader::Whole {
                    length: header.len(),
                    client: address(from),
                };
                assert_eq!(read, want, "{version:?} {from}");
            }
        }
    }

    #[test]
    fn tunnels_are_asked_for_and_answered() {
        let tunnel = |host: &str| Tunnel {
            host: host.parse().unwrap(),
            port: 443,
            post: false,
        };
        let post = Tunnel {
            post: true,
            ..tunnel("x.example.com")
        };
        assert_eq!(
            tunnel_request(&post),
            b"POST / HTTP/1.1\r\nHost: x.example.com:443\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            tunnel_request(&tunnel("x.example.com")),
            b"CONNECT x.example.com:443 HTTP/1.1\r\nHost: x.example.com:443\r\n\r\n"
        );
        assert!(tunnel_request(&tunnel("::1")).starts_with(b"CONNECT [::1]:443 "));
        for (answer, want) in [
            ("HTTP/1.1 200 OK\r\n", TunnelAnswer::NeedMore),
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello",
                TunnelAnswer::Open(25),
            ),
            ("HTTP/1.0 204 \r\n\r\n", TunnelAnswer::Open(17)),
            ("HTTP/1.1 407 no\r\n\r\n", TunnelAnswer::Refused),
            ("SSH-2.0-x\r\n\r\n", TunnelAnswer::Refused),
        ] {
            assert_eq!(tunnel_answer(answer.as_bytes()), want, "{answer}");
        }
        assert_eq!(tunnel_answer(&[b'x'; 20_000]), TunnelAnswer::Refused);
    }
}
