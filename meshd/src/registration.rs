//! Workloads that say themselves where they are, where nobody else does.
//!
//! A proxy that asks for it, and whose certificate grants it (`discovery/admission.rs`), makes its
//! workload an endpoint while it is connected. The control
//! plane writes a `WorkloadEntry` for it, as if a file held one; a file that declares a workload
//! of the same name wins. What is registered is remembered in the state directory, so that a
//! restart of the control plane takes no endpoint away from anybody.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mesh_api::v1::{Node, Registration};
use mesh_api::{SpiffeId, WorkloadName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::publish::{Change, ConfigHandle, Edit, Message};
use crate::settings::SelfRegistration;

#[cfg(test)]
mod tests;

/// How long an endpoint stays whose proxy lost its connection without a word.
const GRACE: Duration = Duration::from_secs(10);
/// How long proxies have to come back after a restart of the control plane.
const RETURN: Duration = Duration::from_secs(60);
/// After the names of all files, so that a declared workload is the older one and wins.
const PREFIX: &str = "~registered/";

/// Tells the registrar who comes and goes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Registrations {
    events: mpsc::UnboundedSender<Event>,
    allowed: SelfRegistration,
}

/// A registered workload's stream. The endpoint goes some time after it is dropped.
#[derive(Debug)]
pub(crate) struct Stay {
    events: mpsc::UnboundedSender<Event>,
    workload: WorkloadName,
    number: u64,
}

/// Keeps the endpoints. One task runs it.
#[derive(Debug)]
pub(crate) struct Registrar {
    path: PathBuf,
    entries: BTreeMap<WorkloadName, Entry>,
    events: mpsc::UnboundedReceiver<Event>,
}

/// Why what an earlier process registered cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use {path}: {source}; remove it to start without the workloads that registered themselves",
    path = path.display()
)]
pub struct RegistrationError {
    path: PathBuf,
    source: io::Error,
}

#[derive(Debug)]
struct Entry {
    endpoint: Endpoint,
    // The newest stream; older ones say nothing any more.
    number: u64,
    leaves: Option<Instant>,
}

/// What is known of a registered workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Endpoint {
    address: String,
    service_account: String,
    labels: BTreeMap<String, String>,
    ports: BTreeMap<String, u32>,
    locality: String,
    weight: u32,
}

#[derive(Debug)]
enum Event {
    Came {
        workload: WorkloadName,
        number: u64,
        endpoint: Box<Endpoint>,
    },
    Leaves {
        workload: WorkloadName,
        number: u64,
        at_once: bool,
    },
}

// === impl Registrations ===

impl Registrations {
    /// Who may register itself.
    pub(crate) fn allowed(&self) -> SelfRegistration {
        self.allowed
    }

    /// Enters a workload with these labels if its proxy asks for it. `number` tells its streams
    /// apart and rises.
    pub(crate) fn enter(
        &self,
        node: &Node,
        labels: BTreeMap<String, String>,
        identity: &SpiffeId,
        number: u64,
    ) -> Option<Stay> {
        let registration = node.registration.as_ref()?;
        let workload: WorkloadName = node.workload.parse().ok()?;
        let Some(endpoint) = Endpoint::new(node, registration, labels, identity) else {
            tracing::warn!(%workload, "a workload registers itself without an address; give its proxy --addresses");
            return None;
        };
        let came = Event::Came {
            workload: workload.clone(),
            number,
            endpoint: Box::new(endpoint),
        };
        self.events.send(came).ok()?;
        Some(Stay {
            events: self.events.clone(),
            workload,
            number,
        })
    }
}

// === impl Stay ===

impl Stay {
    /// The workload takes no new requests.
    pub(crate) fn leave(&self) {
        self.send(true);
    }

    fn send(&self, at_once: bool) {
        // At the end of the process nobody listens, and the endpoint stays for the next one.
        let _ = self.events.send(Event::Leaves {
            workload: self.workload.clone(),
            number: self.number,
            at_once,
        });
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.send(false);
    }
}

// === impl Registrar ===

impl Registrar {
    /// Reads what an earlier process registered; the changes put it into the first world, unless
    /// nobody may register any more.
    pub(crate) fn open(
        state_dir: &Path,
        allowed: SelfRegistration,
    ) -> Result<(Self, Registrations, Vec<Change>), RegistrationError> {
        let path = state_dir.join("registered.json");
        let saved: BTreeMap<String, Endpoint> = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
        .map_err(|source| RegistrationError {
            path: path.clone(),
            source,
        })?;
        let leaves = clock::instant() + RETURN;
        let entries: BTreeMap<WorkloadName, Entry> = saved
            .into_iter()
            .filter_map(|(name, endpoint)| {
                let entry = Entry {
                    endpoint,
                    number: 0,
                    leaves: Some(leaves),
                };
                Some((name.parse().ok()?, entry))
            })
            .collect();
        let changes = entries
            .iter()
            .filter(|_| allowed != SelfRegistration::Never)
            .map(|(workload, entry)| Change::Set {
                path: file(workload),
                text: entry.endpoint.object(workload),
            })
            .collect();
        let (sender, events) = mpsc::unbounded_channel();
        let registrar = Self {
            path,
            entries,
            events,
        };
        let registrations = Registrations {
            events: sender,
            allowed,
        };
        Ok((registrar, registrations, changes))
    }

