//! From a file to resources: all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use mesh_api::{ResourceName, v1};
use mesh_proxy_core::Snapshot;
use mesh_proxy_core::ir::{Action, ClusterId, RouteTable};
use prost::Message;

use super::document::{Node, Place, Value, parse};
use super::typed;
use crate::settings::ProxyKind;

/// What a file says.
pub(crate) struct Content {
    /// Its resources, each with a version.
    pub(crate) resources: Vec<v1::Resource>,
    /// SHA-256 of the file, hexadecimal.
    pub(crate) digest: String,
    /// Destinations of routes that the file does not have; requests to them fail.
    pub(crate) dangling: Vec<String>,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ResourcesError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// It does not say what it should.
    #[error(transparent)]
    Content(#[from] Problems),
}

/// All that is wrong with a file, in order.
#[derive(Clone, Debug)]
pub struct Problems {
    path: PathBuf,
    list: Vec<Problem>,
}

/// What is wrong in one place.
#[derive(Clone, Debug)]
pub struct Problem {
    place: Place,
    resource: String,
    text: String,
}

// What only `config_dump` writes: a dump is a file of resources, too.
const OF_DUMPS: [&str; 2] = ["revision", "digest"];
const LIST: &str = "resources";

/// Reads the file.
///
/// # Errors
/// [`ResourcesError`] with all that is wrong.
pub(crate) async fn read(path: &Path, kind: ProxyKind) -> Result<Content, ResourcesError> {
    let failed = |source| ResourcesError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = tokio::fs::read(path).await.map_err(failed)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    understand(&text, kind).map_err(|list| {
        let path = path.to_owned();
        Problems { path, list }.into()
    })
}

/// The resources of a file's text, each with a version, as a proxy of this kind takes them.
///
/// # Errors
/// All that is wrong with it, in order.
pub fn parse_resources(text: &str, kind: ProxyKind) -> Result<Vec<v1::Resource>, Vec<Problem>> {
    understand(text, kind).map(|content| content.resources)
}

fn understand(text: &str, kind: ProxyKind) -> Result<Content, Vec<Problem>> {
    let root = parse(text)
        .map_err(|malformed| vec![Problem::new(malformed.place, "", &malformed.message)])?;
    let mut problems = Vec::new();
    let written: Vec<Written<'_>> = list(&root, &mut problems)
        .iter()
        .enumerate()
        .filter_map(|(index, node)| Written::read(index, node, &mut problems))
        .collect();
    let mut names = BTreeSet::new();
    for one in &written {
        if !names.insert(one.resource.name.as_str()) {
            problems.push(one.problem("name", "the file has it twice"));
        }
    }
    let response = v1::DiscoveryResponse {
        upsert: written.iter().map(|one| one.resource.clone()).collect(),
        ..v1::DiscoveryResponse::default()
    };
    let applied = Snapshot::empty().apply(&response);
    let by_name: BTreeMap<&str, &Written<'_>> = written
        .iter()
        .map(|one| (one.resource.name.as_str(), one))
        .collect();
    for rejection in &applied.rejected {
        if let Some(one) = by_name.get(rejection.resource.as_str()) {
            let path = rejection.reason.split(": ").next().unwrap_or_default();
            problems.push(one.problem(path, &rejection.reason));
        }
    }
    // What is there and broken is not missing, too.
    let whole = problems.is_empty();
    for (name, hint) in required(kind) {
        if whole && !applied.snapshot.holds(&name) {
            let text = format!("is missing: {hint}");
            problems.push(Problem::new(root.place, &name.to_string(), &text));
        }
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.place);
        return Err(problems);
    }
    Ok(Content {
        dangling: dangling(&applied.snapshot),
        resources: response.upsert,
        digest: hexadecimal(text.as_bytes()),
    })
}

fn list<'n>(root: &'n Node, problems: &mut Vec<Problem>) -> &'n [Node] {
    let Value::Map(entries) = &root.value else {
        let text = format!("expected a map with `{LIST}`, found {}", root.kind());
        problems.push(Problem::new(root.place, "", &text));
        return &[];
    };
    for (key, _) in entries {
        if key.name != LIST && !OF_DUMPS.contains(&key.name.as_str()) {
            let text = format!("unknown field `{}`; expected `{LIST}`", key.name);
            problems.push(Problem::new(key.place, "", &text));
        }
    }
    match root.get(LIST) {
        Some(Node {
            value: Value::List(items),
            ..
        }) => items,
        Some(node) => {
            let text = format!("{LIST}: expected a list, found {}", node.kind());
            problems.push(Problem::new(node.place, "", &text));
            &[]
        }
        None => {
            problems.push(Problem::new(
                root.place,
                "",
                &format!("`{LIST}` is missing"),
            ));
            &[]
        }
    }
}

