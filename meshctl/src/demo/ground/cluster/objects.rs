//! The objects that a tour puts into a cluster.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use kube::ResourceExt as _;
use meshd_core::{MeshSettings, ProblemLine, analyze};
use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterError, ObjectRef, documents};
use crate::demo::Sample;

/// Label of everything that a tour has made, which it may remove.
const LABEL: (&str, &str) = ("mesh.dev/made-by", "meshctl-demo");
/// Kinds that it makes.
const KINDS: [(&str, &str); 5] = [
    ("networking.istio.io/v1", "VirtualService"),
    ("networking.istio.io/v1", "DestinationRule"),
    ("networking.istio.io/v1", "Gateway"),
    ("security.istio.io/v1", "PeerAuthentication"),
    ("security.istio.io/v1", "AuthorizationPolicy"),
];
/// Identities in the sample's texts, which are for the namespace `default`.
const IDENTITIES: &str = "cluster.local/ns/default/";

/// A timeout that is no duration, so the object as a whole is refused.
const BROKEN: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: broken
spec:
  hosts: [reviews]
  http:
    - timeout: soon
      route:
        - destination: {host: reviews}
";
/// Name of the Gateway for a host of its own, and of its VirtualService.
const ENTRANCE: &str = "meshctl-demo";
/// What the refusal has to name.
const BROKEN_FIELD: &str = "timeout";

/// What a tour has applied, by slot.
#[derive(Debug)]
pub(super) struct Objects {
    cluster: Cluster,
    trust_domain: String,
    held: BTreeMap<String, Vec<ObjectRef>>,
}

// === impl Objects ===

impl Objects {
    pub(super) fn new(cluster: Cluster, trust_domain: String) -> Self {
        Self {
            cluster,
            trust_domain,
            held: BTreeMap::new(),
        }
    }

    /// Applies texts, or nothing, in the place of what the slots held.
    pub(super) async fn apply(&mut self, changes: &[(&str, Option<&str>)]) -> anyhow::Result<()> {
        let mut left = Vec::new();
        for (slot, text) in changes {
            let objects = match text {
                Some(text) => self.read(text)?,
                None => Vec::new(),
            };
            let mut names = Vec::new();
            for (name, object) in objects {
                self.refuse_foreign(&name).await?;
                self.cluster.apply(&object, false).await?;
                names.push(name);
            }
            left.extend(
                self.held
                    .insert((*slot).to_owned(), names)
                    .into_iter()
                    .flatten(),
            );
        }
        let kept = self.held.values().flatten().collect::<BTreeSet<_>>();
        let gone = left.into_iter().filter(|name| !kept.contains(name));
        for name in gone.collect::<BTreeSet<_>>() {
            self.cluster.remove(&name).await?;
        }
        Ok(())
    }

    /// Adds what the sample's base configuration has and the cluster has not.
    pub(super) async fn add_missing_base(&mut self) -> anyhow::Result<()> {
        for text in Sample::base() {
            for (name, object) in self.read(text)? {
                if self.cluster.read(&name).await?.is_none() {
                    self.cluster.apply(&object, false).await?;
                }
            }
        }
        Ok(())
    }

    /// Adds a Gateway, and its VirtualService, like those of the sample but for one host only.
    pub(super) async fn add_entrance(&mut self, host: &str) -> anyhow::Result<()> {
        let base = Sample::base().collect::<Vec<_>>().join("---\n");
        for (_, mut object) in self.read(&base)? {
            let hosts = json!([host]);
            match object.pointer("/kind").and_then(Value::as_str) {
                Some("Gateway") => {
                    let servers = object.pointer_mut("/spec/servers");
                    for server in servers.and_then(Value::as_array_mut).into_iter().flatten() {
                        put(server, "hosts", hosts.clone());
                    }
                }
                Some("VirtualService") => {
                    let spec = object.pointer_mut("/spec").context("it has a spec")?;
                    put(spec, "hosts", hosts);
                    put(spec, "gateways", json!([ENTRANCE]));
                }
                _ => continue,
            }
            let metadata = object.pointer_mut("/metadata").context("it has a name")?;
            put(metadata, "name", json!(ENTRANCE));
            self.cluster.apply(&object, false).await?;
        }
        Ok(())
    }

    /// Removes everything that a tour, this or an earlier one, has made.
    pub(super) async fn sweep(&mut self) -> anyhow::Result<()> {
        self.held.clear();
        let selector = format!("{}={}", LABEL.0, LABEL.1);
        let namespace = self.cluster.namespace().to_owned();
        for (api_version, kind) in KINDS {
            let made = self
                .cluster
                .labelled(api_version, kind, &namespace, &selector)
                .await?;
            for name in made {
                self.cluster.remove(&name).await?;
            }
        }
        Ok(())
    }

    /// Has a broken object checked by the API server and by this program, and gives what both say.
    pub(super) async fn refused(&self) -> anyhow::Result<String> {
        let (name, object) = self
            .read(BROKEN)?
            .into_iter()
            .next()
            .context("there is one")?;
        // Only checked: even a cluster that takes it does not keep it.
        let message = match self.cluster.apply(&object, true).await {
            Ok(()) => bail!(
                "the API server takes {name} with a {BROKEN_FIELD} that is none: is the validating webhook of the mesh installed?"
            ),
            Err(ClusterError::Refused(refusal)) => refusal.message,
            Err(error) => return Err(error.into()),
        };
        ensure!(
            message.contains(BROKEN_FIELD),
            "the refusal does not name the field: {message}"
        );
        let files = [("broken.yaml".to_owned(), BROKEN.to_owned())];
        let problems = analyze(&files, &MeshSettings::default());
        let found = problems
            .iter()
            .map(|problem| ProblemLine(problem).to_string())
            .find(|line| line.contains(BROKEN_FIELD))
            .context("`meshctl analyze` finds nothing wrong with it")?;
        Ok(format!("{}; analyze: {found}", message.trim()))
    }

    /// The objects of a text, for this namespace and trust domain, labelled as made by a tour.
    fn read(&self, text: &str) -> anyhow::Result<Vec<(ObjectRef, Value)>> {
        let namespace = self.cluster.namespace();
        let identities = format!("{}/ns/{namespace}/", self.trust_domain);
        let text = text.replace(IDENTITIES, &identities);
        let mut objects = Vec::new();
        for mut object in documents(&text)? {
            let metadata = object
                .pointer_mut("/metadata")
                .and_then(Value::as_object_mut)
                .context("an object of the sample has no metadata")?;
            metadata.insert("namespace".to_owned(), json!(namespace));
            metadata.insert("labels".to_owned(), json!({LABEL.0: LABEL.1}));
            objects.push((ObjectRef::of(&object, namespace)?, object));
        }
        Ok(objects)
    }

    /// Somebody else's object of the same name is not for a tour to change.
    async fn refuse_foreign(&self, name: &ObjectRef) -> anyhow::Result<()> {
        let found = self.cluster.read(name).await?;
        let foreign =
            found.is_some_and(|object| object.labels().get(LABEL.0).is_none_or(|by| by != LABEL.1));
        ensure!(
            !foreign,
            "there is a {name} that the tour has not made and does not want to change: remove it, or run the tour in another namespace with -n"
        );
        Ok(())
    }
}

fn put(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}
