//! VirtualService (Istio: networking/v1alpha3/virtual_service.proto).

mod overlap;

use mesh_api::Hostname;

use super::{http_action, http_match, l4_route, metadata};
use crate::model::{HttpAction, HttpRule, Meta, Semantics, VirtualService};
use crate::yaml::{Fields, Report, Word};

/// Istio's reserved name for all sidecars.
pub(crate) const MESH: &str = "mesh";

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> VirtualService {
    let place = spec.place();
    let is_delegate = !spec.has("hosts");
    let gateways = gateways(&spec.words("gateways", r), meta.namespace(), r);
    if is_delegate && !gateways.is_empty() {
        r.error(
            place,
            "delegate virtual service must have no gateways and no hosts",
        );
    }
    let gateways = if is_delegate {
        Vec::new()
    } else if gateways.is_empty() {
        vec![MESH.to_owned()]
    } else {
        gateways
    };
    let hosts = hosts(&spec.words("hosts", r), &gateways, r);
    let export_to = metadata::export_to(&spec.words("exportTo", r), meta.namespace(), false, r);
    if hosts.is_empty() && !is_delegate && !r.failed() {
        r.error(place, "virtual service must have at least one host");
    }
    let mut http = Vec::new();
    for mut rule in spec.children("http", r) {
        http.extend(http_rule(&mut rule, meta.namespace(), r));
        rule.close(r);
    }
    if is_delegate {
        check_delegate(&http, spec, r);
    }
    let tls = l4_route::read_all(spec, "tls", (&hosts, meta.namespace()), r);
    let tcp = l4_route::read_all(spec, "tcp", (&hosts, meta.namespace()), r);
    if http.is_empty() && tls.is_empty() && tcp.is_empty() && !r.failed() {
        r.error(
            place,
            "http, tcp or tls must be provided in virtual service",
        );
    }
    overlap::check_http(&http, r);
    overlap::check_l4(&tls, r);
    overlap::check_l4(&tcp, r);
    VirtualService {
        meta,
        semantics: Semantics::Istio,
        hosts,
        gateways,
        export_to,
        http,
        tls,
        tcp,
    }
}

/// A delegate has routes of HTTP only, and delegates nothing on (Istio: one level).
fn check_delegate(http: &[HttpRule], spec: &Fields<'_>, r: &mut Report) {
    if spec.has("tls") || spec.has("tcp") {
        r.error(
            spec.place(),
            "delegate virtual service must not have tls or tcp routes",
        );
    }
    if http
        .iter()
        .any(|rule| matches!(rule.action, HttpAction::Delegate(_)))
    {
        r.error(
            spec.place(),
            "delegate virtual service must not delegate on",
        );
    }
}

fn http_rule(rule: &mut Fields<'_>, namespace: &str, r: &mut Report) -> Option<HttpRule> {
    let origin = r.at(rule.place());
    let name = rule.text("name", r);
    let mut cases = Vec::new();
    for mut case in rule.children("match", r) {
        cases.push(http_match::read(&mut case, namespace, r));
        case.close(r);
    }
    // Upgrades are always possible.
    rule.ignore(&["websocketUpgrade"]);
    let fault = rule
        .child("fault", r)
        .and_then(|fault| http_action::fault(fault, r));
    let cors = rule
        .child("corsPolicy", r)
        .map(|cors| http_action::cors(cors, r));
    let headers = rule
        .child("headers", r)
        .map(|headers| http_action::headers(headers, r));
    let action = http_action::read(rule, &cases, r)?;
    http_action::check_authority(&action, headers.as_ref(), rule.place(), r);
    Some(HttpRule {
        joined: None,
        name,
        origin,
        cases,
        action,
        fault,
        cors,
        headers,
    })
}

/// Reads names of gateways; a short name is one of this namespace.
pub(super) fn gateways(words: &[Word], namespace: &str, r: &mut Report) -> Vec<String> {
    let mut names = Vec::new();
    for word in words {
        let text = word.text.as_str();
        let name = if text == MESH {
            MESH.to_owned()
        } else if let Some((namespace, name)) = text.split_once('/') {
            if mesh_api::WorkloadName::new(namespace, name).is_err() {
                r.error(
                    word.place,
                    format!("invalid value for gateway name: {text}"),
                );
            }
            text.to_owned()
        } else if let Some((name, rest)) = text.split_once('.') {
            let namespace = rest.split('.').next().unwrap_or_default();
            let better = format!("{namespace}/{name}");
            r.warn(
                word.place,
                format!("using legacy gatewayName format \"{text}\"; prefer the <namespace>/<name> format: \"{better}\""),
            );
            better
        } else if text.is_empty() {
            r.error(word.place, "invalid value for gateway name: it is empty");
            continue;
        } else {
            format!("{namespace}/{text}")
        };
        names.push(name);
    }
    names
}

fn hosts(words: &[Word], gateways: &[String], r: &mut Report) -> Vec<Word> {
    let mesh = gateways.iter().any(|name| name == MESH);
    let mut hosts: Vec<Word> = Vec::new();
    for word in words {
        let host = match word.text.parse::<Hostname>() {
            Ok(host) => host,
            Err(error) => {
                r.error(word.place, error.to_string());
                continue;
            }
        };
        if mesh && host.as_str() == "*" {
            r.error(
                word.place,
                "wildcard host * is not allowed for virtual services bound to the mesh gateway",
            );
        }
        for other in &hosts {
            let covers =
                |a: &str, b: &str| a.parse::<Hostname>().is_ok_and(|a| a.covers(b)) || a == b;
            if covers(&other.text, host.as_str()) || covers(host.as_str(), &other.text) {
                r.error(
                    word.place,
                    format!(
                        "duplicate hosts in virtual service: {} & {host}",
                        other.text
                    ),
                );
            }
        }
        hosts.push(Word {
            text: host.as_str().to_owned(),
            place: word.place,
        });
    }
    hosts
}
