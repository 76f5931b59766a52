//! DestinationRule (Istio: networking/v1alpha3/destination_rule.proto).

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::Hostname;
use mesh_api::v1::{ClientTls, ClientTlsMode, ProxyProtocol, Severity, Tunnel};

use super::{connection_pool, load_balancer, metadata};
use crate::model::{ClientPolicy, DestinationRule, ExportTo, Meta, PolicyParts, SubsetSpec};
use crate::problem::code;
use crate::yaml::{Fields, Place, Report};

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> Option<DestinationRule> {
    let host = spec.word("host", r);
    let selector = spec.child("workloadSelector", r).map(|mut selector| {
        let labels = selector.labels("matchLabels", r).unwrap_or_default();
        metadata::check_selector(&labels, selector.place(), r);
        selector.close(r);
        labels
    });
    let words = spec.words("exportTo", r);
    let export_to = metadata::export_to(&words, meta.namespace(), false, r);
    if let (Some(_), Some(word)) = (&selector, words.first())
        && !export_to.is_private(meta.namespace())
    {
        r.error(
            word.place,
            "destination rule with workload selector cannot have exportTo beyond current namespace",
        );
    }
    let export_to = if selector.is_some() {
        ExportTo::Namespaces(BTreeSet::from([meta.namespace().to_owned()]))
    } else {
        export_to
    };
    let policy = spec
        .child("trafficPolicy", r)
        .map(|fields| policy(fields, r));
    let mut subsets: Vec<SubsetSpec> = Vec::new();
    for mut subset in spec.children("subsets", r) {
        let origin = r.at(subset.place());
        let name = subset.word("name", r);
        let labels = subset.labels("labels", r).unwrap_or_default();
        let policy = subset
            .child("trafficPolicy", r)
            .map(|fields| self::policy(fields, r));
        let Some(name) = name.filter(|name| !name.text.is_empty()) else {
            r.error(subset.place(), "subset name cannot be empty");
            continue;
        };
        if name.text.contains('.') || mesh_api::WorkloadName::new("x", &name.text).is_err() {
            r.error(name.place, format!("subset name is invalid: {}", name.text));
        }
        if subsets.iter().any(|other| other.name == name.text) {
            r.error(name.place, format!("duplicate subset names: {}", name.text));
        }
        subset.close(r);
        subsets.push(SubsetSpec {
            name: name.text,
            labels,
            policy,
            origin,
        });
    }
    let Some(mut host) = host else {
        r.error(spec.place(), "spec.host is required");
        return None;
    };
    match host.text.parse::<Hostname>() {
        Ok(name) => name.as_str().clone_into(&mut host.text),
        Err(error) => r.error(host.place, error.to_string()),
    }
    Some(DestinationRule {
        meta,
        host,
        export_to,
        selector,
        policy,
        subsets,
    })
}

fn policy(mut fields: Fields<'_>, r: &mut Report) -> ClientPolicy {
    let place = fields.place();
    let fields_there = [
        "loadBalancer",
        "connectionPool",
        "outlierDetection",
        "tls",
        "portLevelSettings",
        "tunnel",
        "proxyProtocol",
        "retryBudget",
    ];
    if !fields_there.iter().any(|name| fields.has(name)) {
        r.error(place, "traffic policy must have at least one field");
    }
    let parts = parts(&mut fields, code::NO_ROOTS, r);
    let mut ports = BTreeMap::new();
    for mut setting in fields.children("portLevelSettings", r) {
        let number = setting.child("port", r).and_then(|mut port| {
            let number = port.port("number", r);
            port.close(r);
            number
        });
        if !["loadBalancer", "connectionPool", "outlierDetection", "tls"]
            .iter()
            .any(|name| setting.has(name))
        {
            r.error(
                setting.place(),
                "port traffic policy must have at least one field",
            );
        }
        let inner = self::parts(&mut setting, code::NO_ROOTS_OF_PORT, r);
        match number {
            Some(number) => {
                ports.insert(u32::from(number), inner);
            }
            None => r.error(setting.place(), "portTrafficPolicy must have valid port"),
        }
        setting.close(r);
    }
    let tunnel = fields.child("tunnel", r).and_then(|inner| tunnel(inner, r));
    let proxy_protocol = fields.child("proxyProtocol", r).map(|mut inner| {
        let version = inner.choice("version", VERSIONS, r);
        inner.close(r);
        version.map_or(ProxyProtocol::V1, |(version, _)| version)
    });
    let retry_budget = fields
        .child("retryBudget", r)
        .map(|inner| connection_pool::retry_budget(inner, r));
    fields.close(r);
    ClientPolicy {
        parts,
        ports,
        retry_budget,
        proxy_protocol,
        tunnel,
    }
}

const VERSIONS: &[(&str, ProxyProtocol)] = &[("V1", ProxyProtocol::V1), ("V2", ProxyProtocol::V2)];

