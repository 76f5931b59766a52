//! Sidecar (Istio: networking/v1alpha3/sidecar.proto).

mod ingress;

use std::net::IpAddr;

use mesh_api::v1::{EgressListener, OutboundPolicy, Protocol, Severity};
use mesh_api::{Hostname, WorkloadName};

use super::http_action::destination_target;
use super::service::named_protocol;
use super::{connection_pool, metadata};
use crate::model::{Egress, EgressHost, EgressNamespace, Meta, SidecarObject, Target};
use crate::yaml::{Fields, Place, Report, Word};

const UNIX: &str = "unix://";

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
        let is_rest = |egress: &Egress| egress.port.is_none() && egress.listener.is_none();
        if egress.last().is_some_and(is_rest) {
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
    let ingress = ingress::read(spec, r);
    let inbound_pool = spec
        .child("inboundConnectionPool", r)
        .map(|fields| connection_pool::pool(fields, r));
    if egress.is_empty()
        && ingress.is_empty()
        && outbound_policy.is_none()
        && inbound_pool.is_none()
        && !r.failed()
    {
        r.error(spec.place(), "sidecar: empty configuration provided");
    }
    let (outbound_policy, egress_proxy) = outbound_policy.unzip();
    SidecarObject {
        meta,
        selector,
        ingress,
        inbound_pool,
        egress,
        outbound_policy,
        egress_proxy: egress_proxy.flatten(),
    }
}

fn egress(mut fields: Fields<'_>, r: &mut Report) -> Egress {
    let place = fields.place();
    let port = fields.child("port", r).map(|port| read_port(port, r));
    let bind = fields.word("bind", r);
    let capture = capture_mode(&mut fields, r);
    let words = fields.words("hosts", r);
    if words.is_empty() {
        r.error(
            place,
            "sidecar: egress listener must contain at least one host",
        );
    }
    fields.close(r);
    let (number, protocol) = port.unwrap_or((None, Protocol::Auto));
    let (listener, bind) = listener(port.is_some(), (number, protocol), (bind, capture), r);
    let (listener, all_ports) = match listener {
        Some(all) if number.is_none() && !all.bind.starts_with(UNIX) => (None, Some(all)),
        one => (one, None),
    };
    Egress {
        port: number,
        hosts: words.iter().filter_map(|word| host(word, r)).collect(),
        listener,
        all_ports,
        bind,
        protocol,
    }
}

/// The listener of its own that an egress listener has, and the address that captured connections
/// are told by (Istio: buildSidecarOutboundListeners).
fn listener(
    has_port: bool,
    (port, protocol): (Option<u16>, Protocol),
    (bind, (capture, place)): (Option<Word>, (Capture, Place)),
    r: &mut Report,
) -> (Option<EgressListener>, Option<IpAddr>) {
    let bind = bind.filter(|word| !word.text.is_empty());
    let make = |bind: &str, always| EgressListener {
        bind: bind.to_owned(),
        port: port.unwrap_or(0).into(),
        protocol: protocol.into(),
        always,
        ..EgressListener::default()
    };
    if let Some(word) = bind.as_ref().filter(|word| word.text.starts_with(UNIX)) {
        if port.is_some() || !has_port {
            r.error(
                word.place,
                "sidecar: a unix domain socket bind address goes with a port of number 0",
            );
        }
        if capture == Capture::Captured {
            r.error(
                place,
                "sidecar: captureMode must be DEFAULT/NONE for unix domain socket listeners",
            );
        }
        check_unix(word, r);
        return (Some(make(&word.text, true)), None);
    }
    if has_port && port.is_none() && !r.failed() {
        r.error(
            place,
            "sidecar: ports with 0 value must have a unix domain socket bind address",
        );
    }
    let address = bind.as_ref().and_then(|word| read_bind(word, r));
    if port.is_none() && capture == Capture::Captured && address.is_some() {
        r.push(
            Severity::Error,
            place,
            "sidecar: captured connections to one address are told by their port, too; name it"
                .to_owned(),
            "unsupported",
        );
        return (None, None);
    }
    let text = address
        .map(|address| address.to_string())
        .unwrap_or_default();
    match (capture, address) {
        (Capture::Direct, _) => (Some(make(&text, true)), None),
        // Without an address the explicit proxy is the way out where nothing is captured.
        (Capture::Usual, Some(_)) => (Some(make(&text, false)), address),
        (Capture::Usual, None) => (None, None),
        (Capture::Captured, _) => (None, address),
    }
}

