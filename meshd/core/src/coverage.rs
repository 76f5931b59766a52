//! Which policy decides about whom, where: the whole configuration looked at without a request.
//!
//! Every source, destination and port has a row: how calls arrive, what policies make of them,
//! and which. A policy that looks at what only requests tell decides about some of them. Ports
//! that nobody declares have a row of their own, since a workload's address can be called by
//! anybody who knows it.

mod decision;
mod destination;
mod row;
mod source;
mod truth;

use std::collections::BTreeSet;

use mesh_api::SpiffeId;
use mesh_api::v1::{ExternalAuthorizer, MtlsMode, Protocol};
use serde::{Deserialize, Serialize};

pub(crate) use decision::{Carries, Strongest, decide, decide_by, strongest};
pub(crate) use destination::{
    Destination, DestinationPort, Enforcer, OwnTls, destinations, fingerprint,
};
pub(crate) use truth::{Call, Called, Peer, Truth, of_http};

pub use decision::CoverageVerdict;
pub use row::{CoveragePolicy, CoverageRow, Holds};
pub use source::Transport;

use crate::World;
use crate::model::AuthorizationPolicy;
use crate::world::Inner;
use row::{Outcome, rows};
use source::{Client, Source};

/// Why a source arrives in a way that its sidecar does not take.
const BY_CERTIFICATE: &str =
    "its sidecar calls otherwise, but whoever has its certificate can call like this";

/// Which rows are wanted; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CoverageFilter {
    /// Destinations of this namespace.
    pub namespace: Option<String>,
    /// Destinations of this name: `<name>`, `<namespace>/<name>`, or the label `app`.
    pub workload: Option<String>,
    /// Sources whose identity ends like this, at a slash: `reviews`, `default/sa/reviews`.
    pub from: Option<String>,
    /// Only where nothing decides.
    pub unprotected: bool,
}

/// All rows, by destination and port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// The rows.
    pub rows: Vec<CoverageRow>,
}

// === impl World ===

impl World {
    /// Which policy decides about each call between workloads, as far as it can be told without
    /// a request.
    ///
    /// ```
    /// use meshd_core::{CoverageFilter, CoverageVerdict, MeshSettings, Store};
    ///
    /// let mut store = Store::new();
    /// store.set_file("a.yaml", "
    /// apiVersion: networking.istio.io/v1
    /// kind: WorkloadEntry
    /// metadata: { name: a }
    /// spec: { address: 10.0.0.1, serviceAccount: a, labels: { security.istio.io/tlsMode: istio } }
    /// ");
    /// let world = store.world(&MeshSettings::default());
    /// let coverage = world.coverage(&CoverageFilter::default());
    /// assert!(coverage.rows.iter().all(|row| row.verdict == CoverageVerdict::Unprotected));
    /// ```
    pub fn coverage(&self, filter: &CoverageFilter) -> Coverage {
        let inner = self.inner();
        let all = destinations(inner);
        let with_proxy: BTreeSet<(&str, &str)> = all
            .iter()
            .filter(|one| one.proxy != Enforcer::Nobody)
            .map(|one| (one.namespace, one.name))
            .collect();
        let clients = source::clients(inner, |namespace, name| {
            with_proxy.contains(&(namespace, name))
        });
        let workloads = clients.iter().map(|(identity, namespace, labels)| Source {
            workload: Some(Client {
                identity,
                namespace,
                labels,
            }),
        });
        let nobody = std::iter::once(Source { workload: None });
        let sources: Vec<Source<'_>> = workloads
            .chain(nobody)
            .filter(|source| filter.takes_source(source.workload.map(|client| client.identity)))
            .collect();
        let authorizers = authorizers(inner);
        let mut found = Vec::new();
        for destination in all.iter().filter(|one| filter.takes(one)) {
            let surveyed = Surveyed {
                inner,
                policies: destination.policies(inner),
                authorizers: &authorizers,
                destination,
            };
            found.extend(surveyed.rows(&sources));
        }
        if filter.unprotected {
            found.retain(CoverageRow::is_unprotected);
        }
        found.sort_by(CoverageRow::order);
        Coverage { rows: found }
    }
}

/// The authorizers that are declared, and why they cannot be asked.
pub(crate) fn authorizers(inner: &Inner) -> Vec<ExternalAuthorizer> {
    let all = inner.settings.authorizers.iter();
    all.map(|one| inner.external_authorizer(&one.name))
        .collect()
}

