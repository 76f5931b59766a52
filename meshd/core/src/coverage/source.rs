//! Workloads that call, and how their calls arrive.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mesh_api::SpiffeId;
use mesh_api::v1::{ClientTlsMode, MtlsMode};
use serde::{Deserialize, Serialize};

use super::destination::{Destination, DestinationPort, Enforcer, OwnTls};
use super::truth::Peer;
use crate::model::selects;
use crate::translate::client_tls_mode;
use crate::world::{Inner, ServiceRecord};
use crate::yaml::Labels;

/// Calls of workloads with one identity, or of whoever has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'w> {
    /// Absent: without a certificate of the mesh.
    pub(crate) workload: Option<Client<'w>>,
}

/// A workload with a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'w> {
    pub(crate) identity: &'w SpiffeId,
    pub(crate) namespace: &'w str,
    /// All that workloads with this identity have, as far as configuration tells them apart.
    pub(crate) labels: &'w [&'w Labels],
}

/// How calls arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Transport {
    /// Mutual TLS: the caller proves who it is.
    Mtls,
    /// TLS that is not the mesh's.
    Tls,
    /// In plain text.
    Plaintext,
    /// Not at all: the other side refuses how they come.
    Refused,
}

/// How a client's sidecar sends, or who there is no sidecar of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sent {
    Mtls,
    /// Mutual TLS around whatever it is, which is taken in every mode.
    Tunnel,
    ForeignTls,
    Plaintext,
}

/// An identity, its namespace, and the labels of its workloads.
type Known<'w> = (SpiffeId, &'w str, Vec<&'w Labels>);

/// The identities of all workloads that have a proxy. Of those that configuration does not tell
/// apart by labels one stands for all.
pub(crate) fn clients(inner: &Inner, has_proxy: impl Fn(&str, &str) -> bool) -> Vec<Known<'_>> {
    let rules = inner.destination_rules.values().flat_map(HashMap::values);
    let selectors = rules.flatten().filter_map(|rule| rule.selector.as_ref());
    let telling: BTreeSet<&str> = selectors
        .chain(inner.sidecars.selectors())
        .flat_map(|selector| selector.keys())
        .map(String::as_str)
        .collect();
    let mut seen = BTreeSet::new();
    let mut found: BTreeMap<&str, Known<'_>> = BTreeMap::new();
    for record in &inner.workloads {
        if record.identity.is_empty() || !has_proxy(&record.namespace, &record.name) {
            continue;
        }
        let labels: &Labels = &record.labels;
        let told = telling
            .iter()
            .filter_map(|name| Some((*name, labels.get(*name)?.as_str())));
        let told: Vec<(&str, &str)> = told.collect();
        if !seen.insert((record.identity.as_str(), told)) {
            continue;
        }
        match found.get_mut(record.identity.as_str()) {
            Some((_, _, all)) => all.push(labels),
            None => {
                if let Ok(identity) = record.identity.parse() {
                    let new = (identity, record.namespace.as_str(), vec![labels]);
                    found.insert(record.identity.as_str(), new);
                }
            }
        }
    }
    found.into_values().collect()
}

// === impl Source ===

