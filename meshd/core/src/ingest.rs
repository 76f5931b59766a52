//! Text to objects: strict, with the place of everything.

mod api_gateway;
mod api_route;
mod authorization_policy;
mod connection_pool;
mod destination_rule;
mod endpoint_slice;
mod gateway;
mod http_action;
mod http_match;
mod ingress;
mod l4_route;
mod load_balancer;
mod metadata;
mod node;
mod object;
mod peer_authentication;
mod placement;
mod pod;
mod proxy_config;
mod reference;
mod reference_grant;
mod request_authentication;
mod resilience_policy;
mod secret;
mod service;
mod service_account;
mod service_entry;
mod sidecar;
mod telemetry;
mod virtual_service;
mod workload_entry;

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_api::v1::{Origin, Problem, Severity};
use sha2::{Digest, Sha256};

use crate::model::{GATEWAY_API, Kind, Object, ObjectId};
use crate::yaml::{self, Fields, Node, Place, Report, Value, nearest};

pub(crate) use http_match::CLAIMS;
pub(crate) use object::parse_object;
pub(crate) use virtual_service::MESH;

/// Source of objects of an API server, in origins.
pub(crate) const SOURCE: &str = "kubernetes";

/// An object and the hash of the text that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) object: Object,
    pub(crate) digest: [u8; 32],
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct ParsedFile {
    /// Good objects, in order.
    pub(crate) entries: Vec<Entry>,
    /// Objects that are there but cannot be used.
    pub(crate) refused: BTreeSet<ObjectId>,
    /// A part of the file is no YAML, or an object has no readable name: anything may be missing.
    pub(crate) unreadable: bool,
    pub(crate) problems: Vec<Problem>,
}

/// Kinds of Istio that the mesh does not do, whether leaving them out lets something through, and
/// why.
const NOT_YET: &[(&str, Severity, &str)] = &[
    (
        "EnvoyFilter",
        Severity::Error,
        "it patches Envoy, which is not part of this mesh",
    ),
    (
        "TrafficExtension",
        Severity::Error,
        "extensions are not loaded",
    ),
    ("WasmPlugin", Severity::Error, "plugins are not loaded"),
    (
        "WorkloadGroup",
        Severity::Warning,
        "write a WorkloadEntry for each workload",
    ),
];

/// Reads a file.
pub(crate) fn parse_file(path: &str, text: &str) -> ParsedFile {
    let mut file = ParsedFile::default();
    for document in yaml::parse(text) {
        match document.roots {
            Ok(roots) => {
                for (index, root) in roots.iter().enumerate() {
                    let hash = Sha256::new()
                        .chain_update(path)
                        .chain_update([0])
                        .chain_update(root.place.line.to_be_bytes())
                        .chain_update(index.to_be_bytes())
                        .chain_update(document.text);
                    file.root(path, root, &hash);
                }
            }
            Err(malformed) => {
                file.unreadable = true;
                let origin = Origin {
                    source: path.to_owned(),
                    line: malformed.place.line,
                    column: malformed.place.column,
                    ..Origin::default()
                };
                let message = format!("this is no YAML: {}", malformed.message);
                file.problem(Severity::Error, origin, message, "yaml");
            }
        }
    }
    file.refuse_duplicates();
    file
}

// === impl ParsedFile ===

impl ParsedFile {
    fn problem(&mut self, severity: Severity, origin: Origin, message: String, code: &str) {
        self.problems.push(Problem {
            severity: severity.into(),
            origin: Some(origin),
            message,
            code: code.to_owned(),
        });
    }

    fn root(&mut self, path: &str, node: &Node, hash: &Sha256) {
        if node.value == Value::Null {
            return;
        }
        let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
        let items = node.get("items").filter(|_| kind.ends_with("List"));
        if let Some(Value::List(items)) = items.map(|items| &items.value) {
            for (index, item) in items.iter().enumerate() {
                self.root(path, item, &hash.clone().chain_update(index.to_be_bytes()));
            }
            return;
        }
        self.object(path, node, hash.clone().finalize().into());
    }

