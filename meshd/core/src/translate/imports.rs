//! What a Sidecar lets a proxy ask for (Istio: SidecarScope). It narrows what is told, and is no
//! firewall: what a proxy is not told of is undeclared to it.

use crate::model::{Egress, HttpAction, SidecarObject, VirtualService};
use crate::names;
use crate::world::ServiceId;

use super::View;

// === impl SidecarObject ===

impl SidecarObject {
    /// Who speaks of a port: the listener that names it, or else the one that names none.
    fn listeners(&self, port: Option<u16>) -> impl Iterator<Item = &Egress> {
        let named = port.is_some() && self.egress.iter().any(|egress| egress.port == port);
        self.egress.iter().filter(move |egress| match port {
            None => true,
            Some(_) if named => egress.port == port,
            Some(_) => egress.port.is_none(),
        })
    }

    /// Whether objects for a host are imported. An absent port is any.
    pub(crate) fn imports(
        &self,
        (namespace, host): (&str, &str),
        port: Option<u16>,
        own: &str,
    ) -> bool {
        self.egress.is_empty()
            || self
                .listeners(port)
                .any(|egress| egress.takes((namespace, host), own))
    }
}

// === impl Egress ===

impl Egress {
    /// Whether objects for a host are imported by it.
    pub(super) fn takes(&self, (namespace, host): (&str, &str), own: &str) -> bool {
        let hosts = || self.hosts.iter().filter(|found| found.covers(host));
        hosts().any(|found| !found.excluded && found.is_of(namespace, own))
            && !hosts().any(|found| found.excluded && found.is_of(namespace, own))
    }
}

// === impl View ===

impl View<'_> {
    /// Whether this proxy may ask for a port of a service; an absent port is any. What an
    /// imported VirtualService sends to is imported with it.
    pub(super) fn imports(&self, id: ServiceId, port: Option<u16>) -> bool {
        let (Some(sidecar), Some(service)) = (self.sidecar, self.service(id)) else {
            return true;
        };
        let named = (service.namespace.as_str(), service.host.as_str());
        sidecar.imports(named, port, self.namespace())
            || self.world.virtual_services.iter().any(|object| {
                object.export_to.reaches(self.namespace())
                    && self.imports_routes(object)
                    && self.sends_to(object, service.host.as_str())
            })
    }

    /// Whether the routes of a VirtualService hold for this proxy.
    pub(super) fn imports_routes(&self, object: &VirtualService) -> bool {
        let Some(sidecar) = self.sidecar else {
            return true;
        };
        let namespace = object.meta.namespace();
        object.hosts.iter().any(|word| {
            let domain = &self.world.settings.cluster_domain;
            let host = names::resolve(&word.text, namespace, domain);
            host.is_some_and(|host| {
                sidecar.imports((namespace, host.as_str()), None, self.namespace())
            })
        })
    }

    fn sends_to(&self, object: &VirtualService, host: &str) -> bool {
        let http = object.http.iter().filter_map(|rule| match &rule.action {
            HttpAction::Forward(forward) => Some(forward),
            _ => None,
        });
        let mut http = http.flat_map(|forward| {
            let mirrored = forward.mirrors.iter().map(|(target, _)| target);
            forward.targets.iter().chain(mirrored)
        });
        let opaque = object.tls.iter().chain(&object.tcp);
        let mut opaque = opaque.flat_map(|rule| &rule.targets);
        let is_it = |written: &str| {
            let namespace = object.meta.namespace();
            let domain = &self.world.settings.cluster_domain;
            names::resolve(written, namespace, domain).is_some_and(|name| name.as_str() == host)
        };
        http.any(|target| is_it(&target.host.text)) || opaque.any(|target| is_it(&target.host.text))
    }
}
