//! `tls` and `tcp` of a VirtualService.

use mesh_api::Hostname;

use super::http_action;
use super::http_match::client_filter;
use crate::model::{L4Case, L4Rule};
use crate::yaml::{Fields, Report, Word};

/// Reads all rules of one kind.
pub(super) fn read_all(
    spec: &mut Fields<'_>,
    kind: &'static str,
    (hosts, namespace): (&[Word], &str),
    r: &mut Report,
) -> Vec<L4Rule> {
    let tls = kind == "tls";
    let mut rules = Vec::new();
    for mut rule in spec.children(kind, r) {
        let origin = r.at(rule.place());
        let mut cases = Vec::new();
        for mut case in rule.children("match", r) {
            cases.push(read_case(&mut case, tls, (hosts, namespace), r));
            case.close(r);
        }
        let targets = http_action::targets(&mut rule, "route", false, r);
        if tls && cases.is_empty() {
            r.error(
                rule.place(),
                "TLS route must have at least one match condition",
            );
        }
        if targets.is_empty() {
            r.error(
                rule.place(),
                format!("{} route is required", if tls { "TLS" } else { "TCP" }),
            );
        }
        rule.close(r);
        rules.push(L4Rule {
            origin,
            cases,
            targets,
        });
    }
    rules
}

fn read_case(
    case: &mut Fields<'_>,
    tls: bool,
    (hosts, namespace): (&[Word], &str),
    r: &mut Report,
) -> L4Case {
    let origin = r.at(case.place());
    let mut sni_hosts = Vec::new();
    if tls {
        for word in case.words("sniHosts", r) {
            match word.text.parse::<Hostname>() {
                Ok(sni) => {
                    let fits = |host: &Word| {
                        host.text
                            .parse::<Hostname>()
                            .is_ok_and(|host| host == sni || host.covers(sni.as_str()))
                    };
                    if !hosts.iter().any(fits) {
                        let list: Vec<&str> = hosts.iter().map(|host| host.text.as_str()).collect();
                        r.error(
                            word.place,
                            format!("SNI host \"{sni}\" is not a compatible subset of any of the virtual service hosts: [{}]", list.join(", ")),
                        );
                    }
                    sni_hosts.push(sni.as_str().to_owned());
                }
                Err(error) => r.error(word.place, error.to_string()),
            }
        }
        if sni_hosts.is_empty() {
            r.error(case.place(), "TLS match must have at least one SNI host");
        }
    }
    let mut subnets = Vec::new();
    for word in case.words("destinationSubnets", r) {
        let valid = word.text.parse::<std::net::IpAddr>().is_ok()
            || word.text.parse::<ipnet::IpNet>().is_ok();
        if !valid {
            r.error(
                word.place,
                format!("{} is not a valid IP address or CIDR", word.text),
            );
        }
        subnets.push(word.text);
    }
    if !tls {
        case.unsupported(
            "sourceSubnet",
            mesh_api::v1::Severity::Error,
            "the route would take connections that it should not",
            r,
        );
    }
    L4Case {
        origin,
        sni_hosts,
        subnets,
        filter: client_filter(case, namespace, r),
    }
}