    fn object(&mut self, path: &str, node: &Node, digest: [u8; 32]) {
        let mut report = Report::new(Origin {
            source: path.to_owned(),
            line: node.place.line,
            column: node.place.column,
            ..Origin::default()
        });
        match read_object(path, node, &mut report) {
            Outcome::Object(object) => self.entries.push(Entry { object, digest }),
            Outcome::Refused(id) => {
                self.refused.insert(id);
            }
            Outcome::Nameless => self.unreadable = true,
            Outcome::Skipped => {}
        }
        self.problems.extend(report.into_problems());
    }

    /// Of two objects of one name the first stays.
    fn refuse_duplicates(&mut self) {
        let mut seen: BTreeSet<ObjectId> = BTreeSet::new();
        let mut kept = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            let meta = entry.object.meta();
            if seen.insert(meta.id.clone()) {
                kept.push(entry);
            } else {
                let message = format!(
                    "duplicate {}: {} is declared before in this file",
                    meta.id.kind.name(),
                    meta.full_name()
                );
                self.problem(Severity::Error, meta.origin.clone(), message, "duplicate");
            }
        }
        self.entries = kept;
    }
}

enum Outcome {
    Object(Object),
    Refused(ObjectId),
    Nameless,
    Skipped,
}

fn read_object(path: &str, node: &Node, r: &mut Report) -> Outcome {
    let Some(mut root) = Fields::open(node, "", r) else {
        return Outcome::Nameless;
    };
    let api_version = root.word("apiVersion", r);
    let Some(kind_word) = root.word("kind", r) else {
        r.error(node.place, "this is no Kubernetes object: it has no `kind`");
        return Outcome::Nameless;
    };
    let version = api_version.map(|word| word.text).unwrap_or_default();
    let kind = match recognise(&kind_word.text, &version) {
        Recognised::Mesh(kind) => kind,
        Recognised::Other => {
            skip(node, path, (&kind_word.text, &version, kind_word.place), r);
            return Outcome::Skipped;
        }
        Recognised::Version(hint) => {
            let text = if version.is_empty() {
                "no apiVersion".to_owned()
            } else {
                format!("unknown apiVersion `{version}`")
            };
            r.error(
                kind_word.place,
                format!("{text} for {}; write `{hint}`", kind_word.text),
            );
            return Outcome::Nameless;
        }
    };
    let known = kind.is_native() || kind.is_of_gateway_api();
    if kind.is_read_leniently() || (known && path == SOURCE) {
        // The API server knows their fields better.
        r.be_lenient();
    }
    let Some(meta) = metadata::read(&mut root, kind, path, r) else {
        return Outcome::Nameless;
    };
    let id = meta.id.clone();
    let mut inner = Report::new(meta.origin.clone());
    if r.is_lenient() {
        inner.be_lenient();
    }
    let object = if kind.is_read_leniently() {
        Some(read_leniently(kind, meta, node, &mut inner))
    } else {
        read_kind(kind, meta, &mut root, &mut inner)
    };
    root.close(&mut inner);
    let failed = inner.failed() || r.failed();
    for problem in inner.into_problems() {
        r.adopt(problem);
    }
    match object {
        Some(object) if !failed => Outcome::Object(object),
        _ => Outcome::Refused(id),
    }
}

/// Kinds of which only what is used is read. Nothing but a Secret is refused: one that no gateway
/// could serve with.
fn read_leniently(kind: Kind, meta: crate::model::Meta, node: &Node, r: &mut Report) -> Object {
    match kind {
        Kind::Pod => Object::Pod(Arc::new(pod::read(meta, node))),
        Kind::EndpointSlice => Object::EndpointSlice(Arc::new(endpoint_slice::read(meta, node))),
        Kind::Secret => Object::Secret(Arc::new(secret::read(meta, node, r))),
        Kind::Ingress => Object::Ingress(Arc::new(ingress::read(meta, node, r))),
        Kind::IngressClass => Object::IngressClass(Arc::new(ingress::read_class(meta, node))),
        _ => Object::Node(Arc::new(node::read(meta))),
    }
}

