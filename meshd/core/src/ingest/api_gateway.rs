//! Gateway and GatewayClass of the Gateway API (GatewaySpec, GatewayClassSpec).

use mesh_api::Hostname;
use mesh_api::v1::{Severity, TlsServerMode};

use super::reference;
use crate::model::{
    ApiGateway, Expression, FromNamespaces, GATEWAY_API, GatewayClass, LabelSelector, Listener,
    ListenerTls, Meta, Operator, Reference,
};
use crate::yaml::{Fields, Report};

/// Option of `tls` by which Istio's gateways ask for certificates of clients.
const TERMINATE_MODE: &str = "gateway.istio.io/tls-terminate-mode";

pub(super) fn read_class(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> GatewayClass {
    let place = spec.place();
    let controller = spec.text("controllerName", r);
    if controller.is_empty() {
        r.error(
            place,
            format!("{} is required", spec.path("controllerName")),
        );
    }
    spec.ignore(&["description"]);
    let has_parameters = spec.get("parametersRef").is_some();
    GatewayClass {
        meta,
        controller,
        has_parameters,
    }
}

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> ApiGateway {
    let place = spec.place();
    let class = spec.text("gatewayClassName", r);
    if class.is_empty() {
        r.error(
            place,
            format!("{} is required", spec.path("gatewayClassName")),
        );
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for mut fields in spec.children("listeners", r) {
        let found = listener(&mut fields, r);
        if let Some(found) = found {
            if listeners.iter().any(|known| known.name == found.name) {
                let message = format!("listeners: `{}` is there twice", found.name);
                r.error(fields.place(), message);
            }
            listeners.push(found);
        }
        fields.close(r);
    }
    let mut addresses = Vec::new();
    for mut fields in spec.children("addresses", r) {
        let kind = fields.text("type", r);
        let kind = match kind.as_str() {
            "" => "IPAddress".to_owned(),
            _ => kind,
        };
        addresses.push((kind, fields.text("value", r)));
        fields.close(r);
    }
    if let Some(mut tls) = spec.child("tls", r) {
        client_certificates(&mut tls, &mut listeners, r);
        tls.close(r);
    }
    let mut has_parameters = false;
    if let Some(mut fields) = spec.child("infrastructure", r) {
        has_parameters = fields.get("parametersRef").is_some();
        for name in ["labels", "annotations"] {
            let why = "this mesh deploys no gateways: put them on its Service and Deployment";
            fields.unsupported(name, Severity::Warning, why, r);
        }
        fields.close(r);
    }
    for (name, why) in [
        ("allowedListeners", "ListenerSets are not read"),
        ("defaultScope", "routes name their Gateways"),
    ] {
        spec.unsupported(name, Severity::Warning, why, r);
    }
    ApiGateway {
        meta,
        class,
        listeners,
        addresses,
        has_parameters,
    }
}

/// `spec.tls`: whoever asks for certificates of clients must not get listeners without.
fn client_certificates(tls: &mut Fields<'_>, listeners: &mut [Listener], r: &mut Report) {
    let why = "write tls-terminate-mode MUTUAL into the options of the listener; HTTPS listeners are not served";
    tls.unsupported("frontend", Severity::Warning, why, r);
    if tls.has("frontend") {
        for tls in listeners.iter_mut().filter_map(|one| one.tls.as_mut()) {
            let why = "spec.tls.frontend is not supported".to_owned();
            tls.unsupported.get_or_insert(why);
        }
    }
    let why = "write a DestinationRule for the backend";
    tls.unsupported("backend", Severity::Warning, why, r);
}

fn listener(fields: &mut Fields<'_>, r: &mut Report) -> Option<Listener> {
    let origin = r.at(fields.place());
    let name = fields.text("name", r);
    let protocol = fields.text("protocol", r);
    let port = fields.port("port", r);
    for field in ["name", "port", "protocol"] {
        if !fields.has(field) {
            r.error(
                fields.place(),
                format!("{} is required", fields.path(field)),
            );
        }
    }
    let hostname = match fields.word("hostname", r) {
        Some(word) if !word.text.is_empty() => match word.text.parse::<Hostname>() {
            Ok(host) => host.as_str().to_owned(),
            Err(error) => {
                r.error(word.place, error.to_string());
                return None;
            }
        },
        _ => "*".to_owned(),
    };
    let tls = fields.child("tls", r).map(|tls| listener_tls(tls, r));
    let (from, kinds) = match fields.child("allowedRoutes", r) {
        Some(allowed) => allowed_routes(allowed, r),
        None => (FromNamespaces::Same, Vec::new()),
    };
    Some(Listener {
        name,
        hostname,
        port: port?,
        protocol,
        tls,
        from,
        kinds,
        origin,
    })
}

fn listener_tls(mut fields: Fields<'_>, r: &mut Report) -> ListenerTls {
    let mode = fields.choice("mode", &[("Terminate", false), ("Passthrough", true)], r);
    let mut certificates: Vec<Reference> = Vec::new();
    for mut certificate in fields.children("certificateRefs", r) {
        certificates.extend(reference::read(&mut certificate, r));
        certificate.close(r);
    }
    let options = fields.labels("options", r).unwrap_or_default();
    let mut unsupported = None;
    let mut served = match mode {
        Some((true, _)) => TlsServerMode::Passthrough,
        _ => TlsServerMode::Simple,
    };
    for (name, value) in &options {
        let why = match (name.as_str(), value.as_str()) {
            (TERMINATE_MODE, "MUTUAL") => {
                served = TlsServerMode::Mutual;
                continue;
            }
            (TERMINATE_MODE, "OPTIONAL_MUTUAL") => {
                served = TlsServerMode::OptionalMutual;
                continue;
            }
            (TERMINATE_MODE, "ISTIO_MUTUAL") => {
                served = TlsServerMode::IstioMutual;
                continue;
            }
            (TERMINATE_MODE, mode) => format!("tls-terminate-mode {mode} is not supported"),
            _ => format!("the option {name} is not known"),
        };
        // Fewer checks than asked for would let in who is to stay outside.
        r.push(
            Severity::Warning,
            fields.place(),
            format!("tls.options: {why}; the listener is not served"),
            "unsupported",
        );
        unsupported.get_or_insert(why);
    }
    fields.close(r);
    ListenerTls {
        mode: served,
        certificates,
        unsupported,
    }
}

fn allowed_routes(
    mut fields: Fields<'_>,
    r: &mut Report,
) -> (FromNamespaces, Vec<(String, String)>) {
    let mut kinds = Vec::new();
    for mut kind in fields.children("kinds", r) {
        let group = kind.word("group", r);
        let group = group.map_or_else(|| GATEWAY_API.to_owned(), |word| word.text);
        kinds.push((group, kind.text("kind", r)));
        kind.close(r);
    }
    let mut from = FromNamespaces::Same;
    if let Some(mut namespaces) = fields.child("namespaces", r) {
        const FROM: &[(&str, u8)] = &[("Same", 0), ("All", 1), ("None", 2), ("Selector", 3)];
        let word = namespaces
            .choice("from", FROM, r)
            .map_or(0, |(from, _)| from);
        let selector = namespaces
            .child("selector", r)
            .map(|selector| label_selector(selector, r));
        from = match (word, selector) {
            (0, _) => FromNamespaces::Same,
            (1, _) => FromNamespaces::All,
            (3, Some(selector)) => FromNamespaces::Selector(selector),
            (2, _) => FromNamespaces::None,
            (_, _) => {
                let path = namespaces.path("selector");
                r.error(namespaces.place(), format!("{path} is required"));
                FromNamespaces::None
            }
        };
        namespaces.close(r);
    }
    fields.close(r);
    (from, kinds)
}

fn label_selector(mut fields: Fields<'_>, r: &mut Report) -> LabelSelector {
    const OPERATORS: &[(&str, Operator)] = &[
        ("In", Operator::In),
        ("NotIn", Operator::NotIn),
        ("Exists", Operator::Exists),
        ("DoesNotExist", Operator::DoesNotExist),
    ];
    let labels = fields.labels("matchLabels", r).unwrap_or_default();
    let mut expressions = Vec::new();
    for mut expression in fields.children("matchExpressions", r) {
        let key = expression.text("key", r);
        let operator = expression.choice("operator", OPERATORS, r);
        let values = expression.texts("values", r);
        let place = expression.place();
        expression.close(r);
        match operator {
            Some((operator, _)) => expressions.push(Expression {
                key,
                operator,
                values,
            }),
            None => r.error(place, "matchExpressions: operator is required"),
        }
    }
    fields.close(r);
    LabelSelector {
        labels,
        expressions,
    }
}
