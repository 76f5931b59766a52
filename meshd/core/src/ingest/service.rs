//! Service of Kubernetes.

use mesh_api::v1::{Protocol, Severity};

use super::metadata;
use crate::model::{KubernetesPort, KubernetesService, Meta, Near, TargetPort};
use crate::problem::code;
use crate::yaml::{Fields, Labels, Place, Report, Value, Word};

/// Annotation of services that a tool made up; one that somebody wrote goes before it.
const DERIVED: &str = "mesh.dev/derived";
/// Istio's visibility of a Service, comma-separated.
const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// Which endpoints are preferred; before the field of that name.
const TRAFFIC_DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> KubernetesService {
    let selector = spec
        .labels("selector", r)
        .filter(|labels| !labels.is_empty());
    let kind = spec.text("type", r);
    let external_name = spec.word("externalName", r);
    let cluster_ip = spec.text("clusterIP", r);
    let mut addresses = spec.texts("clusterIPs", r);
    let mut ports = Vec::new();
    for mut port in spec.children("ports", r) {
        ports.extend(read_port(&mut port, r));
        port.close(r);
    }
    spec.ignore(&[
        "allocateLoadBalancerNodePorts",
        "externalIPs",
        "externalTrafficPolicy",
        "healthCheckNodePort",
        "internalTrafficPolicy",
        "ipFamilies",
        "ipFamilyPolicy",
        "loadBalancerClass",
        "loadBalancerIP",
        "loadBalancerSourceRanges",
        "publishNotReadyAddresses",
        "sessionAffinityConfig",
    ]);
    let distribution = spec.word("trafficDistribution", r);
    let near = near(&meta.annotations, distribution, spec.place(), r);
    if let Some(affinity) = spec.word("sessionAffinity", r)
        && affinity.text != "None"
    {
        let message = format!(
            "spec.sessionAffinity: `{}` does not hold for clients in the mesh; write a \
             DestinationRule with consistentHash",
            affinity.text
        );
        r.push(Severity::Info, affinity.place, message, "unsupported");
    }
    let headless = cluster_ip == "None";
    if addresses.is_empty() && !cluster_ip.is_empty() {
        addresses.push(cluster_ip);
    }
    addresses.retain(|address| address != "None");
    for address in &addresses {
        if address.parse::<std::net::IpAddr>().is_err() {
            r.error(
                spec.place(),
                format!("spec.clusterIP: `{address}` is no IP address"),
            );
        }
    }
    let external_name = if kind == "ExternalName" {
        if external_name.is_none() {
            r.error(
                spec.place(),
                "spec.externalName is required with type ExternalName",
            );
        }
        external_name.map(|word| word.text)
    } else {
        None
    };
    let export_to = export_to(&meta.annotations, meta.namespace(), spec, r);
    let derived = meta
        .annotations
        .get(DERIVED)
        .is_some_and(|value| value == "true");
    KubernetesService {
        meta,
        selector,
        ports,
        addresses,
        headless,
        external_name,
        export_to,
        near,
        derived,
    }
}

fn export_to(
    annotations: &Labels,
    namespace: &str,
    spec: &Fields<'_>,
    r: &mut Report,
) -> crate::model::ExportTo {
    let words: Vec<Word> = annotations
        .get(EXPORT_TO)
        .map(|text| {
            text.split(',')
                .map(|part| Word {
                    text: part.trim().to_owned(),
                    place: spec.place(),
                })
                .collect()
        })
        .unwrap_or_default();
    metadata::export_to(&words, namespace, true, r)
}

/// Which endpoints are preferred: what the annotation says, or else the field (Istio:
/// GetTrafficDistribution).
pub(super) fn near(
    annotations: &Labels,
    field: Option<Word>,
    place: Place,
    r: &mut Report,
) -> Near {
    const NETWORK: &str = "topology.istio.io/network";
    const REGION: &str = "topology.kubernetes.io/region";
    const ZONE: &str = "topology.kubernetes.io/zone";
    const SUBZONE: &str = "topology.istio.io/subzone";
    const NODE: &str = "kubernetes.io/hostname";
    let word = annotations
        .get(TRAFFIC_DISTRIBUTION)
        .map(|text| Word {
            text: text.clone(),
            place,
        })
        .or(field);
    let Some(word) = word else {
        return &[];
    };
    match word.text.to_ascii_lowercase().as_str() {
        "preferclose" | "prefersamezone" => &[NETWORK, REGION, ZONE],
        "prefersamenode" => &[NETWORK, REGION, ZONE, SUBZONE, NODE],
        "any" | "" => &[],
        _ => {
            let message = format!(
                "trafficDistribution: `{}` is none of PreferClose, PreferSameZone, PreferSameNode, Any; endpoints of all localities are equal",
                word.text
            );
            r.push(Severity::Warning, word.place, message, code::SCHEMA_WARNING);
            &[]
        }
    }
}

