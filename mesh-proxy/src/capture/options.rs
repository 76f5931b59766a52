//! What is captured.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Backend;
use crate::settings::parse_mark;

/// What is captured. The defaults are Istio's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureOptions {
    /// Port of the sidecar for outgoing connections.
    pub outbound_port: u16,
    /// Port of the sidecar for incoming connections.
    pub inbound_port: u16,
    /// How the sidecar's own connections are recognised.
    pub own: Owner,
    /// Incoming ports that are captured.
    pub include_inbound_ports: Selection<u16>,
    /// Incoming ports that are not.
    pub exclude_inbound_ports: Vec<u16>,
    /// Outgoing destinations that are captured.
    pub include_outbound_ranges: Selection<IpNet>,
    /// Outgoing destinations that are not.
    pub exclude_outbound_ranges: Vec<IpNet>,
    /// Outgoing ports that are captured wherever they go.
    pub include_outbound_ports: Vec<u16>,
    /// Outgoing ports that are not captured.
    pub exclude_outbound_ports: Vec<u16>,
    /// Network interfaces that nothing is captured on.
    pub exclude_interfaces: Vec<String>,
    /// Questions to DNS servers that are captured, if any.
    pub dns: Option<DnsCapture>,
    /// Whether IPv6 is captured, too.
    pub ipv6: bool,
}

/// Questions to DNS servers that are captured: UDP and TCP to port 53.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsCapture {
    /// Port of the sidecar's DNS server, on the loopback addresses.
    pub port: u16,
    /// The servers, as in `/etc/resolv.conf`. Others are left alone, so that a DNS server beside
    /// the application can ask its own.
    pub servers: Vec<IpAddr>,
}

/// How the sidecar's own connections are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// By the user and the group that it runs as.
    UserGroup {
        /// User number.
        uid: u32,
        /// Group number.
        gid: u32,
    },
    /// By the packet mark that it sets: where all processes have the same user, as in a user
    /// namespace. Start the proxy with the same `--own-mark`.
    Mark(u32),
}

/// All, or those in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<T> {
    /// `*`
    All,
    /// These; none if it is empty.
    Only(Vec<T>),
}

/// A capture option is not what it has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{option}: `{value}` is not {expected}")]
pub struct InvalidCapture {
    option: &'static str,
    value: String,
    expected: &'static str,
}

/// Options of `mesh-proxy capture`, named after Istio's annotations
/// (`traffic.sidecar.istio.io/…`).
#[derive(Clone, Debug, clap::Args)]
pub struct CaptureArgs {
    /// Port of the sidecar for outgoing connections
    #[arg(long, default_value_t = 15001)]
    pub outbound_port: u16,
    /// Port of the sidecar for incoming connections
    #[arg(long, default_value_t = 15006)]
    pub inbound_port: u16,
    /// User that the sidecar runs as
    #[arg(long, default_value_t = 1337)]
    pub uid: u32,
    /// Group that the sidecar runs as
    #[arg(long, default_value_t = 1337)]
    pub gid: u32,
    /// Recognise the sidecar by this packet mark instead of user and group
    #[arg(long, value_name = "N", conflicts_with_all = ["uid", "gid"])]
    pub own_mark: Option<String>,
    /// Incoming ports to capture: * or a list
    #[arg(long, default_value = "*", value_name = "PORTS")]
    pub include_inbound_ports: String,
    /// Incoming ports not to capture (15008, 15020, 15021 and 15090 never are)
    #[arg(long, default_value = "", value_name = "PORTS")]
    pub exclude_inbound_ports: String,
    /// Outgoing destinations to capture: * or a list of CIDRs
    #[arg(
        long = "include-outbound-ip-ranges",
        default_value = "*",
        value_name = "CIDRS"
    )]
    pub include_outbound_ranges: String,
    /// Outgoing destinations not to capture
    #[arg(
        long = "exclude-outbound-ip-ranges",
        default_value = "",
        value_name = "CIDRS"
    )]
    pub exclude_outbound_ranges: String,
    /// Outgoing ports to capture wherever they go
    #[arg(long, default_value = "", value_name = "PORTS")]
    pub include_outbound_ports: String,
    /// Outgoing ports not to capture
    #[arg(long, default_value = "", value_name = "PORTS")]
    pub exclude_outbound_ports: String,
    /// Network interfaces not to capture on
    #[arg(long, default_value = "", value_name = "NAMES")]
    pub exclude_interfaces: String,
    /// Capture questions to DNS servers, too
    #[arg(long)]
    pub dns: bool,
    /// The DNS servers [default: those of /etc/resolv.conf]
    #[arg(long, default_value = "", value_name = "IPS", requires = "dns")]
    pub dns_servers: String,
    /// Port of the sidecar for DNS
    #[arg(long, default_value_t = 15053)]
    pub dns_port: u16,
    /// Leave IPv6 alone
    #[arg(long)]
    pub no_ipv6: bool,
    /// Tool that takes the rules
    #[arg(long, value_enum, default_value = "auto")]
    pub backend: Backend,
    /// Print what would be done
    #[arg(long)]
    pub dry_run: bool,
}

// The sidecar's own ports: HBONE, merged metrics, readiness, metrics (Istio's injector).
const OWN_PORTS: [u16; 4] = [15008, 15090, 15021, 15020];

// === impl DnsCapture ===

