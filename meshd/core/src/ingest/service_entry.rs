//! ServiceEntry (Istio: networking/v1alpha3/service_entry.proto).

use mesh_api::Hostname;
use mesh_api::v1::{Protocol, Resolution};

use super::service::{named_protocol, near};
use super::{metadata, workload_entry};
use crate::model::{Endpoint, EntryPort, Meta, ServiceEntry};
use crate::yaml::{Fields, Labels, Report, Word};

/// Label that keeps Istio from giving out an address.
const ALLOCATE: &str = "networking.istio.io/enable-autoallocate-ip";

#[derive(Clone, Copy, PartialEq)]
enum Found {
    None,
    Static,
    Dns,
    RoundRobin,
    Dynamic,
}

const RESOLUTIONS: &[(&str, Found)] = &[
    ("NONE", Found::None),
    ("STATIC", Found::Static),
    ("DNS", Found::Dns),
    ("DNS_ROUND_ROBIN", Found::RoundRobin),
    ("DYNAMIC_DNS", Found::Dynamic),
];

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> Option<ServiceEntry> {
    let place = spec.place();
    let hosts = hosts(spec, r);
    let addresses = spec.words("addresses", r);
    let ports = ports(spec, r);
    let external = spec
        .choice(
            "location",
            &[("MESH_EXTERNAL", true), ("MESH_INTERNAL", false)],
            r,
        )
        .is_none_or(|found| found.0);
    let (found, resolution_place) = spec
        .choice("resolution", RESOLUTIONS, r)
        .unwrap_or((Found::None, place));
    let selector = selector(spec, r);
    let mut endpoints = Vec::new();
    for mut endpoint in spec.children("endpoints", r) {
        endpoints.extend(workload_entry::endpoint(&mut endpoint, r));
        endpoint.close(r);
    }
    let export_to = metadata::export_to(&spec.words("exportTo", r), meta.namespace(), true, r);
    let subject_alt_names = spec.texts("subjectAltNames", r);
    if selector.is_some() && !endpoints.is_empty() {
        r.error(
            place,
            "only one of WorkloadSelector or Endpoints is allowed in Service Entry",
        );
    }
    if found == Found::Dynamic {
        check_dynamic(
            &hosts,
            (&addresses, &endpoints, selector.is_some()),
            &ports,
            (resolution_place, r),
        );
    }
    check_addresses(&addresses, found, r);
    check_endpoints(&endpoints, &ports, found, r);
    check_hosts(&hosts, &endpoints, &ports, (found, selector.is_some()), r);
    let resolution = match found {
        Found::None => Resolution::None,
        Found::Dynamic => Resolution::DynamicDns,
        Found::Static => Resolution::Static,
        Found::Dns => Resolution::Dns,
        Found::RoundRobin => Resolution::DnsRoundRobin,
    };
    let near = near(&meta.annotations, None, place, r);
    let fixed_addresses = meta
        .labels
        .get(ALLOCATE)
        .is_some_and(|value| value.eq_ignore_ascii_case("false"));
    Some(ServiceEntry {
        meta,
        hosts,
        addresses: addresses.into_iter().map(|word| word.text).collect(),
        ports,
        external,
        resolution,
        endpoints,
        selector,
        export_to,
        subject_alt_names,
        near,
        fixed_addresses,
    })
}

fn hosts(spec: &mut Fields<'_>, r: &mut Report) -> Vec<Word> {
    let mut hosts = Vec::new();
    for word in spec.words("hosts", r) {
        if word.text == "*" {
            r.error(word.place, "invalid host *");
            continue;
        }
        match word.text.parse::<Hostname>() {
            Ok(host) => hosts.push(Word {
                text: host.as_str().to_owned(),
                place: word.place,
            }),
            Err(error) => r.error(word.place, error.to_string()),
        }
    }
    if hosts.is_empty() && !r.failed() {
        r.error(spec.place(), "service entry must have at least one host");
    }
    hosts
}

fn ports(spec: &mut Fields<'_>, r: &mut Report) -> Vec<EntryPort> {
    let mut ports: Vec<EntryPort> = Vec::new();
    for mut port in spec.children("ports", r) {
        let place = port.place();
        let number = port.port("number", r);
        let name = port.text("name", r);
        let protocol = port.word("protocol", r);
        let target = port.port("targetPort", r);
        port.close(r);
        let Some(number) = number else {
            r.error(place, format!("{} is required", port_path(&ports)));
            continue;
        };
        if mesh_api::WorkloadName::new("x", &name).is_err() || name.contains('.') {
            r.error(place, format!("invalid port name: {name}"));
        }
        if ports.iter().any(|other| other.name == name) {
            r.error(
                place,
                format!("service entry port name \"{name}\" already defined"),
            );
        }
        if ports.iter().any(|other| other.number == number) {
            r.error(
                place,
                format!("service entry port {number} already defined"),
            );
        }
        let protocol = match protocol {
            Some(word) if !word.text.is_empty() => {
                if word.text.eq_ignore_ascii_case("udp") {
                    r.warn(
                        word.place,
                        format!(
                            "port {number}: UDP is not carried by the mesh; the port is left out"
                        ),
                    );
                    continue;
                }
                named_protocol(&word.text).unwrap_or_else(|| {
                    r.error(word.place, format!("unsupported protocol: {}", word.text));
                    Protocol::Auto
                })
            }
            _ => Protocol::Auto,
        };
        ports.push(EntryPort {
            number,
            name,
            protocol,
            target: target.unwrap_or(number),
        });
    }
    ports
}