/// `captureMode`.
#[derive(Clone, Copy, PartialEq)]
enum Capture {
    /// As all of the proxy's.
    Usual,
    /// Connections that are redirected.
    Captured,
    /// A listener that is called directly.
    Direct,
}

fn capture_mode(fields: &mut Fields<'_>, r: &mut Report) -> (Capture, Place) {
    const MODES: &[(&str, Capture)] = &[
        ("DEFAULT", Capture::Usual),
        ("IPTABLES", Capture::Captured),
        ("NONE", Capture::Direct),
    ];
    let place = fields.place();
    fields
        .choice("captureMode", MODES, r)
        .unwrap_or((Capture::Usual, place))
}

/// Number and protocol. A number of 0 is none.
fn read_port(mut port: Fields<'_>, r: &mut Report) -> (Option<u16>, Protocol) {
    let place = port.place();
    let number = port.number("number", r);
    let number = number.and_then(|(number, at)| {
        let found = u16::try_from(number).ok();
        if found.is_none() {
            r.error(
                at,
                format!("port number {number} must be in the range 1..65535"),
            );
        }
        found.filter(|number| *number != 0)
    });
    let protocol = port.word("protocol", r);
    port.ignore(&["name"]);
    if let Some(target) = port.get("targetPort") {
        r.error(target.place, "targetPort has no impact on Sidecars");
    }
    port.close(r);
    let protocol = match protocol {
        None => Protocol::Auto,
        Some(word) => named_protocol(&word.text).unwrap_or_else(|| {
            r.error(place, format!("unsupported protocol: {}", word.text));
            Protocol::Auto
        }),
    };
    (number, protocol)
}

fn read_bind(word: &Word, r: &mut Report) -> Option<IpAddr> {
    let address = word.text.parse().ok();
    if address.is_none() {
        r.error(
            word.place,
            format!("{} is not a valid IP address", word.text),
        );
    }
    address
}

/// Istio: ValidateUnixAddress.
fn check_unix(word: &Word, r: &mut Report) {
    let path = word.text.strip_prefix(UNIX).unwrap_or_default();
    if !path.starts_with('/') || path.ends_with('/') {
        r.error(
            word.place,
            format!("{path}: a unix domain socket has an absolute path"),
        );
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
fn outbound_policy(mut fields: Fields<'_>, r: &mut Report) -> (OutboundPolicy, Option<Target>) {
    const MODES: &[(&str, OutboundPolicy)] = &[
        ("REGISTRY_ONLY", OutboundPolicy::RegistryOnly),
        ("ALLOW_ANY", OutboundPolicy::AllowAny),
    ];
    let place = fields.place();
    let mode = fields.choice("mode", MODES, r);
    let mode = mode.map_or(OutboundPolicy::RegistryOnly, |(mode, _)| mode);
    let proxy = fields
        .child("egressProxy", r)
        .and_then(|inner| destination_target(inner, 0, None, r));
    fields.close(r);
    if let Some(proxy) = &proxy {
        if mode != OutboundPolicy::AllowAny {
            r.error(
                place,
                "sidecar: egress_proxy must be set only with ALLOW_ANY outbound_traffic_policy mode",
            );
        }
        if proxy.port.is_none() {
            r.error(place, "sidecar: egress_proxy port must be non-nil");
        }
    }
    (mode, proxy)
}
