//! Gateways of the Gateway API: which of their listeners are served, and by whom.
//!
//! The mesh deploys no gateways. A Gateway names the Service of the one that serves it in
//! `spec.addresses`, or it has the name that Istio gives to what it deploys (Istio:
//! extractGatewayServices).

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_api::v1::{Origin, Problem, Protocol, TlsServerMode, TlsVersion};

use super::{Known, Trouble, warn};
use crate::model::{
    ApiGateway, CertificateSource, CredentialName, GATEWAY_API, GatewayObject, GatewayServer, Kind,
    KubernetesService, Listener, ListenerTls, Meta, ObjectId, Reference, ServerHost,
    ServerProtocol, ServerTls,
};
use crate::yaml::Labels;

/// What became of a Gateway.
#[derive(Debug)]
pub(super) struct GatewayVerdict {
    gateway: Arc<ApiGateway>,
    pub(super) accepted: Result<(), Trouble>,
    /// The host of its Service.
    pub(super) programmed: Result<String, Trouble>,
    listeners: Vec<ListenerVerdict>,
}

/// What became of a listener.
#[derive(Debug)]
pub(super) struct ListenerVerdict {
    /// Of routes that it takes.
    pub(super) kinds: Vec<Kind>,
    pub(super) accepted: Result<(), Trouble>,
    pub(super) conflict: Option<Trouble>,
    pub(super) refs: Result<(), Trouble>,
    pub(super) programmed: Result<(), Trouble>,
    pub(super) attached: BTreeSet<ObjectId>,
}

/// Routes of HTTP.
const ROUTES: [Kind; 2] = [Kind::HttpRoute, Kind::GrpcRoute];

pub(super) fn link(
    gateway: &Arc<ApiGateway>,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) -> (GatewayVerdict, Vec<Arc<GatewayObject>>) {
    let front = front(gateway, known);
    let mut verdict = GatewayVerdict {
        gateway: Arc::clone(gateway),
        accepted: Ok(()),
        programmed: front
            .as_ref()
            .map(|service| {
                let (name, namespace) = (service.meta.name(), service.meta.namespace());
                format!("{name}.{namespace}.svc.{}", known.domain)
            })
            .map_err(Clone::clone),
        listeners: Vec::new(),
    };
    let mut servers = Vec::new();
    for listener in &gateway.listeners {
        let conflict = conflict(gateway, listener);
        let (told, server) = listen(gateway, listener, conflict, known);
        let missing = |service: &&KubernetesService| {
            let mut ports = service.ports.iter();
            !ports.any(|port| port.number == listener.port)
        };
        match (&front, server) {
            (Ok(service), Some(_)) if missing(service) => {
                verdict.programmed = Err(Trouble::new(
                    "AddressNotUsable",
                    format!(
                        "Service {} has no port {}, which listener {} asks for",
                        service.meta.full_name(),
                        listener.port,
                        listener.name
                    ),
                ));
            }
            (Ok(service), Some(server)) => servers.push((service, listener, server)),
            _ => {}
        }
        tell(listener, &told, problems);
        verdict.listeners.push(told);
    }
    verdict.accepted = accepted(gateway, &verdict.listeners);
    let troubles = [
        verdict.accepted.as_ref().err(),
        verdict.programmed.as_ref().err(),
    ];
    for trouble in troubles.into_iter().flatten() {
        warn(problems, &gateway.meta.origin, trouble.message.clone());
    }
    let objects = servers.into_iter().map(|(service, listener, server)| {
        let selector = service.selector.clone();
        Arc::new(object(gateway, listener, (selector, server)))
    });
    (verdict, objects.collect())
}

fn tell(listener: &Listener, told: &ListenerVerdict, problems: &mut Vec<Problem>) {
    let troubles = [told.accepted.as_ref().err(), told.refs.as_ref().err()];
    for trouble in troubles.into_iter().flatten() {
        let message = format!("listener {}: {}", listener.name, trouble.message);
        warn(problems, &listener.origin, message);
    }
}

fn accepted(gateway: &ApiGateway, listeners: &[ListenerVerdict]) -> Result<(), Trouble> {
    let addresses = gateway.addresses.iter();
    let foreign: Vec<&str> = addresses
        .filter(|(kind, _)| kind != "Hostname")
        .map(|(_, value)| value.as_str())
        .collect();
    if gateway.has_parameters {
        let message = "infrastructure.parametersRef: this mesh deploys no gateways".to_owned();
        return Err(Trouble::new("InvalidParameters", message));
    }
    if !foreign.is_empty() {
        let message = format!(
            "addresses: only the Hostname of a Service can be asked for, not {}",
            foreign.join(", ")
        );
        return Err(Trouble::new("UnsupportedAddress", message));
    }
    if !listeners.is_empty() && listeners.iter().all(|one| one.accepted.is_err()) {
        let message = "none of the listeners is accepted".to_owned();
        return Err(Trouble::new("ListenersNotValid", message));
    }
    Ok(())
}

