//! Sidecar (Istio: networking/v1alpha3/sidecar.proto).

use mesh_api::v1::{OutboundPolicy, Severity};
use mesh_api::{Hostname, WorkloadName};

use super::metadata;
use crate::model::{Egress, EgressHost, EgressNamespace, Meta, SidecarObject};
use crate::yaml::{Fields, Report, Word};

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> SidecarObject {
    let selector = spec.child("workloadSelector", r).map(|mut selector| {
        let labels = selector.labels("labels", r).unwrap_or_default();
        metadata::check_selector(&labels, selector.place(), r);
        selector.close(r);
        labels
    });
    let mut egress: Vec<Egress> = Vec::new();
    for fields in spec.children("egress", r) {
        let place = fields.place();
        let listener = self::egress(fields, r);
        if egress.last().is_some_and(|last| last.port.is_none()) {
            r.error(
                place,
                "sidecar: the egress listener with empty port should be the last listener in the list",
            );
        }
        if listener.port.is_some() && egress.iter().any(|other| other.port == listener.port) {
            r.error(place, "sidecar: ports on egress listeners must be unique");
        }
        egress.push(listener);
    }
    let outbound_policy = spec
        .child("outboundTrafficPolicy", r)
        .map(|fields| outbound_policy(fields, r));
    spec.unsupported(
        "ingress",
        Severity::Error,
        "the application would be called at other ports; ports of its Services are served",
        r,
    );
    spec.unsupported(
        "inboundConnectionPool",
        Severity::Warning,
        "calls to the application are not limited",
        r,
    );
    SidecarObject {
        meta,
        selector,
        egress,
        outbound_policy,
    }
}

fn egress(mut fields: Fields<'_>, r: &mut Report) -> Egress {
    const MODES: &[(&str, bool)] = &[("DEFAULT", true), ("IPTABLES", true), ("NONE", false)];
    let place = fields.place();
    let port = fields.child("port", r).and_then(|mut port| {
        let number = port.port("number", r);
        port.ignore(&["protocol", "name", "targetPort"]);
        port.close(r);
        number
    });
    fields.unsupported(
        "bind",
        Severity::Error,
        "applications reach other services by captured connections or the explicit proxy",
        r,
    );
    if let Some((false, at)) = fields.choice("captureMode", MODES, r) {
        r.push(
            Severity::Error,
            at,
            "captureMode: `NONE` is not supported; applications reach other services by captured connections or the explicit proxy".to_owned(),
            "unsupported",
        );
    }
    let words = fields.words("hosts", r);
    if words.is_empty() {
        r.error(
            place,
            "sidecar: egress listener must contain at least one host",
        );
    }
    fields.close(r);
    Egress {
        port,
        hosts: words.iter().filter_map(|word| host(word, r)).collect(),
    }
}

/// `namespace/host`; `~namespace/host` excludes.
fn host(word: &Word, r: &mut Report) -> Option<EgressHost> {
    let Some((namespace, host)) = word.text.split_once('/') else {
        r.error(
            word.place,
            format!(
                "sidecar: host must be of form namespace/dnsName, found `{}`",
                word.text
            ),
        );
        return None;
    };
    let (excluded, namespace) = match namespace.strip_prefix('~') {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, namespace),
    };
    let namespace = match namespace {
        "*" => EgressNamespace::Any,
        "~" => EgressNamespace::None,
        "." => EgressNamespace::Own,
        name if WorkloadName::new(name, "x").is_ok() => EgressNamespace::Named(name.to_owned()),
        name => {
            r.error(
                word.place,
                format!("sidecar: namespace `{name}` is not *, ., ~ or a name"),
            );
            return None;
        }
    };
    let host = if host == "*" {
        host.to_owned()
    } else {
        match host.parse::<Hostname>() {
            Ok(host) => host.as_str().to_owned(),
            Err(error) => {
                r.error(word.place, error.to_string());
                return None;
            }
        }
    };
    Some(EgressHost {
        excluded,
        namespace,
        host,
    })
}

/// Without a mode it is the first of the enum: REGISTRY_ONLY.
fn outbound_policy(mut fields: Fields<'_>, r: &mut Report) -> OutboundPolicy {
    const MODES: &[(&str, OutboundPolicy)] = &[
        ("REGISTRY_ONLY", OutboundPolicy::RegistryOnly),
        ("ALLOW_ANY", OutboundPolicy::AllowAny),
    ];
    let mode = fields.choice("mode", MODES, r);
    fields.unsupported(
        "egressProxy",
        Severity::Error,
        "connections would not go through it",
        r,
    );
    fields.close(r);
    mode.map_or(OutboundPolicy::RegistryOnly, |(mode, _)| mode)
}