fn port_path(ports: &[EntryPort]) -> String {
    format!("spec.ports[{}].number", ports.len())
}

/// `workloadSelector.labels`.
pub(super) fn selector(spec: &mut Fields<'_>, r: &mut Report) -> Option<Labels> {
    let mut selector = spec.child("workloadSelector", r)?;
    let labels = selector.labels("labels", r).unwrap_or_default();
    metadata::check_selector(&labels, selector.place(), r);
    selector.close(r);
    Some(labels)
}

fn check_addresses(addresses: &[Word], found: Found, r: &mut Report) {
    for word in addresses {
        let is_range = word.text.contains('/');
        let valid = if is_range {
            word.text.parse::<ipnet::IpNet>().is_ok()
        } else {
            word.text.parse::<std::net::IpAddr>().is_ok()
        };
        if !valid {
            r.error(
                word.place,
                format!("\"{}\" is not a valid IP address or CIDR", word.text),
            );
        } else if is_range && !matches!(found, Found::None | Found::Static) {
            r.error(
                word.place,
                "CIDR addresses are allowed only for NONE/STATIC resolution types",
            );
        }
    }
}

/// Which server a client means it says itself: by its Host or server name.
fn check_dynamic(
    hosts: &[Word],
    (addresses, endpoints, selected): (&[Word], &[Endpoint], bool),
    ports: &[EntryPort],
    (place, r): (crate::yaml::Place, &mut Report),
) {
    for host in hosts.iter().filter(|host| !host.text.starts_with("*.")) {
        r.error(
            host.place,
            format!(
                "DYNAMIC_DNS mode takes wildcard hosts only, found {}",
                host.text
            ),
        );
    }
    if !addresses.is_empty() || !endpoints.is_empty() || selected {
        r.error(
            place,
            "DYNAMIC_DNS mode cannot set addresses, endpoints or workloadSelector",
        );
    }
    let named = [
        Protocol::Http,
        Protocol::Http2,
        Protocol::Grpc,
        Protocol::Tls,
    ];
    for port in ports.iter().filter(|port| !named.contains(&port.protocol)) {
        r.error(
            place,
            format!(
                "DYNAMIC_DNS mode takes HTTP, HTTP2, GRPC and TLS ports only, found {}",
                port.name
            ),
        );
    }
}

fn check_endpoints(endpoints: &[Endpoint], ports: &[EntryPort], found: Found, r: &mut Report) {
    let Some(first) = endpoints.first() else {
        return;
    };
    let place = |endpoint: &Endpoint| crate::yaml::Place {
        line: endpoint.origin.line,
        column: endpoint.origin.column,
    };
    if found == Found::None {
        r.error(place(first), "no endpoints should be provided for resolution type none: NONE mode cannot set endpoints");
    }
    if found == Found::RoundRobin && endpoints.len() > 1 {
        r.error(place(first), "DNS_ROUND_ROBIN mode cannot have multiple endpoints: there must only be 0 or 1 endpoint");
    }
    for endpoint in endpoints {
        for (name, number) in &endpoint.ports {
            if !ports.iter().any(|port| port.name == *name) {
                r.error(
                    place(endpoint),
                    format!(
                        "endpoint port {number} (`{name}`) is not defined by the service entry"
                    ),
                );
            }
        }
        if found == Found::Static && workload_entry::is_name(&endpoint.address) {
            r.error(
                place(endpoint),
                format!(
                    "endpoint address \"{}\" is not a valid IP address",
                    endpoint.address
                ),
            );
        }
        if endpoint.address.starts_with("unix://") {
            if found != Found::Static {
                r.error(
                    place(endpoint),
                    format!(
                        "endpoint address \"{}\" is not a valid FQDN or an IP address",
                        endpoint.address
                    ),
                );
            } else if ports.len() != 1 {
                r.error(
                    place(endpoint),
                    "exactly 1 service port required for unix endpoints",
                );
            }
        }
    }
}

fn check_hosts(
    hosts: &[Word],
    endpoints: &[Endpoint],
    ports: &[EntryPort],
    (found, selected): (Found, bool),
    r: &mut Report,
) {
    let dns = matches!(found, Found::Dns | Found::RoundRobin);
    for host in hosts.iter().filter(|host| host.text.starts_with("*.")) {
        if dns && endpoints.is_empty() && !selected {
            r.error(
                host.place,
                format!("hosts must be FQDN if no endpoints are provided for resolution mode DNS: hostname cannot be wildcard: {}", host.text),
            );
        }
    }
    let opaque = ports
        .iter()
        .any(|port| matches!(port.protocol, Protocol::Tcp | Protocol::Auto));
    if let Some(second) = hosts.get(1)
        && found != Found::None
        && opaque
    {
        r.error(
            second.place,
            "multiple hosts provided with non-HTTP, non-TLS ports",
        );
    }
}
