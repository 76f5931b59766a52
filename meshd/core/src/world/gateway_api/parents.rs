//! Which parents take a route, and at which hosts.

use mesh_api::Hostname;

use super::listeners::{GatewayVerdict, ListenerVerdict};
use super::{Known, Trouble};
use crate::model::{ApiRoute, FromNamespaces, Listener, ParentRef};
use crate::names;
use crate::yaml::Labels;

/// What became of a route.
#[derive(Debug, Default)]
pub(super) struct RouteVerdict {
    /// Only parents that are the mesh's.
    pub(super) parents: Vec<ParentVerdict>,
    /// Rules that cannot be done: all of them, or some.
    pub(super) unusable: Option<Unusable>,
}

/// What one parent makes of a route.
#[derive(Debug)]
pub(super) struct ParentVerdict {
    pub(super) parent: ParentRef,
    pub(super) accepted: Result<(), Trouble>,
    /// References that lead nowhere.
    pub(super) refs: Option<Trouble>,
}

/// Why rules of a route answer with an error.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) all: bool,
    pub(super) why: String,
}

/// The port of a Service that a route is for.
pub(super) struct ServicePort {
    pub(super) host: Hostname,
    pub(super) namespace: String,
    /// 0 is all.
    pub(super) number: u32,
}

const NO_PARENT: &str = "NoMatchingParent";
const NOT_ALLOWED: &str = "NotAllowedByListeners";
const NO_HOSTNAME: &str = "NoMatchingListenerHostname";

/// The Service that a parent names; `sectionName` is the name of a port.
pub(super) fn service(
    parent: &ParentRef,
    own: &str,
    known: &Known<'_>,
) -> Result<ServicePort, Trouble> {
    let (name, namespace) = (&parent.reference.name, parent.reference.namespace(own));
    let missing = |what: String| Trouble::new(NO_PARENT, what);
    let service = known.services.get(&(namespace, name.as_str()));
    let host = names::service_host(name, namespace, known.domain);
    let (Some(service), Some(host)) = (service, host) else {
        return Err(missing(format!("there is no Service {namespace}/{name}")));
    };
    let mut number = 0;
    if parent.section.is_some() || parent.port.is_some() {
        let fits = |port: &&crate::model::KubernetesPort| {
            let section = parent.section.as_ref();
            section.is_none_or(|section| port.name == *section)
                && parent.port.is_none_or(|wanted| wanted == port.number)
        };
        let Some(port) = service.ports.iter().find(fits) else {
            return Err(missing(format!(
                "Service {namespace}/{name} has no port {}",
                wanted(parent)
            )));
        };
        number = u32::from(port.number);
    }
    Ok(ServicePort {
        host,
        namespace: namespace.to_owned(),
        number,
    })
}

fn wanted(parent: &ParentRef) -> String {
    let section = parent.section.iter().map(|section| format!("`{section}`"));
    let port = parent.port.iter().map(ToString::to_string);
    let words: Vec<String> = section.chain(port).collect();
    words.join(" ")
}

/// The listeners of a Gateway that take a route, by index, each with its hosts (Istio:
/// referenceAllowed).
pub(super) fn listeners(
    parent: &ParentRef,
    route: &ApiRoute,
    gateway: &GatewayVerdict,
    known: &Known<'_>,
) -> Result<Vec<(usize, Vec<Hostname>)>, Trouble> {
    let mut taken = Vec::new();
    let mut worst: Option<Trouble> = None;
    for (index, (listener, verdict)) in gateway.listeners().enumerate() {
        match listener_takes(parent, route, (gateway, listener, verdict), known) {
            Ok(hosts) => taken.push((index, hosts)),
            Err(trouble) if worst.as_ref().is_none_or(|old| rank(&trouble) > rank(old)) => {
                worst = Some(trouble);
            }
            Err(_) => {}
        }
    }
    if !taken.is_empty() {
        return Ok(taken);
    }
    let none = || Trouble::new(NO_PARENT, "the Gateway has no listener".to_owned());
    Err(worst.unwrap_or_else(none))
}