impl DnsCapture {
    /// Whether the two halves of a captured question (client to sidecar, sidecar to server) are
    /// kept apart by zones of conntrack. Otherwise the sidecar could come by the port of an
    /// earlier client and be sent back to itself. A server on a loopback address is reached
    /// through rules of others that do not know the zones (Docker's), so it has none.
    pub(super) fn has_zones(&self) -> bool {
        !self.servers.iter().any(IpAddr::is_loopback)
    }
}

// === impl CaptureOptions ===

impl CaptureOptions {
    /// The DNS capture, if any rule comes of it.
    pub(super) fn dns_rules(&self) -> Option<&DnsCapture> {
        let dns = self.dns.as_ref()?;
        let excluded = self.exclude_outbound_ports.contains(&53);
        (!excluded && !dns.servers.is_empty()).then_some(dns)
    }
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self {
            outbound_port: 15001,
            inbound_port: 15006,
            own: Owner::UserGroup {
                uid: 1337,
                gid: 1337,
            },
            include_inbound_ports: Selection::All,
            exclude_inbound_ports: OWN_PORTS.to_vec(),
            include_outbound_ranges: Selection::All,
            exclude_outbound_ranges: Vec::new(),
            include_outbound_ports: Vec::new(),
            exclude_outbound_ports: Vec::new(),
            exclude_interfaces: Vec::new(),
            dns: None,
            ipv6: true,
        }
    }
}

impl TryFrom<&CaptureArgs> for CaptureOptions {
    type Error = InvalidCapture;

    fn try_from(args: &CaptureArgs) -> Result<Self, Self::Error> {
        let own = match &args.own_mark {
            None => Owner::UserGroup {
                uid: args.uid,
                gid: args.gid,
            },
            Some(text) => Owner::Mark(parse_mark(text).map_err(|_| InvalidCapture {
                option: "own-mark",
                value: text.clone(),
                expected: "a packet mark above 0, decimal or 0x…",
            })?),
        };
        let mut exclude_inbound_ports = OWN_PORTS.to_vec();
        for port in ports("exclude-inbound-ports", &args.exclude_inbound_ports)? {
            if !exclude_inbound_ports.contains(&port) {
                exclude_inbound_ports.push(port);
            }
        }
        Ok(Self {
            outbound_port: args.outbound_port,
            inbound_port: args.inbound_port,
            own,
            include_inbound_ports: selection(&args.include_inbound_ports, |text| {
                ports("include-inbound-ports", text)
            })?,
            exclude_inbound_ports,
            include_outbound_ranges: selection(&args.include_outbound_ranges, |text| {
                ranges("include-outbound-ip-ranges", text)
            })?,
            exclude_outbound_ranges: ranges(
                "exclude-outbound-ip-ranges",
                &args.exclude_outbound_ranges,
            )?,
            include_outbound_ports: ports("include-outbound-ports", &args.include_outbound_ports)?,
            exclude_outbound_ports: ports("exclude-outbound-ports", &args.exclude_outbound_ports)?,
            exclude_interfaces: list(&args.exclude_interfaces)
                .map(interface)
                .collect::<Result<_, _>>()?,
            dns: args
                .dns
                .then(|| {
                    Ok(DnsCapture {
                        port: args.dns_port,
                        servers: servers(&args.dns_servers)?,
                    })
                })
                .transpose()?,
            ipv6: !args.no_ipv6,
        })
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn selection<T>(
    text: &str,
    parse: impl Fn(&str) -> Result<Vec<T>, InvalidCapture>,
) -> Result<Selection<T>, InvalidCapture> {
    if text.trim() == "*" {
        Ok(Selection::All)
    } else {
        Ok(Selection::Only(parse(text)?))
    }
}

fn ports(option: &'static str, text: &str) -> Result<Vec<u16>, InvalidCapture> {
    let invalid = |value: &str| InvalidCapture {
        option,
        value: value.to_owned(),
        expected: "a port from 1 to 65535",
    };
    list(text)
        .map(|port| {
            port.parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| invalid(port))
        })
        .collect()
}

fn ranges(option: &'static str, text: &str) -> Result<Vec<IpNet>, InvalidCapture> {
    let invalid = |value: &str| InvalidCapture {
        option,
        value: value.to_owned(),
        expected: "a CIDR such as 10.0.0.0/8",
    };
    let parse = |range: &str| {
        let range: Option<IpNet> = range
            .parse()
            .ok()
            .or_else(|| Some(IpNet::from(range.parse::<std::net::IpAddr>().ok()?)));
        range.map(|range| range.trunc())
    };
    list(text)
        .map(|range| parse(range).ok_or_else(|| invalid(range)))
        .collect()
}

fn servers(text: &str) -> Result<Vec<IpAddr>, InvalidCapture> {
    let parse = |server: &str| {
        server.parse().map_err(|_| InvalidCapture {
            option: "dns-servers",
            value: server.to_owned(),
            expected: "an IP address",
        })
    };
    list(text).map(parse).collect()
}

// Goes into a rule's text: nothing but what an interface may be called (15 bytes, IFNAMSIZ).
fn interface(name: &str) -> Result<String, InvalidCapture> {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'+' | b'*');
    if name.len() <= 15 && name.bytes().all(allowed) {
        Ok(name.to_owned())
    } else {
        Err(InvalidCapture {
            option: "exclude-interfaces",
            value: name.to_owned(),
            expected: "a network interface",
        })
    }
}