fn read_kind(
    kind: Kind,
    meta: crate::model::Meta,
    root: &mut Fields<'_>,
    r: &mut Report,
) -> Option<Object> {
    root.ignore(&["status"]);
    if let Kind::ServiceAccount | Kind::Namespace = kind {
        service_account::read(kind, root, r);
        return Some(Object::Named(Arc::new(crate::model::Meta {
            annotations: crate::yaml::Labels::new(),
            ..meta
        })));
    }
    let Some(mut spec) = root.child("spec", r) else {
        let empty = read_empty(kind, meta).filter(|_| !r.failed());
        if empty.is_none() {
            r.error(root.place(), "spec is required");
        }
        return empty;
    };
    let object = match kind {
        Kind::VirtualService => {
            Object::VirtualService(Arc::new(virtual_service::read(meta, &mut spec, r)))
        }
        Kind::DestinationRule => {
            Object::DestinationRule(Arc::new(destination_rule::read(meta, &mut spec, r)?))
        }
        Kind::Gateway => Object::Gateway(Arc::new(gateway::read(meta, &mut spec, r))),
        Kind::ServiceEntry => {
            Object::ServiceEntry(Arc::new(service_entry::read(meta, &mut spec, r)?))
        }
        Kind::WorkloadEntry => {
            Object::WorkloadEntry(Arc::new(workload_entry::read(meta, &mut spec, r)?))
        }
        Kind::Sidecar => Object::Sidecar(Arc::new(sidecar::read(meta, &mut spec, r))),
        Kind::PeerAuthentication => {
            Object::PeerAuthentication(Arc::new(peer_authentication::read(meta, &mut spec, r)))
        }
        Kind::AuthorizationPolicy => {
            Object::AuthorizationPolicy(Arc::new(authorization_policy::read(meta, &mut spec, r)))
        }
        Kind::RequestAuthentication => Object::RequestAuthentication(Arc::new(
            request_authentication::read(meta, &mut spec, r),
        )),
        Kind::ResiliencePolicy => {
            Object::ResiliencePolicy(Arc::new(resilience_policy::read(meta, &mut spec, r)))
        }
        Kind::ProxyConfig => Object::ProxyConfig(Arc::new(proxy_config::read(meta, &mut spec, r))),
        Kind::Telemetry => Object::Telemetry(Arc::new(telemetry::read(meta, &mut spec, r))),
        Kind::Service => Object::Service(Arc::new(service::read(meta, &mut spec, r))),
        Kind::HttpRoute | Kind::GrpcRoute => {
            Object::ApiRoute(Arc::new(api_route::read(meta, &mut spec, r)))
        }
        Kind::ApiGateway => Object::ApiGateway(Arc::new(api_gateway::read(meta, &mut spec, r))),
        Kind::GatewayClass => {
            Object::GatewayClass(Arc::new(api_gateway::read_class(meta, &mut spec, r)))
        }
        Kind::ReferenceGrant => {
            Object::ReferenceGrant(Arc::new(reference_grant::read(meta, &mut spec, r)))
        }
        Kind::ServiceAccount
        | Kind::Namespace
        | Kind::Pod
        | Kind::Node
        | Kind::EndpointSlice
        | Kind::Secret
        | Kind::Ingress
        | Kind::IngressClass => return None,
    };
    spec.close(r);
    Some(object)
}

/// Kinds that mean something without a spec: deny all, and inherit.
fn read_empty(kind: Kind, meta: crate::model::Meta) -> Option<Object> {
    match kind {
        Kind::AuthorizationPolicy => {
            let policy = authorization_policy::empty(meta);
            Some(Object::AuthorizationPolicy(Arc::new(policy)))
        }
        Kind::PeerAuthentication => {
            let policy = peer_authentication::empty(meta);
            Some(Object::PeerAuthentication(Arc::new(policy)))
        }
        Kind::ProxyConfig => Some(Object::ProxyConfig(Arc::new(proxy_config::empty(meta)))),
        Kind::Telemetry => Some(Object::Telemetry(Arc::new(telemetry::empty(meta)))),
        _ => None,
    }
}

