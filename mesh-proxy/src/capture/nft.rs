//! Rules for nftables: one table of our own, replaced as a whole.

use std::fmt::Write;

use ipnet::IpNet;

use super::Step;
use super::options::{CaptureOptions, DnsCapture, Owner, Selection};

const TABLE: &str = "inet mesh_capture";

pub(super) fn install(options: &CaptureOptions) -> Step {
    let mut text = format!("add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n");
    chain(
        &mut text,
        "ISTIO_REDIRECT",
        &[format!(
            "meta l4proto tcp redirect to :{}",
            options.outbound_port
        )],
    );
    chain(
        &mut text,
        "ISTIO_IN_REDIRECT",
        &[format!(
            "meta l4proto tcp redirect to :{}",
            options.inbound_port
        )],
    );
    chain(&mut text, "ISTIO_INBOUND", &inbound(options));
    chain(&mut text, "ISTIO_OUTPUT", &output(options));
    if let Some(dns) = options.dns_rules() {
        capture_dns(&mut text, options, dns);
    }
    hook(
        &mut text,
        "PREROUTING",
        "prerouting",
        "ISTIO_INBOUND",
        options,
    );
    hook(&mut text, "OUTPUT", "output", "ISTIO_OUTPUT", options);
    text.push_str("}\n");
    step(text)
}

pub(super) fn remove() -> Step {
    // `delete` alone fails if there is no table; `add` makes sure that there is one.
    step(format!("add table {TABLE}\ndelete table {TABLE}\n"))
}

fn step(input: String) -> Step {
    Step {
        program: "nft",
        arguments: vec!["-f".to_owned(), "-".to_owned()],
        input,
        may_fail: false,
    }
}

fn chain(text: &mut String, name: &str, rules: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\tchain {name} {{");
    for rule in rules {
        let _ = writeln!(text, "\t\t{rule}");
    }
    text.push_str("\t}\n");
}

fn hook(text: &mut String, name: &str, hook: &str, target: &str, options: &CaptureOptions) {
    let family = if options.ipv6 {
        ""
    } else {
        "meta nfproto ipv4 "
    };
    let rules = [
        format!("type nat hook {hook} priority -100; policy accept;"),
        format!("{family}meta l4proto tcp jump {target}"),
    ];
    chain(text, name, &rules);
}

/// Questions to DNS servers. The hook comes before that of other tables: Docker has rules for
/// its own server.
fn capture_dns(text: &mut String, options: &CaptureOptions, dns: &DnsCapture) {
    let own: Vec<String> = owners(options)
        .iter()
        .map(|(what, who)| format!("{what} {who}"))
        .collect();
    let servers: Vec<String> = dns
        .servers
        .iter()
        .filter(|server| options.ipv6 || server.is_ipv4())
        .map(|server| IpNet::from(*server))
        .map(|server| destination(&server).replace("/32", "").replace("/128", ""))
        .collect();
    let mut rules: Vec<String> = options
        .exclude_interfaces
        .iter()
        .map(|name| format!("oifname \"{name}\" return"))
        .collect();
    rules.extend(own.iter().map(|own| format!("{own} return")));
    for server in &servers {
        for protocol in ["udp", "tcp"] {
            rules.push(format!(
                "{server} {protocol} dport 53 redirect to :{}",
                dns.port
            ));
        }
    }
    chain(text, "ISTIO_OUTPUT_DNS", &rules);
    chain(
        text,
        "OUTPUT_DNS",
        &[
            "type nat hook output priority -101; policy accept;".to_owned(),
            "meta l4proto { tcp, udp } th dport 53 jump ISTIO_OUTPUT_DNS".to_owned(),
        ],
    );
    if !dns.has_zones() {
        return;
    }
    let raw = |hook: &str| format!("type filter hook {hook} priority -300; policy accept;");
    let (mut output, mut input) = (vec![raw("output")], vec![raw("prerouting")]);
    for own in &own {
        for server in &servers {
            output.push(format!("{server} udp dport 53 {own} ct zone set 1 accept"));
        }
        output.push(format!("udp sport {} {own} ct zone set 2 accept", dns.port));
    }
    for server in &servers {
        output.push(format!("{server} udp dport 53 ct zone set 2"));
        let from = server.replace("daddr", "saddr");
        input.push(format!("{from} udp sport 53 ct zone set 1"));
    }
    chain(text, "RAW_OUTPUT", &output);
    chain(text, "RAW_PREROUTING", &input);
}

fn owners(options: &CaptureOptions) -> Vec<(&'static str, u32)> {
    match options.own {
        Owner::UserGroup { uid, gid } => vec![("meta skuid", uid), ("meta skgid", gid)],
        Owner::Mark(mark) => vec![("meta mark", mark)],
    }
}

fn inbound(options: &CaptureOptions) -> Vec<String> {
    let mut rules: Vec<String> = options
        .exclude_interfaces
        .iter()
        .map(|name| format!("iifname \"{name}\" return"))
        .collect();
    rules.extend(
        options
            .exclude_inbound_ports
            .iter()
            .map(|port| format!("tcp dport {port} return")),
    );
    match &options.include_inbound_ports {
        Selection::All => rules.push("jump ISTIO_IN_REDIRECT".to_owned()),
        Selection::Only(ports) => {
            rules.extend(
                ports
                    .iter()
                    .map(|port| format!("tcp dport {port} jump ISTIO_IN_REDIRECT")),
            );
        }
    }
    rules
}

fn output(options: &CaptureOptions) -> Vec<String> {
    let mut rules: Vec<String> = options
        .exclude_interfaces
        .iter()
        .map(|name| format!("oifname \"{name}\" return"))
        .collect();
    rules.extend(
        options
            .exclude_outbound_ports
            .iter()
            .map(|port| format!("tcp dport {port} return")),
    );
    rules.push("oifname \"lo\" ip saddr 127.0.0.6 return".to_owned());
    rules.push("oifname \"lo\" ip6 saddr ::6 return".to_owned());
    // A DNS server in the pod itself is asked directly.
    let not = if options.dns_rules().is_some() {
        "{ 53, 15008 }"
    } else {
        "15008"
    };
    for (what, who) in owners(options) {
        rules.push(format!("oifname \"lo\" ip daddr != 127.0.0.1 tcp dport != {not} {what} {who} jump ISTIO_IN_REDIRECT"));
        rules.push(format!(
            "oifname \"lo\" ip6 daddr != ::1 tcp dport != {not} {what} {who} jump ISTIO_IN_REDIRECT"
        ));
        rules.push(format!("oifname \"lo\" {what} != {who} return"));
        rules.push(format!("{what} {who} return"));
    }
    rules.push("ip daddr 127.0.0.1 return".to_owned());
    rules.push("ip6 daddr ::1 return".to_owned());
    rules.extend(
        options
            .exclude_outbound_ranges
            .iter()
            .map(|range| format!("{} return", destination(range))),
    );
    rules.extend(
        options
            .include_outbound_ports
            .iter()
            .map(|port| format!("tcp dport {port} jump ISTIO_REDIRECT")),
    );
    match &options.include_outbound_ranges {
        Selection::All => rules.push("jump ISTIO_REDIRECT".to_owned()),
        Selection::Only(ranges) => {
            rules.extend(
                ranges
                    .iter()
                    .map(|range| format!("{} jump ISTIO_REDIRECT", destination(range))),
            );
        }
    }
    rules
}

fn destination(range: &IpNet) -> String {
    match range {
        IpNet::V4(range) => format!("ip daddr {range}"),
        IpNet::V6(range) => format!("ip6 daddr {range}"),
    }
}
