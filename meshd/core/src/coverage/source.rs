//! Workloads that call, and how their calls arrive.

use std::collections::BTreeMap;

use mesh_api::SpiffeId;
use mesh_api::v1::{ClientTlsMode, MtlsMode};
use serde::{Deserialize, Serialize};

use super::destination::{Destination, DestinationPort, OwnTls};
use super::truth::Peer;
use crate::world::Inner;
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
    pub(crate) labels: &'w Labels,
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

/// A client's side, as its DestinationRule or the mesh has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Mtls,
    ForeignTls,
    Plaintext,
}

/// The identities of all workloads that have a proxy, each with the first that has it.
pub(crate) fn identities(
    inner: &Inner,
    has_proxy: impl Fn(&str, &Labels, &str) -> bool,
) -> BTreeMap<&str, (SpiffeId, &str, &Labels)> {
    let mut found = BTreeMap::new();
    for record in &inner.workloads {
        if record.identity.is_empty() || found.contains_key(record.identity.as_str()) {
            continue;
        }
        if let Ok(identity) = record.identity.parse::<SpiffeId>()
            && has_proxy(&record.namespace, &record.labels, &record.name)
        {
            let labels: &Labels = &record.labels;
            found.insert(
                record.identity.as_str(),
                (identity, record.namespace.as_str(), labels),
            );
        }
    }
    found
}

// === impl Source ===

impl<'w> Source<'w> {
    /// How its calls of a workload's port arrive, and as whose.
    pub(crate) fn arrives(
        &self,
        inner: &Inner,
        to: &Destination<'_>,
        (port, number): (&DestinationPort, Option<u32>),
    ) -> (Transport, Peer<'w>) {
        if let Some(tls) = port.tls {
            return match tls {
                OwnTls::Mutual => (Transport::Tls, Peer::Unknown),
                OwnTls::Simple | OwnTls::Passthrough => (Transport::Tls, Peer::Nobody),
            };
        }
        let mode = number.map_or(to.mtls.mode, |number| to.mtls.at(number).0);
        let sent = self.sends(inner, to, (port, mode));
        match (mode, sent) {
            (MtlsMode::Strict, Sent::Plaintext | Sent::ForeignTls)
            | (MtlsMode::Disable, Sent::Mtls) => (Transport::Refused, Peer::Nobody),
            (_, Sent::Mtls) => {
                let peer = self
                    .workload
                    .map_or(Peer::Nobody, |client| Peer::Known(client.identity));
                (Transport::Mtls, peer)
            }
            (_, Sent::ForeignTls) => (Transport::Tls, Peer::Nobody),
            (_, Sent::Plaintext) => (Transport::Plaintext, Peer::Nobody),
        }
    }

    fn sends(
        &self,
        inner: &Inner,
        to: &Destination<'_>,
        (port, mode): (&DestinationPort, MtlsMode),
    ) -> Sent {
        let Some(client) = self.workload else {
            return Sent::Plaintext;
        };
        let by_rule = port.front.and_then(|(service, number)| {
            let service = inner.services.get(service)?;
            let rule = inner.destination_rule(service, client.namespace, client.labels);
            let policy = rule.policy?;
            let parts = policy.ports.get(&number).unwrap_or(&policy.parts);
            Some(parts.tls.as_ref()?.mode())
        });
        match by_rule {
            Some(ClientTlsMode::Disable) => Sent::Plaintext,
            Some(ClientTlsMode::Simple | ClientTlsMode::Mutual) => Sent::ForeignTls,
            Some(ClientTlsMode::IstioMutual) => Sent::Mtls,
            _ if to.takes_mtls && mode != MtlsMode::Disable => Sent::Mtls,
            _ => Sent::Plaintext,
        }
    }
}