/// The Service of the gateway. It is in the Gateway's namespace: who may write there says what
/// its proxies serve.
fn front<'o>(gateway: &ApiGateway, known: &Known<'o>) -> Result<&'o KubernetesService, Trouble> {
    let own = gateway.meta.namespace();
    let mut named = gateway.addresses.iter();
    let named = named.find(|(kind, _)| kind == "Hostname");
    let unusable = |message: String| Trouble::new("AddressNotUsable", message);
    let name = match named {
        Some((_, host)) if host.contains('.') => {
            let suffix = format!(".{own}.svc.{}", known.domain);
            host.strip_suffix(&suffix).ok_or_else(|| {
                unusable(format!(
                    "address {host}: it is no Service of namespace {own}"
                ))
            })?
        }
        Some((_, host)) => host,
        None => &format!("{}-{}", gateway.meta.name(), gateway.class),
    };
    let Some(service) = known.services.get(&(own, name)) else {
        return Err(match named {
            Some(_) => unusable(format!("address {name}: there is no such Service in {own}")),
            None => Trouble::new(
                "AddressNotAssigned",
                format!(
                    "there is no Service {own}/{name}: this mesh deploys no gateways; install one, \
                     and name its Service in spec.addresses with the type Hostname"
                ),
            ),
        });
    };
    if service.selector.as_ref().is_none_or(Labels::is_empty) {
        return Err(unusable(format!("Service {own}/{name} selects no gateway")));
    }
    Ok(service)
}

/// Two listeners of a port must speak the same, and for different hosts.
fn conflict(gateway: &ApiGateway, listener: &Listener) -> Option<Trouble> {
    let others = gateway.listeners.iter();
    let others = others.filter(|other| other.port == listener.port && other.name != listener.name);
    for other in others {
        if other.protocol != listener.protocol {
            let message = format!(
                "listener {} speaks {} on port {}",
                other.name, other.protocol, other.port
            );
            return Some(Trouble::new("ProtocolConflict", message));
        }
        if other.hostname == listener.hostname {
            let message = format!("listener {} has the same port and hostname", other.name);
            return Some(Trouble::new("HostnameConflict", message));
        }
    }
    None
}

fn listen(
    gateway: &ApiGateway,
    listener: &Listener,
    conflict: Option<Trouble>,
    known: &Known<'_>,
) -> (ListenerVerdict, Option<GatewayServer>) {
    let mut verdict = ListenerVerdict {
        kinds: Vec::new(),
        accepted: Ok(()),
        refs: Ok(()),
        programmed: Ok(()),
        attached: BTreeSet::new(),
        conflict: None,
    };
    let protocol = match listener.protocol.as_str() {
        "HTTP" => ServerProtocol::Http(Protocol::Http),
        "HTTPS" => ServerProtocol::Https,
        other => {
            let message =
                format!("protocol {other} is not served: only HTTPRoutes and GRPCRoutes are read");
            verdict.refuse(Trouble::new("UnsupportedProtocol", message));
            return (verdict, None);
        }
    };
    let of_api = |(group, kind): &&(String, String)| {
        group == GATEWAY_API && ROUTES.iter().any(|known| known.name() == kind)
    };
    verdict.kinds = ROUTES
        .into_iter()
        .filter(|known| {
            let mut kinds = listener.kinds.iter().filter(of_api);
            listener.kinds.is_empty() || kinds.any(|(_, kind)| kind == known.name())
        })
        .collect();
    if let Some((group, kind)) = listener.kinds.iter().find(|kind| !of_api(kind)) {
        let message = format!("routes of the kind {kind} ({group}) are not taken");
        verdict.refs = Err(Trouble::new("InvalidRouteKinds", message));
    }
    if let Some(conflict) = conflict {
        verdict.conflict = Some(conflict.clone());
        verdict.refuse(conflict);
        return (verdict, None);
    }
    let tls = match protocol {
        ServerProtocol::Https => match server_tls(gateway, listener, known) {
            Ok(tls) => Some(tls),
            Err(trouble) => {
                let unsupported = trouble.reason == "UnsupportedValue";
                let invalid = Trouble::new("Invalid", trouble.message.clone());
                match unsupported {
                    true => verdict.accepted = Err(trouble),
                    false => verdict.refs = Err(trouble),
                }
                verdict.programmed = Err(invalid);
                return (verdict, None);
            }
        },
        _ => None,
    };
    let server = GatewayServer {
        origin: listener.origin.clone(),
        port: listener.port,
        protocol,
        bind: None,
        hosts: vec![ServerHost {
            namespace: None,
            host: listener.hostname.clone(),
            origin: listener.origin.clone(),
        }],
        https_redirect: false,
        tls,
    };
    (verdict, Some(server))
}