impl<'w> Source<'w> {
    /// How its calls of a workload's port may arrive, and as whose: one way for each service or
    /// subset by which it may call and that makes a difference.
    pub(crate) fn arrives(
        &self,
        inner: &Inner,
        to: &Destination<'_>,
        (port, number): (&DestinationPort, Option<u32>),
    ) -> Vec<(Transport, Peer<'w>)> {
        let known = self.workload.map(|client| Peer::Known(client.identity));
        if to.proxy == Enforcer::Gateway || port.tls.is_some() {
            let way = match (port.tls, known) {
                (None, _) => (Transport::Plaintext, Peer::Nobody),
                (Some(OwnTls::Mesh), Some(peer)) => (Transport::Mtls, peer),
                (Some(OwnTls::Mesh), None) => (Transport::Refused, Peer::Nobody),
                (Some(OwnTls::Mutual), _) => (Transport::Tls, Peer::Unknown),
                (Some(OwnTls::Simple | OwnTls::Passthrough), _) => (Transport::Tls, Peer::Nobody),
            };
            return vec![way];
        }
        let mode = to.mode(number);
        let sent = self.sends(inner, to, (port, mode));
        let mut ways: Vec<(Transport, Peer<'w>)> = Vec::new();
        for sent in sent {
            let peer = known.unwrap_or(Peer::Nobody);
            let way = match (mode, sent) {
                (_, Sent::Tunnel) => (Transport::Mtls, peer),
                (MtlsMode::Strict, Sent::Plaintext | Sent::ForeignTls)
                | (MtlsMode::Disable, Sent::Mtls) => (Transport::Refused, Peer::Nobody),
                (_, Sent::Mtls) => (Transport::Mtls, peer),
                (_, Sent::ForeignTls) => (Transport::Tls, Peer::Nobody),
                (_, Sent::Plaintext) => (Transport::Plaintext, Peer::Nobody),
            };
            if !ways.iter().any(|(known, _)| *known == way.0) {
                ways.push(way);
            }
        }
        ways
    }

    /// The same for whoever has its certificate, where its sidecar does not show it.
    pub(crate) fn could_arrive(
        &self,
        to: &Destination<'_>,
        (port, number): (&DestinationPort, Option<u32>),
        ways: &[(Transport, Peer<'w>)],
    ) -> Option<(Transport, Peer<'w>)> {
        let client = self.workload?;
        let takes = to.proxy == Enforcer::Sidecar
            && port.tls.is_none()
            && (to.mode(number) != MtlsMode::Disable || to.tunnel);
        let uses = ways
            .iter()
            .any(|(transport, _)| *transport == Transport::Mtls);
        (takes && !uses).then_some((Transport::Mtls, Peer::Known(client.identity)))
    }

    fn sends(
        &self,
        inner: &Inner,
        to: &Destination<'_>,
        (port, mode): (&DestinationPort, MtlsMode),
    ) -> BTreeSet<Sent> {
        let Some(client) = self.workload else {
            return [Sent::Plaintext].into();
        };
        let labels = client.labels.iter();
        labels
            .flat_map(|labels| client.sends(labels, inner, to, (port, mode)))
            .collect()
    }
}

// === impl Client ===

impl Client<'_> {
    fn sends(
        &self,
        labels: &Labels,
        inner: &Inner,
        to: &Destination<'_>,
        (port, mode): (&DestinationPort, MtlsMode),
    ) -> BTreeSet<Sent> {
        let mut found = BTreeSet::new();
        for (id, number) in &port.fronts {
            let Some(service) = inner.services.get(*id) else {
                continue;
            };
            if inner.service(service.host.as_str(), self.namespace) != Some(*id) {
                continue;
            }
            if !self.imports(labels, inner, (service, *number)) {
                // Unless by the routes of a host that it imports.
                found.insert(Sent::Plaintext);
                if inner.virtual_services.is_empty() {
                    continue;
                }
            }
            let rule = inner.destination_rule(service, self.namespace, labels);
            let subsets = rule.subsets.iter();
            let subsets = subsets.filter(|subset| selects(&subset.labels, to.labels));
            let subsets = subsets.map(|subset| subset.policy.as_ref());
            for subset in std::iter::once(None).chain(subsets) {
                let by_rule = client_tls_mode(*number, rule.policy, subset);
                found.insert(sent(by_rule, to, service.external, mode));
            }
        }
        if found.is_empty() {
            // Nothing that it knows of: the connection goes on as it is.
            found.insert(Sent::Plaintext);
        }
        found
    }

    /// Whether its Sidecar lets it know of a port.
    fn imports(
        &self,
        labels: &Labels,
        inner: &Inner,
        (service, port): (&ServiceRecord, u32),
    ) -> bool {
        let root = inner.settings.root_namespace.as_str();
        let sidecar = inner.sidecars.of((self.namespace, labels), root);
        let named = (service.namespace.as_str(), service.host.as_str());
        let port = u16::try_from(port).ok();
        sidecar.is_none_or(|sidecar| sidecar.imports(named, port, self.namespace))
    }
}

fn sent(
    by_rule: Option<ClientTlsMode>,
    to: &Destination<'_>,
    external: bool,
    mode: MtlsMode,
) -> Sent {
    match by_rule {
        _ if to.tunnel => Sent::Tunnel,
        Some(ClientTlsMode::Disable) => Sent::Plaintext,
        Some(ClientTlsMode::Simple | ClientTlsMode::Mutual) => Sent::ForeignTls,
        Some(ClientTlsMode::IstioMutual) => Sent::Mtls,
        _ if to.takes_mtls && !external && mode != MtlsMode::Disable => Sent::Mtls,
        _ => Sent::Plaintext,
    }
}
