//! Where requests of a route may be sent.

use super::{Known, Trouble};
use crate::model::{ApiBackend, ApiRoute, Target};
use crate::names;
use crate::yaml::{Place, Word};

/// Whose rules hold for references of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    /// Routes of the mesh only change what is reachable anyway: a reference to another namespace
    /// needs no grant (GEP-1294).
    Mesh,
    /// Routes of gateways expose what they refer to: that takes a ReferenceGrant.
    Gateway,
}

/// The destination of a `backendRef` (Istio: buildDestination).
///
/// # Errors
/// Why requests for it cannot be sent.
pub(super) fn resolve(
    backend: &ApiBackend,
    (route, entrance): (&ApiRoute, Entrance),
    known: &Known<'_>,
) -> Result<Target, Trouble> {
    let (kind, own) = (route.meta.id.kind, route.meta.namespace());
    let reference = &backend.reference;
    let (name, namespace) = (reference.name.as_str(), reference.namespace(own));
    let group_kind = reference.group_kind(("", "Service"));
    if group_kind != ("", "Service") {
        let (group, kind) = group_kind;
        return Err(Trouble::new(
            "InvalidKind",
            format!(
                "backendRef {name} is a {kind} of the group `{group}`; only Services are sent to"
            ),
        ));
    }
    let foreign = namespace != own && entrance == Entrance::Gateway;
    if foreign
        && !known
            .grants
            .allow((kind, own), ("Service", namespace, name))
    {
        return Err(Trouble::new(
            "RefNotPermitted",
            format!(
                "backendRef {namespace}/{name}: no ReferenceGrant in {namespace} allows {}s of {own} to refer to it",
                kind.name()
            ),
        ));
    }
    let missing = |what: String| Trouble::new("BackendNotFound", what);
    let Some(service) = known.services.get(&(namespace, name)) else {
        return Err(missing(format!(
            "backendRef {namespace}/{name}: there is no such Service"
        )));
    };
    let Some(port) = backend.port else {
        return Err(missing(format!(
            "backendRef {namespace}/{name}: a port is required"
        )));
    };
    if !service.ports.iter().any(|known| known.number == port) {
        return Err(missing(format!(
            "backendRef {namespace}/{name}: the Service has no port {port}"
        )));
    }
    if let Some(why) = &backend.filters.unusable {
        return Err(Trouble::new("UnsupportedValue", why.clone()));
    }
    let host = names::service_host(name, namespace, known.domain);
    let edits = &backend.filters.headers;
    Ok(Target {
        host: Word {
            text: host.map_or_else(|| name.to_owned(), |host| host.to_string()),
            place: Place {
                line: backend.origin.line,
                column: backend.origin.column,
            },
        },
        port: Some(port),
        subset: String::new(),
        weight: backend.weight,
        headers: Some(edits.clone()),
    })
}