fn server_tls(
    gateway: &ApiGateway,
    listener: &Listener,
    known: &Known<'_>,
) -> Result<ServerTls, Trouble> {
    let invalid = |message: &str| Trouble::new("InvalidCertificateRef", message.to_owned());
    let Some(tls) = &listener.tls else {
        return Err(invalid("HTTPS needs certificateRefs"));
    };
    if let Some(why) = &tls.unsupported {
        return Err(Trouble::new("UnsupportedValue", why.clone()));
    }
    if tls.mode == TlsServerMode::Passthrough {
        let message = "HTTPS ends at the gateway: its mode is Terminate".to_owned();
        return Err(Trouble::new("UnsupportedValue", message));
    }
    let certificate = match tls.mode {
        TlsServerMode::IstioMutual => CertificateSource::None,
        _ => credentials(gateway, (listener, tls), known)?,
    };
    Ok(ServerTls {
        mode: tls.mode,
        certificate,
        subject_alt_names: Vec::new(),
        spki_hashes: Vec::new(),
        certificate_hashes: Vec::new(),
        min_version: TlsVersion::Unspecified,
        max_version: TlsVersion::Unspecified,
        cipher_suites: Vec::new(),
    })
}

/// The Secrets that a listener names. A grant is asked for before the Secret: whether one is there
/// that may not be named is nobody's business.
fn credentials(
    gateway: &ApiGateway,
    (listener, tls): (&Listener, &ListenerTls),
    known: &Known<'_>,
) -> Result<CertificateSource, Trouble> {
    let own = gateway.meta.namespace();
    let mut names = Vec::new();
    for reference in &tls.certificates {
        let (name, namespace) = (reference.name.as_str(), reference.namespace(own));
        let of_secret = reference.group_kind(("", "Secret")) == ("", "Secret");
        let allowed = namespace == own
            || known
                .grants
                .allow((Kind::ApiGateway, own), ("Secret", namespace, name));
        if !allowed {
            let message = format!(
                "certificateRef {namespace}/{name}: no ReferenceGrant in {namespace} allows Gateways of {own} to refer to it"
            );
            return Err(Trouble::new("RefNotPermitted", message));
        }
        let secret = known.secrets.get(&(namespace, name));
        let usable = secret.is_some_and(|secret| secret.certificate.is_some());
        if !of_secret || !usable {
            let message = format!(
                "certificateRef {namespace}/{name} is no Secret with a certificate and its key"
            );
            return Err(Trouble::new("InvalidCertificateRef", message));
        }
        names.push(credential(reference, (namespace, &listener.origin)));
    }
    let mut names = names.into_iter();
    match names.next() {
        Some(first) => Ok(CertificateSource::Credential(first, names.collect())),
        None => Err(Trouble::new(
            "InvalidCertificateRef",
            "HTTPS needs certificateRefs".to_owned(),
        )),
    }
}

fn credential(reference: &Reference, (namespace, origin): (&str, &Origin)) -> CredentialName {
    CredentialName {
        namespace: Some(namespace.to_owned()),
        name: reference.name.clone(),
        origin: origin.clone(),
        granted: true,
    }
}

fn object(
    gateway: &ApiGateway,
    listener: &Listener,
    (selector, server): (Option<Labels>, GatewayServer),
) -> GatewayObject {
    GatewayObject {
        meta: Meta {
            id: ObjectId {
                kind: Kind::Gateway,
                namespace: gateway.meta.namespace().to_owned(),
                name: name(gateway, listener),
            },
            labels: Labels::new(),
            annotations: Labels::new(),
            origin: gateway.meta.origin.clone(),
        },
        namespace: Some(gateway.meta.namespace().to_owned()),
        selector,
        servers: vec![server],
    }
}

/// `~` is in no name that anybody could write.
fn name(gateway: &ApiGateway, listener: &Listener) -> String {
    format!("{}~{}", gateway.meta.name(), listener.name)
}

// === impl GatewayVerdict ===

impl GatewayVerdict {
    pub(super) fn namespace(&self) -> &str {
        self.gateway.meta.namespace()
    }

    pub(super) fn listeners(&self) -> impl Iterator<Item = (&Listener, &ListenerVerdict)> {
        self.gateway.listeners.iter().zip(&self.listeners)
    }

    /// `<namespace>/<name>` of what a listener is as a Gateway of Istio.
    pub(super) fn listener_name(&self, index: usize) -> String {
        let listener = self.gateway.listeners.get(index);
        let name = listener.map(|listener| name(&self.gateway, listener));
        format!("{}/{}", self.namespace(), name.unwrap_or_default())
    }

    /// A listener takes a route.
    pub(super) fn attach(&mut self, index: usize, route: &ObjectId) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.attached.insert(route.clone());
        }
    }
}

// === impl ListenerVerdict ===

impl ListenerVerdict {
    fn refuse(&mut self, trouble: Trouble) {
        self.programmed = Err(Trouble::new("Invalid", trouble.message.clone()));
        self.accepted = Err(trouble);
    }
}