fn required(kind: ProxyKind) -> [(ResourceName, &'static str); 2] {
    let own = match kind {
        ProxyKind::Sidecar => (
            ResourceName::Inbound,
            "what this sidecar accepts; `default_mtls` and `workload` at least",
        ),
        ProxyKind::Gateway => (
            ResourceName::Gateway,
            "what this gateway serves; `workload` and `listeners`",
        ),
    };
    let mesh = (
        ResourceName::Mesh,
        "mesh-wide settings; `trust_domain` and `outbound_policy`",
    );
    [mesh, own]
}

/// Destinations of routes without a service.
fn dangling(snapshot: &Snapshot) -> Vec<String> {
    let mut found = BTreeSet::new();
    for name in snapshot.names() {
        let Some(table) = snapshot.table(name) else {
            continue;
        };
        for id in destinations(table) {
            if snapshot.cluster(id).is_none() {
                let subset = match &*id.subset {
                    "" => String::new(),
                    subset => format!(", subset {subset}"),
                };
                found.insert(format!("{name} → {}:{}{subset}", id.host, id.port));
            }
        }
    }
    found.into_iter().collect()
}

fn destinations(table: &RouteTable) -> impl Iterator<Item = &ClusterId> {
    let http = table.http.iter().filter_map(|route| match &route.action {
        Action::Forward(forward) => Some(forward),
        Action::Redirect(_) | Action::Direct(_) | Action::Invalid(_) => None,
    });
    let http = http.flat_map(|forward| {
        let mirrors = forward.mirrors.iter().map(|mirror| &mirror.cluster);
        forward
            .destinations
            .iter()
            .map(|to| &to.cluster)
            .chain(mirrors)
    });
    let tls = table.tls.iter().flat_map(|route| route.destinations.iter());
    let tcp = table.tcp.iter().flat_map(|route| route.destinations.iter());
    http.chain(tls.chain(tcp).map(|to| &to.cluster))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A resource with the node that it was read from.
struct Written<'n> {
    node: &'n Node,
    resource: v1::Resource,
}

// === impl Written ===

impl<'n> Written<'n> {
    fn read(index: usize, node: &'n Node, problems: &mut Vec<Problem>) -> Option<Self> {
        let name = node.get("name").and_then(Node::text);
        let called = name.map_or_else(|| format!("{LIST}[{index}]"), str::to_owned);
        if node.get("credential").is_some() {
            let text = "credential: a private key does not stand in a file of resources; name \
                        `files` in the gateway's server instead";
            problems.push(Problem::new(node.place, &called, text));
            return None;
        }
        match typed::read::<v1::Resource>(node) {
            Ok(mut resource) => {
                if resource.version.is_empty() {
                    resource.version = hexadecimal(&resource.encode_to_vec());
                }
                Some(Self { node, resource })
            }
            Err(fault) => {
                let text = fault.to_string();
                problems.push(Problem::new(fault.place(), &called, &text));
                None
            }
        }
    }

    fn problem(&self, path: &str, text: &str) -> Problem {
        Problem::new(self.node.place_of(path), &self.resource.name, text)
    }
}

// === impl Problem ===

impl Problem {
    fn new(place: Place, resource: &str, text: &str) -> Self {
        Self {
            place,
            resource: resource.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Line and column, from 1.
    pub fn place(&self) -> (u64, u64) {
        (self.place.line, self.place.column)
    }

    /// What is wrong.
    pub fn text(&self) -> &str {
        &self.text
    }
}

// === impl Problems ===

impl Problems {
    /// As the operator's tools show them.
    pub(crate) fn rejections(&self) -> Vec<v1::Rejection> {
        self.list
            .iter()
            .map(|problem| v1::Rejection {
                resource: problem.resource.clone(),
                version: String::new(),
                reason: format!(
                    "{}:{}: {}",
                    self.path.display(),
                    problem.place.line,
                    problem.text
                ),
            })
            .collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let Place { line, column } = problem.place;
            write!(f, "{}:{line}:{column}: ", self.path.display())?;
            if !problem.resource.is_empty() {
                write!(f, "{}: ", problem.resource)?;
            }
            f.write_str(&problem.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests;