/// What is told if several listeners refuse: the one that was nearest.
fn rank(trouble: &Trouble) -> u8 {
    match trouble.reason {
        NOT_ALLOWED => 2,
        NO_HOSTNAME => 1,
        _ => 0,
    }
}

fn listener_takes(
    parent: &ParentRef,
    route: &ApiRoute,
    (gateway, listener, verdict): (&GatewayVerdict, &Listener, &ListenerVerdict),
    known: &Known<'_>,
) -> Result<Vec<Hostname>, Trouble> {
    let section = parent.section.as_ref();
    if section.is_some_and(|section| *section != listener.name)
        || parent.port.is_some_and(|port| port != listener.port)
    {
        let message = format!("the Gateway has no listener {}", wanted(parent));
        return Err(Trouble::new(NO_PARENT, message));
    }
    let (kind, namespace) = (route.meta.id.kind, route.meta.namespace());
    let name = &listener.name;
    if let Err(trouble) = &verdict.accepted {
        let message = format!("listener {name} is not accepted: {}", trouble.message);
        return Err(Trouble::new(NO_PARENT, message));
    }
    if !verdict.kinds.contains(&kind) {
        let message = format!("listener {name} takes no {}s", kind.name());
        return Err(Trouble::new(NOT_ALLOWED, message));
    }
    if !allows(&listener.from, (gateway.namespace(), namespace), known) {
        let message = format!("listener {name} takes no routes of namespace {namespace}");
        return Err(Trouble::new(NOT_ALLOWED, message));
    }
    let meeting = meeting(&listener.hostname, &route.hostnames);
    if meeting.is_empty() {
        let (host, hosts) = (&listener.hostname, route.hostnames.join(", "));
        let message = format!("listener {name} is for {host}, not for {hosts}");
        return Err(Trouble::new(NO_HOSTNAME, message));
    }
    let isolated = |host: &Hostname| {
        let others = gateway.listeners().map(|(other, _)| other);
        !others.into_iter().any(|other| {
            other.port == listener.port
                && other.protocol == listener.protocol
                && is_nearer(&other.hostname, &listener.hostname)
                && covers(&other.hostname, host.as_str())
        })
    };
    Ok(meeting.into_iter().filter(isolated).collect())
}

/// Requests for a host are for the listener with the most specific hostname only (Gateway API:
/// listener isolation).
fn is_nearer(other: &str, own: &str) -> bool {
    other != own && covers(own, other)
}

fn covers(wide: &str, narrow: &str) -> bool {
    wide == narrow
        || wide
            .parse::<Hostname>()
            .is_ok_and(|wide| wide.covers(narrow))
}

/// Where the hosts of a listener and of a route meet; a route without any has those of the
/// listener.
fn meeting(listener: &str, route: &[String]) -> Vec<Hostname> {
    if route.is_empty() {
        return listener.parse().into_iter().collect();
    }
    let meet = |host: &String| {
        if covers(listener, host) {
            host.parse().ok()
        } else if covers(host, listener) {
            listener.parse().ok()
        } else {
            None
        }
    };
    route.iter().filter_map(meet).collect()
}

fn allows(from: &FromNamespaces, (own, namespace): (&str, &str), known: &Known<'_>) -> bool {
    match from {
        FromNamespaces::Same => own == namespace,
        FromNamespaces::All => true,
        FromNamespaces::None => false,
        FromNamespaces::Selector(selector) => {
            let labels = known.namespaces.get(namespace);
            let mut labels = labels.map_or_else(Labels::new, |labels| (*labels).clone());
            // Every namespace has it, whoever declares it.
            let name = "kubernetes.io/metadata.name".to_owned();
            labels.entry(name).or_insert_with(|| namespace.to_owned());
            selector.selects(&labels)
        }
    }
}
