//! Destinations as written to destinations that exist.

use mesh_api::v1::{Destination, HeaderEdits};

use super::View;
use crate::model::Target;
use crate::names;

/// A destination that may not exist.
pub(super) struct Resolved {
    pub(super) destination: Destination,
    /// Why nothing can be sent there.
    pub(super) trouble: Option<String>,
}

// === impl View ===

impl View<'_> {
    /// Finds the service, port and subset of a destination. `namespace` is that of the object
    /// that names it, `request_port` the port that the client called.
    pub(super) fn resolve(&self, target: &Target, namespace: &str, request_port: u16) -> Resolved {
        let written = target.host.text.as_str();
        let host = names::resolve(written, namespace, &self.world.settings.cluster_domain);
        let host = host.map_or_else(|| written.to_owned(), |host| host.to_string());
        let mut destination = Destination {
            host,
            port: u32::from(target.port.unwrap_or(request_port)),
            subset: target.subset.clone(),
            weight: target.weight,
            headers: target
                .headers
                .clone()
                .filter(|edits| *edits != HeaderEdits::default()),
        };
        let trouble = self.trouble(target, &mut destination);
        Resolved {
            destination,
            trouble,
        }
    }

    fn trouble(&self, target: &Target, destination: &mut Destination) -> Option<String> {
        let found = self.world.service(&destination.host, self.namespace());
        let Some((id, service)) = found.and_then(|id| Some((id, self.service(id)?))) else {
            return Some(format!("destination host {} is unknown", destination.host));
        };
        if target.port.is_none()
            && let [only] = service.ports.as_slice()
        {
            destination.port = only.number;
        }
        if !service
            .ports
            .iter()
            .any(|port| port.number == destination.port)
        {
            return Some(format!(
                "{} has no port {}",
                destination.host, destination.port
            ));
        }
        if !target.subset.is_empty()
            && !self
                .rule(id)
                .subsets
                .iter()
                .any(|subset| subset.name == target.subset)
        {
            return Some(format!(
                "no DestinationRule gives {} a subset {}",
                destination.host, target.subset
            ));
        }
        None
    }

    /// Weighted destinations, each with its weight.
    pub(super) fn resolve_each(
        &self,
        targets: &[Target],
        namespace: &str,
        request_port: u16,
    ) -> Vec<Resolved> {
        let targets = targets.iter();
        targets
            .map(|target| self.resolve(target, namespace, request_port))
            .collect()
    }

    /// Weighted destinations without those of weight 0; a single one gets everything.
    pub(super) fn resolve_all(
        &self,
        targets: &[Target],
        namespace: &str,
        request_port: u16,
    ) -> Vec<Resolved> {
        if let [only] = targets {
            let mut resolved = self.resolve(only, namespace, request_port);
            resolved.destination.weight = 100;
            return vec![resolved];
        }
        let weighted = targets.iter().filter(|target| target.weight > 0);
        weighted
            .map(|target| self.resolve(target, namespace, request_port))
            .collect()
    }
}