enum Recognised {
    Mesh(Kind),
    /// The kind is the mesh's, the version is not; with a version that is.
    Version(&'static str),
    Other,
}

fn recognise(kind: &str, api_version: &str) -> Recognised {
    let named = || Kind::ALL.into_iter().filter(|known| known.name() == kind);
    let (given_group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    // `Gateway` is a kind of two groups.
    let of_api = |known: &Kind| known.is_of_gateway_api() == (given_group == GATEWAY_API);
    let Some(found) = named().find(of_api).or_else(|| named().next()) else {
        return Recognised::Other;
    };
    let (group, versions): (&str, &[&str]) = match found {
        Kind::ReferenceGrant => (GATEWAY_API, &["v1", "v1beta1"]),
        of_api if of_api.is_of_gateway_api() => (GATEWAY_API, &["v1"]),
        Kind::ResiliencePolicy => ("mesh.dev", &["v1alpha1"]),
        Kind::EndpointSlice => ("discovery.k8s.io", &["v1"]),
        Kind::Ingress | Kind::IngressClass => ("networking.k8s.io", &["v1"]),
        native if native.is_native() => ("", &["v1"]),
        Kind::PeerAuthentication | Kind::AuthorizationPolicy | Kind::RequestAuthentication => {
            ("security.istio.io", &["v1", "v1beta1"])
        }
        Kind::ProxyConfig => ("networking.istio.io", &["v1beta1"]),
        Kind::Telemetry => ("telemetry.istio.io", &["v1", "v1alpha1"]),
        _ => ("networking.istio.io", &["v1", "v1beta1", "v1alpha3"]),
    };
    if given_group == group && versions.contains(&version) {
        return Recognised::Mesh(found);
    }
    // `Gateway` and `Service` are kinds of other groups, too.
    if !given_group.is_empty() && given_group != group && nearest(given_group, [group]).is_none() {
        return Recognised::Other;
    }
    Recognised::Version(match group {
        "" => "v1",
        "security.istio.io" => "security.istio.io/v1",
        "telemetry.istio.io" => "telemetry.istio.io/v1",
        "mesh.dev" => "mesh.dev/v1alpha1",
        "discovery.k8s.io" => "discovery.k8s.io/v1",
        "networking.k8s.io" => "networking.k8s.io/v1",
        GATEWAY_API => "gateway.networking.k8s.io/v1",
        _ if found == Kind::ProxyConfig => "networking.istio.io/v1beta1",
        _ => "networking.istio.io/v1",
    })
}

/// Names an object that is not the mesh's, with its place.
fn skip(node: &Node, path: &str, (kind, version, place): (&str, &str, Place), r: &mut Report) {
    let text = |name: &str| {
        node.get("metadata")
            .and_then(|meta| meta.get(name))
            .and_then(Node::text)
            .unwrap_or_default()
    };
    let (namespace, name) = (text("namespace"), text("name"));
    let origin = node.place.in_object(&Origin {
        source: path.to_owned(),
        kind: kind.to_owned(),
        namespace: if namespace.is_empty() {
            "default"
        } else {
            namespace
        }
        .to_owned(),
        name: name.to_owned(),
        ..Origin::default()
    });
    let mut named = Report::new(origin);
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    if let Some((_, severity, why)) = NOT_YET
        .iter()
        .find(|(known, ..)| *known == kind)
        .filter(|_| group.ends_with("istio.io"))
    {
        named.push(
            *severity,
            place,
            format!("{kind} {name} is not supported yet: {why}"),
            "unsupported",
        );
    } else if group == GATEWAY_API {
        let message = format!(
            "{kind} {name} is not read: of the Gateway API the mesh knows HTTPRoute, GRPCRoute, Gateway, GatewayClass and ReferenceGrant"
        );
        named.push(Severity::Warning, place, message, "unsupported");
    } else if is_kubernetes(kind, group) {
        let message =
            format!("{kind} {name} is not part of the mesh's configuration; it is skipped");
        named.push(Severity::Info, place, message, "skipped");
    } else {
        let kinds = Kind::ALL.iter().map(|kind| kind.name());
        let hint = nearest(kind, kinds)
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        named.push(
            Severity::Warning,
            place,
            format!("unknown kind `{kind}` ({version}); it is skipped{hint}"),
            "unknown-kind",
        );
    }
    for problem in named.into_problems() {
        r.adopt(problem);
    }
}

fn is_kubernetes(kind: &str, group: &str) -> bool {
    const CORE: &[&str] = &[
        "ConfigMap",
        "Endpoints",
        "Event",
        "LimitRange",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "ReplicationController",
        "ResourceQuota",
    ];
    (group.is_empty() && CORE.contains(&kind))
        || matches!(group, "apps" | "batch" | "autoscaling" | "policy")
        || group.ends_with(".k8s.io")
}
