//! Rules for iptables and ip6tables: chains of our own in the table `nat`, and with DNS in `raw`,
//! filled at once by `iptables-restore`, and jumps to them.

use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Step;
use super::options::{CaptureOptions, DnsCapture, Owner, Selection};

const CHAINS: [&str; 5] = [
    "ISTIO_INBOUND",
    "ISTIO_REDIRECT",
    "ISTIO_IN_REDIRECT",
    "ISTIO_OUTPUT",
    "ISTIO_OUTPUT_DNS",
];
const RAW_CHAINS: [&str; 2] = ["ISTIO_INBOUND", "ISTIO_OUTPUT_DNS"];
const JUMPS: [[&str; 5]; 2] = [
    ["PREROUTING", "-p", "tcp", "-j", "ISTIO_INBOUND"],
    ["OUTPUT", "-p", "tcp", "-j", "ISTIO_OUTPUT"],
];
// They come before the rules of others: Docker has some for its own DNS server.
const DNS_JUMPS: [[&str; 7]; 2] = [
    [
        "OUTPUT",
        "-p",
        "udp",
        "--dport",
        "53",
        "-j",
        "ISTIO_OUTPUT_DNS",
    ],
    [
        "OUTPUT",
        "-p",
        "tcp",
        "--dport",
        "53",
        "-j",
        "ISTIO_OUTPUT_DNS",
    ],
];
const RAW_JUMPS: [[&str; 5]; 2] = [
    ["OUTPUT", "-p", "udp", "-j", "ISTIO_OUTPUT_DNS"],
    ["PREROUTING", "-p", "udp", "-j", "ISTIO_INBOUND"],
];
// Another program may hold the lock of the tables for a moment.
const WAIT: [&str; 2] = ["-w", "5"];

struct Family {
    command: &'static str,
    restore: &'static str,
    passthrough: &'static str,
    localhost: &'static str,
    is_ipv6: bool,
}

const IPV4: Family = Family {
    command: "iptables",
    restore: "iptables-restore",
    passthrough: "127.0.0.6/32",
    localhost: "127.0.0.1/32",
    is_ipv6: false,
};
const IPV6: Family = Family {
    command: "ip6tables",
    restore: "ip6tables-restore",
    passthrough: "::6/128",
    localhost: "::1/128",
    is_ipv6: true,
};

pub(super) fn install(options: &CaptureOptions) -> Vec<Step> {
    let mut steps = Vec::new();
    for family in families(options) {
        // The chains are emptied by their declarations; the jumps would be doubled.
        steps.extend(family.no_jumps());
        let arguments = ["--noflush"]
            .iter()
            .chain(&WAIT)
            .map(|text| (*text).to_owned())
            .collect();
        steps.push(Step {
            program: family.restore,
            arguments,
            input: family.rules(options),
            may_fail: false,
        });
    }
    steps
}

pub(super) fn remove(options: &CaptureOptions) -> Vec<Step> {
    let mut steps = Vec::new();
    for family in families(options) {
        steps.extend(family.no_jumps());
        for (table, chains) in [("nat", &CHAINS[..]), ("raw", &RAW_CHAINS)] {
            for verb in ["-F", "-X"] {
                steps.extend(
                    chains
                        .iter()
                        .map(|chain| family.call(table, verb, &[chain])),
                );
            }
        }
    }
    steps
}

fn families(options: &CaptureOptions) -> impl Iterator<Item = &'static Family> {
    [&IPV4].into_iter().chain(options.ipv6.then_some(&IPV6))
}

// === impl Family ===

impl Family {
    /// Takes all jumps away.
    fn no_jumps(&self) -> impl Iterator<Item = Step> {
        let nat = JUMPS.iter().map(|jump| self.call("nat", "-D", jump));
        let dns = DNS_JUMPS.iter().map(|jump| self.call("nat", "-D", jump));
        let raw = RAW_JUMPS.iter().map(|jump| self.call("raw", "-D", jump));
        nat.chain(dns).chain(raw)
    }

    /// A call that fails if there is nothing to take away.
    fn call(&self, table: &str, verb: &str, rest: &[&str]) -> Step {
        let table = ["-t", table, verb];
        let words = WAIT.iter().chain(&table).chain(rest);
        let arguments = words.map(|word| (*word).to_owned()).collect();
        Step {
            program: self.command,
            arguments,
            input: String::new(),
            may_fail: true,
        }
    }

    fn rules(&self, options: &CaptureOptions) -> String {
        let mut text = "*nat\n".to_owned();
        for chain in CHAINS {
            // Writing to a string cannot fail.
            let _ = writeln!(text, ":{chain} - [0:0]");
        }
        let mut add = |rule: String| {
            let _ = writeln!(text, "-A {rule}");
        };
        add(format!(
            "ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports {}",
            options.outbound_port
        ));
        add(format!(
            "ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports {}",
            options.inbound_port
        ));
        inbound(options, &mut add);
        self.output(options, &mut add);
        for jump in JUMPS {
            add(jump.join(" "));
        }
        let dns = options.dns_rules().map(|dns| (dns, self.servers(dns)));
        let Some((dns, servers)) = dns.filter(|(_, servers)| !servers.is_empty()) else {
            text.push_str("COMMIT\n");
            return text;
        };
        redirect_dns(options, dns, &servers, &mut add);
        for jump in DNS_JUMPS {
            let rest = jump
                .split_first()
                .map_or(String::new(), |(_, rest)| rest.join(" "));
            let _ = writeln!(text, "-I OUTPUT 1 {rest}");
        }
        text.push_str("COMMIT\n");
        if dns.has_zones() {
            text.push_str(&zones(options, dns, &servers));
        }
        text
    }

