//! Rules for iptables and ip6tables: four chains of our own in the table `nat`, filled at once
//! by `iptables-restore`, and one jump to each of two of them.

use std::fmt::Write;

use ipnet::IpNet;

use super::Step;
use super::options::{CaptureOptions, Owner, Selection};

const CHAINS: [&str; 4] = [
    "ISTIO_INBOUND",
    "ISTIO_REDIRECT",
    "ISTIO_IN_REDIRECT",
    "ISTIO_OUTPUT",
];
const JUMPS: [[&str; 5]; 2] = [
    ["PREROUTING", "-p", "tcp", "-j", "ISTIO_INBOUND"],
    ["OUTPUT", "-p", "tcp", "-j", "ISTIO_OUTPUT"],
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
        steps.extend(JUMPS.iter().map(|jump| family.call("-D", jump, true)));
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
        steps.extend(JUMPS.iter().map(|jump| family.call("-D", jump, true)));
        steps.extend(CHAINS.iter().map(|chain| family.call("-F", &[chain], true)));
        steps.extend(CHAINS.iter().map(|chain| family.call("-X", &[chain], true)));
    }
    steps
}

fn families(options: &CaptureOptions) -> impl Iterator<Item = &'static Family> {
    [&IPV4].into_iter().chain(options.ipv6.then_some(&IPV6))
}

// === impl Family ===

impl Family {
    fn call(&self, verb: &str, rest: &[&str], may_fail: bool) -> Step {
        let table = ["-t", "nat", verb];
        let words = WAIT.iter().chain(&table).chain(rest);
        let arguments = words.map(|word| (*word).to_owned()).collect();
        Step {
            program: self.command,
            arguments,
            input: String::new(),
            may_fail,
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
        text.push_str("COMMIT\n");
        text
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
        let owners = match options.own {
            Owner::UserGroup { uid, gid } => {
                vec![
                    ("owner", "--uid-owner", uid.to_string()),
                    ("owner", "--gid-owner", gid.to_string()),
                ]
            }
            Owner::Mark(mark) => vec![("mark", "--mark", format!("{mark:#x}"))],
        };
        let localhost = self.localhost;
        for (module, option, who) in owners {
            add(format!(
                "ISTIO_OUTPUT -o lo ! -d {localhost} -p tcp ! --dport 15008 -m {module} {option} {who} -j ISTIO_IN_REDIRECT"
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