/// UDP ports are left out: the mesh carries TCP.
fn read_port(port: &mut Fields<'_>, r: &mut Report) -> Option<KubernetesPort> {
    let place = port.place();
    let number = port.port("port", r);
    let name = port.text("name", r);
    let transport = port.text("protocol", r);
    let app_protocol = port.text("appProtocol", r);
    port.ignore(&["nodePort"]);
    let target = match port.get("targetPort").map(|node| (&node.value, node)) {
        None => None,
        Some((Value::Int(number), node)) => match u16::try_from(*number) {
            Ok(number) if number > 0 => Some(TargetPort::Number(number)),
            _ => {
                r.error(
                    node.place,
                    format!(
                        "{}: port number {number} must be in the range 1..65535",
                        port.path("targetPort")
                    ),
                );
                None
            }
        },
        Some((Value::Text(text), _)) => Some(
            text.parse()
                .map_or_else(|_| TargetPort::Name(text.clone()), TargetPort::Number),
        ),
        Some((_, node)) => {
            r.error(
                node.place,
                format!(
                    "{}: expected a port or its name, found {}",
                    port.path("targetPort"),
                    node.kind()
                ),
            );
            None
        }
    };
    let Some(number) = number else {
        if !port.has("port") {
            r.error(place, format!("{} is required", port.path("port")));
        }
        return None;
    };
    if transport == "UDP" || transport == "SCTP" {
        return None;
    }
    let target = target.unwrap_or(TargetPort::Number(number));
    Some(KubernetesPort {
        number,
        protocol: kubernetes_protocol(&app_protocol, &name, number),
        name,
        target,
    })
}

/// Explicit protocol selection: appProtocol, then the port's name up to the first `-`, then a
/// few well-known server-first ports (Istio: pkg/config/kube/conversion.go).
fn kubernetes_protocol(app_protocol: &str, name: &str, number: u16) -> Protocol {
    match app_protocol {
        "kubernetes.io/h2c" => return Protocol::Http2,
        "kubernetes.io/ws" => return Protocol::Http,
        "kubernetes.io/wss" => return Protocol::Tls,
        _ => {}
    }
    if let Some(protocol) = named_protocol(app_protocol) {
        return protocol;
    }
    let prefix = name.split('-').next().unwrap_or_default();
    // `grpc-web` is the one protocol with a dash in its name.
    let prefix = if name == "grpc-web" || name.starts_with("grpc-web-") {
        "grpc-web"
    } else {
        prefix
    };
    if app_protocol.is_empty()
        && let Some(protocol) = named_protocol(prefix)
    {
        return protocol;
    }
    match number {
        25 | 53 | 3306 | 27017 => Protocol::Tcp,
        _ => Protocol::Auto,
    }
}

/// A protocol by Istio's name for it, in any case.
pub(super) fn named_protocol(name: &str) -> Option<Protocol> {
    Some(match name.to_ascii_lowercase().as_str() {
        "http" | "grpc-web" => Protocol::Http,
        "http2" => Protocol::Http2,
        "grpc" => Protocol::Grpc,
        "https" | "tls" => Protocol::Tls,
        "tcp" | "mongo" | "mysql" | "redis" => Protocol::Tcp,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_68_protocol_selection() {
        for (app_protocol, name, number, want) in [
            ("", "http", 80, Protocol::Http),
            ("", "http-web", 80, Protocol::Http),
            ("", "HTTP2-x", 80, Protocol::Http2),
            ("", "grpc-web", 80, Protocol::Http),
            ("", "grpc-webby", 80, Protocol::Grpc),
            ("", "https", 443, Protocol::Tls),
            ("", "mongo-main", 27018, Protocol::Tcp),
            ("", "", 9080, Protocol::Auto),
            ("", "web", 9080, Protocol::Auto),
            ("", "db", 3306, Protocol::Tcp),
            ("", "http", 3306, Protocol::Http),
            ("tcp", "http", 80, Protocol::Tcp),
            ("kubernetes.io/h2c", "http", 80, Protocol::Http2),
            ("kubernetes.io/ws", "tcp", 80, Protocol::Http),
            ("my.company/odd", "http", 80, Protocol::Auto),
        ] {
            assert_eq!(
                kubernetes_protocol(app_protocol, name, number),
                want,
                "{app_protocol} {name} {number}"
            );
        }
    }
}