    fn servers(&self, dns: &DnsCapture) -> Vec<IpAddr> {
        let own = |server: &&IpAddr| server.is_ipv6() == self.is_ipv6;
        dns.servers.iter().filter(own).copied().collect()
    }

    fn output(&self, options: &CaptureOptions, add: &mut impl FnMut(String)) {
        for name in &options.exclude_interfaces {
            add(format!("ISTIO_OUTPUT -o {name} -j RETURN"));
        }
        for port in &options.exclude_outbound_ports {
            add(format!("ISTIO_OUTPUT -p tcp --dport {port} -j RETURN"));
        }
        add(format!(
            "ISTIO_OUTPUT -o lo -s {} -j RETURN",
            self.passthrough
        ));
        let localhost = self.localhost;
        // A DNS server in the pod itself is asked directly.
        let not = if options.dns_rules().is_some() {
            "-m multiport ! --dports 53,15008"
        } else {
            "! --dport 15008"
        };
        for (module, option, who) in owners(options) {
            add(format!(
                "ISTIO_OUTPUT -o lo ! -d {localhost} -p tcp {not} -m {module} {option} {who} -j ISTIO_IN_REDIRECT"
            ));
            add(format!(
                "ISTIO_OUTPUT -o lo -m {module} ! {option} {who} -j RETURN"
            ));
            add(format!("ISTIO_OUTPUT -m {module} {option} {who} -j RETURN"));
        }
        add(format!("ISTIO_OUTPUT -d {localhost} -j RETURN"));
        for range in self.own(&options.exclude_outbound_ranges) {
            add(format!("ISTIO_OUTPUT -d {range} -j RETURN"));
        }
        for port in &options.include_outbound_ports {
            add(format!(
                "ISTIO_OUTPUT -p tcp --dport {port} -j ISTIO_REDIRECT"
            ));
        }
        match &options.include_outbound_ranges {
            Selection::All => add("ISTIO_OUTPUT -j ISTIO_REDIRECT".to_owned()),
            Selection::Only(ranges) => {
                for range in self.own(ranges) {
                    add(format!("ISTIO_OUTPUT -d {range} -j ISTIO_REDIRECT"));
                }
            }
        }
    }

    fn own<'a>(&self, ranges: &'a [IpNet]) -> impl Iterator<Item = &'a IpNet> {
        let is_ipv6 = self.is_ipv6;
        ranges
            .iter()
            .filter(move |range| matches!(range, IpNet::V6(_)) == is_ipv6)
    }
}

fn owners(options: &CaptureOptions) -> Vec<(&'static str, &'static str, String)> {
    match options.own {
        Owner::UserGroup { uid, gid } => vec![
            ("owner", "--uid-owner", uid.to_string()),
            ("owner", "--gid-owner", gid.to_string()),
        ],
        Owner::Mark(mark) => vec![("mark", "--mark", format!("{mark:#x}"))],
    }
}

fn redirect_dns(
    options: &CaptureOptions,
    dns: &DnsCapture,
    servers: &[IpAddr],
    add: &mut impl FnMut(String),
) {
    for name in &options.exclude_interfaces {
        add(format!("ISTIO_OUTPUT_DNS -o {name} -j RETURN"));
    }
    for (module, option, who) in owners(options) {
        add(format!(
            "ISTIO_OUTPUT_DNS -m {module} {option} {who} -j RETURN"
        ));
    }
    for server in servers {
        for protocol in ["udp", "tcp"] {
            add(format!(
                "ISTIO_OUTPUT_DNS -p {protocol} -d {server} --dport 53 -j REDIRECT --to-ports {}",
                dns.port
            ));
        }
    }
}

/// Zones of conntrack: the first one of two rules that fit counts.
fn zones(options: &CaptureOptions, dns: &DnsCapture, servers: &[IpAddr]) -> String {
    let mut text = "*raw\n".to_owned();
    for chain in RAW_CHAINS {
        let _ = writeln!(text, ":{chain} - [0:0]");
    }
    for (module, option, who) in owners(options) {
        for server in servers {
            let _ = writeln!(
                text,
                "-A ISTIO_OUTPUT_DNS -p udp -d {server} --dport 53 -m {module} {option} {who} -j CT --zone 1"
            );
        }
        let _ = writeln!(
            text,
            "-A ISTIO_OUTPUT_DNS -p udp --sport {} -m {module} {option} {who} -j CT --zone 2",
            dns.port
        );
    }
    for server in servers {
        let _ = writeln!(
            text,
            "-A ISTIO_OUTPUT_DNS -p udp -d {server} --dport 53 -j CT --zone 2"
        );
        let _ = writeln!(
            text,
            "-A ISTIO_INBOUND -p udp -s {server} --sport 53 -j CT --zone 1"
        );
    }
    for jump in RAW_JUMPS {
        let _ = writeln!(text, "-A {}", jump.join(" "));
    }
    text.push_str("COMMIT\n");
    text
}

fn inbound(options: &CaptureOptions, add: &mut impl FnMut(String)) {
    for name in &options.exclude_interfaces {
        add(format!("ISTIO_INBOUND -i {name} -j RETURN"));
    }
    for port in &options.exclude_inbound_ports {
        add(format!("ISTIO_INBOUND -p tcp --dport {port} -j RETURN"));
    }
    match &options.include_inbound_ports {
        Selection::All => add("ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT".to_owned()),
        Selection::Only(ports) => {
            for port in ports {
                add(format!(
                    "ISTIO_INBOUND -p tcp --dport {port} -j ISTIO_IN_REDIRECT"
                ));
            }
        }
    }
}