    /// Keeps the endpoints in the configuration until `shutdown`. At the end they stay, for the
    /// next process.
    pub(crate) async fn run(mut self, config: ConfigHandle, shutdown: CancellationToken) {
        loop {
            let due = self.entries.values().filter_map(|entry| entry.leaves).min();
            let edit = tokio::select! {
                () = shutdown.cancelled() => return,
                event = self.events.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                () = until(due) => self.expire(clock::instant()),
            };
            let Some(edit) = edit else { continue };
            if let Err(error) = self.save() {
                tracing::error!(path = %self.path.display(), %error, "the registered workloads cannot be remembered");
            }
            if config
                .send(Message::Edit { edit, done: None })
                .await
                .is_err()
            {
                return;
            }
        }
    }

    fn take(&mut self, event: Event) -> Option<Edit> {
        match event {
            Event::Came {
                workload,
                number,
                endpoint,
            } => {
                let known = self.entries.get(&workload);
                if known.is_some_and(|entry| entry.number > number) {
                    return None;
                }
                let same = known.is_some_and(|entry| entry.endpoint == *endpoint);
                let edit =
                    (!same).then(|| Edit::new().set(file(&workload), endpoint.object(&workload)));
                let entry = Entry {
                    endpoint: *endpoint,
                    number,
                    leaves: None,
                };
                if !same {
                    tracing::info!(%workload, address = entry.endpoint.address, "registered");
                }
                self.entries.insert(workload, entry);
                edit
            }
            Event::Leaves {
                workload,
                number,
                at_once,
            } => {
                let entry = self.entries.get_mut(&workload)?;
                if entry.number != number {
                    return None;
                }
                if at_once {
                    return Some(self.remove(&workload, Edit::new()));
                }
                entry.leaves = Some(clock::instant() + GRACE);
                None
            }
        }
    }

    fn expire(&mut self, now: Instant) -> Option<Edit> {
        let over: Vec<WorkloadName> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.leaves.is_some_and(|leaves| leaves <= now))
            .map(|(workload, _)| workload.clone())
            .collect();
        (!over.is_empty()).then(|| {
            over.iter()
                .fold(Edit::new(), |edit, workload| self.remove(workload, edit))
        })
    }

    fn remove(&mut self, workload: &WorkloadName, edit: Edit) -> Edit {
        self.entries.remove(workload);
        tracing::info!(%workload, "no longer registered");
        edit.remove(file(workload))
    }

    fn save(&self) -> io::Result<()> {
        let saved: BTreeMap<String, &Endpoint> = self
            .entries
            .iter()
            .map(|(workload, entry)| (workload.to_string(), &entry.endpoint))
            .collect();
        let neighbour = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&neighbour)?;
        file.write_all(&serde_json::to_vec(&saved)?)?;
        fs::rename(&neighbour, &self.path)
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn new(
        node: &Node,
        registration: &Registration,
        labels: BTreeMap<String, String>,
        identity: &SpiffeId,
    ) -> Option<Self> {
        Some(Self {
            address: node.addresses.first()?.clone(),
            service_account: identity.service_account().to_owned(),
            labels,
            ports: registration.ports.clone().into_iter().collect(),
            locality: node.locality.clone(),
            weight: registration.weight.max(1),
        })
    }

    /// As a WorkloadEntry in JSON, which is YAML, too.
    fn object(&self, workload: &WorkloadName) -> String {
        let mut labels = self.labels.clone();
        // It has a proxy: that is who registered it.
        labels
            .entry("security.istio.io/tlsMode".to_owned())
            .or_insert_with(|| "istio".to_owned());
        let mut spec = json!({
            "address": self.address,
            "labels": labels,
            "serviceAccount": self.service_account,
            "ports": self.ports,
            "weight": self.weight,
        });
        if !self.locality.is_empty()
            && let Some(spec) = spec.as_object_mut()
        {
            spec.insert("locality".to_owned(), self.locality.clone().into());
        }
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "WorkloadEntry",
            "metadata": { "name": workload.name(), "namespace": workload.namespace() },
            "spec": spec,
        })
        .to_string()
    }
}

fn file(workload: &WorkloadName) -> String {
    format!("{PREFIX}{workload}")
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