fn tunnel(mut fields: Fields<'_>, r: &mut Report) -> Option<Tunnel> {
    let place = fields.place();
    let protocol = fields.word("protocol", r);
    let post = match protocol
        .as_ref()
        .map(|word| (word.text.as_str(), word.place))
    {
        None | Some(("" | "CONNECT", _)) => false,
        Some(("POST", _)) => true,
        Some((_, at)) => {
            r.error(at, "tunnel protocol must be \"CONNECT\" or \"POST\"");
            false
        }
    };
    let host = fields.word("targetHost", r);
    let port = fields.port("targetPort", r);
    fields.close(r);
    let (Some(host), Some(port)) = (host, port) else {
        r.error(place, "tunnel targetHost and targetPort are required");
        return None;
    };
    match host.text.parse::<Hostname>() {
        Ok(name) if !name.is_wildcard() => {}
        _ => r.error(
            host.place,
            format!("tunnel targetHost: `{}` is no host", host.text),
        ),
    }
    Some(Tunnel {
        host: host.text,
        port: port.into(),
        post,
    })
}

/// `no_roots` is what it is called that TLS has no roots of its own.
fn parts(fields: &mut Fields<'_>, no_roots: &str, r: &mut Report) -> PolicyParts {
    let origin = r.at(fields.place());
    let load_balancer = fields
        .child("loadBalancer", r)
        .map(|inner| load_balancer::balancer(inner, r));
    let connection_pool = fields
        .child("connectionPool", r)
        .map(|inner| connection_pool::pool(inner, r));
    let outlier_detection = fields
        .child("outlierDetection", r)
        .map(|inner| connection_pool::outliers(inner, r));
    let tls = fields
        .child("tls", r)
        .and_then(|inner| tls(inner, no_roots, r));
    let fails_over = load_balancer
        .as_ref()
        .and_then(|balancing| balancing.locality.as_ref())
        .is_some_and(|locality| locality.enabled && locality.fails_over());
    if fails_over && outlier_detection.is_none() {
        r.push(
            Severity::Warning,
            fields.place(),
            "outlier detection policy must be provided for failover: without it localityLbSetting has no effect".to_owned(),
            code::SCHEMA_WARNING,
        );
    }
    PolicyParts {
        load_balancer,
        connection_pool,
        outlier_detection,
        tls,
        origin,
    }
}

fn tls(mut fields: Fields<'_>, no_roots: &str, r: &mut Report) -> Option<ClientTls> {
    const MODES: &[(&str, ClientTlsMode)] = &[
        ("DISABLE", ClientTlsMode::Disable),
        ("SIMPLE", ClientTlsMode::Simple),
        ("MUTUAL", ClientTlsMode::Mutual),
        ("ISTIO_MUTUAL", ClientTlsMode::IstioMutual),
    ];
    let place = fields.place();
    // An absent mode is the first of the enum: DISABLE.
    let mode = fields
        .choice("mode", MODES, r)
        .map_or(ClientTlsMode::Disable, |(mode, _)| mode);
    let tls = ClientTls {
        mode: mode.into(),
        sni: fields.text("sni", r),
        subject_alt_names: fields.texts("subjectAltNames", r),
        client_certificate: fields.text("clientCertificate", r),
        private_key: fields.text("privateKey", r),
        ca_certificates: fields.text("caCertificates", r),
        insecure_skip_verify: fields.boolean("insecureSkipVerify", r).unwrap_or_default(),
        // Whose namespace it is depends on the client.
        credential: fields.text("credentialName", r),
        ca_crl: fields.text("caCrl", r),
    };
    fields.close(r);
    let own = !tls.client_certificate.is_empty() || !tls.private_key.is_empty();
    let files = own || !tls.ca_certificates.is_empty() || !tls.ca_crl.is_empty();
    if !tls.credential.is_empty() {
        credential(&tls, mode, files, place, r);
        return Some(tls);
    }
    match mode {
        ClientTlsMode::IstioMutual
            if own || !tls.ca_certificates.is_empty() || tls.insecure_skip_verify =>
        {
            r.error(
                place,
                "cannot specify certificates with ISTIO_MUTUAL TLS settings: the mesh has its own",
            );
        }
        ClientTlsMode::Mutual
            if tls.client_certificate.is_empty() || tls.private_key.is_empty() =>
        {
            r.error(
                place,
                "client certificate and private key required for mutual tls",
            );
        }
        ClientTlsMode::Simple | ClientTlsMode::Mutual
            if tls.ca_certificates.is_empty() && !tls.insecure_skip_verify =>
        {
            let message = "the server's certificate is checked against the operating system's roots: caCertificates is not set";
            r.push(Severity::Warning, place, message.to_owned(), no_roots);
        }
        _ => {}
    }
    Some(tls)
}

/// Checks `credentialName` (Istio: validateTLS).
fn credential(tls: &ClientTls, mode: ClientTlsMode, files: bool, place: Place, r: &mut Report) {
    if files {
        r.error(
            place,
            "cannot specify client certificates or CA certificate or CA CRL If credentialName is set",
        );
    }
    if mode == ClientTlsMode::IstioMutual {
        r.error(
            place,
            "cannot specify certificates with ISTIO_MUTUAL TLS settings: the mesh has its own",
        );
    }
    if mesh_api::WorkloadName::new("x", &tls.credential).is_err() {
        let text = format!("credentialName: `{}` names no Secret", tls.credential);
        r.error(place, text);
    }
}
