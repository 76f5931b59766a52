//! What to do with a question.

use hickory_proto::rr::RecordType;
use mesh_api::{Hostname, ResourceName};

use super::{Query, Transport, reply, upstream};
use crate::Snapshot;

/// What to do with a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this.
    Answer(Vec<u8>),
    /// Pass the question on to the DNS servers of the system.
    Forward,
    /// These have to be known first; then ask again.
    Need(Vec<ResourceName>),
}

/// What the mesh has to be asked about for a question, the name itself first.
///
/// A client that completes names by its search list asks for `api.example.com.<search domain>`
/// before `api.example.com`. As Istio does, the first of those questions is answered for the name
/// without the domain, which saves the client the others.
pub fn names(query: &Query<'_>, search: Option<&Hostname>) -> Vec<ResourceName> {
    let Some(host) = query.host() else {
        return Vec::new();
    };
    let short = search.and_then(|domain| without(&host, domain));
    [Some(host), short]
        .into_iter()
        .flatten()
        .map(ResourceName::Name)
        .collect()
}

/// `a.b` of `a.b.<domain>`.
fn without(host: &Hostname, domain: &Hostname) -> Option<Hostname> {
    let rest = host.as_str().strip_suffix(domain.as_str())?;
    rest.strip_suffix('.')?.parse().ok()
}

/// Decides about a question. `search` is the first domain of the search list. With `may_ask` the
/// answer may be [`Step::Need`]; otherwise what is not known is passed on.
pub fn resolve(
    query: &Query<'_>,
    snapshot: &Snapshot,
    search: Option<&Hostname>,
    transport: Transport,
    may_ask: bool,
) -> Step {
    // Other records of the name (MX, TXT, SRV) are nobody's in the mesh.
    if !matches!(query.kind(), Some(RecordType::A | RecordType::AAAA)) {
        return Step::Forward;
    }
    let names = names(query, search);
    let mut unknown = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match snapshot.addresses(name) {
            // One that comes before is not known yet and wins if it is declared.
            _ if may_ask && !unknown.is_empty() => {
                if snapshot.addresses(name).is_none() {
                    unknown.push(name.clone());
                }
            }
            None => unknown.push(name.clone()),
            Some(addresses) if addresses.is_empty() => {}
            Some(addresses) => {
                let alias = match name {
                    ResourceName::Name(host) if index > 0 => Some(host),
                    _ => None,
                };
                return reply::addresses(query, alias, addresses, transport)
                    .map_or(Step::Forward, Step::Answer);
            }
        }
    }
    if may_ask && !unknown.is_empty() {
        Step::Need(unknown)
    } else {
        Step::Forward
    }
}

/// What to send instead of a server's response, if anything: a name that the mesh declares exists,
/// even if no DNS server knows it. Clients that ask for several types at once would take one
/// "no such name" for all.
pub fn after_upstream(
    query: &Query<'_>,
    response: &[u8],
    snapshot: &Snapshot,
    search: Option<&Hostname>,
    transport: Transport,
) -> Option<Vec<u8>> {
    if !upstream::is_no_such_name(response) {
        return None;
    }
    let declared = names(query, search).into_iter().any(|name| {
        snapshot
            .addresses(&name)
            .is_some_and(|addresses| !addresses.is_empty())
    });
    if declared {
        reply::addresses(query, None, &[], transport)
    } else {
        None
    }
}