// === impl CoverageFilter ===

impl CoverageFilter {
    fn takes(&self, destination: &Destination<'_>) -> bool {
        let namespace = self.namespace.as_ref();
        let app = destination.labels.get("app");
        namespace.is_none_or(|wanted| wanted == destination.namespace)
            && self.workload.as_ref().is_none_or(|wanted| {
                wanted == destination.name
                    || *wanted == destination.full_name()
                    || app == Some(wanted)
            })
    }

    fn takes_source(&self, identity: Option<&SpiffeId>) -> bool {
        let Some(wanted) = &self.from else {
            return true;
        };
        identity.is_some_and(|identity| {
            let before = identity.principal().strip_suffix(wanted.as_str());
            before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
        })
    }
}

/// A workload that is looked at.
struct Surveyed<'w, 's> {
    inner: &'w Inner,
    policies: Vec<&'w AuthorizationPolicy>,
    authorizers: &'s [ExternalAuthorizer],
    destination: &'s Destination<'w>,
}

// === impl Surveyed ===

impl Surveyed<'_, '_> {
    fn rows(&self, sources: &[Source<'_>]) -> Vec<CoverageRow> {
        let destination = self.destination;
        let mut found = Vec::new();
        for (number, port) in &destination.ports {
            found.extend(self.port(Some(*number), port, sources));
        }
        if destination.proxy == Enforcer::Sidecar {
            let other = DestinationPort::of(Protocol::Auto);
            found.extend(self.port(None, &other, sources));
        }
        found
    }

    fn port(
        &self,
        number: Option<u32>,
        port: &DestinationPort,
        sources: &[Source<'_>],
    ) -> Vec<CoverageRow> {
        let outside = [Source { workload: None }];
        let at_gateway = self.destination.proxy == Enforcer::Gateway;
        let asks_nobody = at_gateway && port.tls != Some(OwnTls::Mesh);
        let sources = if asks_nobody { &outside[..] } else { sources };
        let outcomes = sources.iter().flat_map(|source| {
            let outcomes = self.outcomes(*source, (number, port));
            outcomes.into_iter().map(|outcome| (*source, outcome))
        });
        rows(
            self.inner,
            self.destination,
            &self.policies,
            (number, port),
            outcomes,
        )
    }

    fn outcomes(
        &self,
        source: Source<'_>,
        (number, port): (Option<u32>, &DestinationPort),
    ) -> Vec<Outcome> {
        if let Some(why) = self.bypass(number) {
            return vec![Outcome::unenforced(why)];
        }
        let place = (port, number);
        let ways = source.arrives(self.inner, self.destination, place);
        let could = source.could_arrive(self.destination, place, &ways);
        let outcomes = ways
            .into_iter()
            .map(|way| self.outcome(way, (number, port)));
        let by_certificate = could.map(|way| Outcome {
            because: BY_CERTIFICATE,
            ..self.outcome(way, (number, port))
        });
        outcomes.chain(by_certificate).collect()
    }

    fn outcome(
        &self,
        (transport, peer): (Transport, Peer<'_>),
        (number, port): (Option<u32>, &DestinationPort),
    ) -> Outcome {
        let destination = self.destination;
        if transport == Transport::Refused {
            let strict = port.tls.is_some() || destination.mode(number) == MtlsMode::Strict;
            return Outcome::refused(strict);
        }
        let declared: BTreeSet<u32> = destination.ports.keys().copied().collect();
        let call = Call {
            peer,
            port: number.map_or(Called::Other(&declared), Called::Port),
            http: true,
            settings: &self.inner.settings,
        };
        // TLS that the sidecar does not end is bytes to it.
        let ends_elsewhere = transport == Transport::Tls && port.tls.is_none();
        let carries = match port.carries {
            Carries::Http | Carries::Either if ends_elsewhere => Carries::Hidden,
            declared => declared,
        };
        Outcome {
            transport,
            decision: decide(&self.policies, self.authorizers, call, carries),
            because: "",
        }
    }

    /// Why no proxy sees calls of a port.
    fn bypass(&self, number: Option<u32>) -> Option<&'static str> {
        let destination = self.destination;
        if destination.proxy == Enforcer::Nobody {
            return Some("it has no proxy");
        }
        let captured = match number {
            Some(number) => destination.captures(number),
            None => destination.captures_others(),
        };
        (!captured).then_some("the port is not captured")
    }
}
