//! Carrying out a plan.

use kube::ResourceExt as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::plan::{Plan, label, names, prune};
use super::record::{Record, label_of};
use super::wait::{Deployments, WebhookTrust};
use super::{InstallError, wait};
use crate::cluster::{Cluster, ObjectRef};
use crate::output::{complain, say};

/// Label of the revision that an object belongs to.
pub const REVISION_LABEL: &str = "istio.io/rev";
/// Label of the CRDs that this program has installed.
const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "mesh");

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was not there.
    Created,
    /// It was different.
    Configured,
    /// It was as wanted.
    Unchanged,
    /// It was taken away.
    Removed,
}

/// What became of which object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Kind.
    pub kind: String,
    /// Namespace, empty if it has none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What became of it.
    pub change: Change,
}

/// Where progress goes while things happen: standard output, or standard error when that is
/// for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// For people.
    Shown,
    /// The output is for programs.
    Aside,
}

/// Carries out plans on a cluster.
pub struct Installer<'a> {
    cluster: &'a Cluster,
    progress: Progress,
    /// How long to wait for pods; not at all if it is not given.
    wait: Option<std::time::Duration>,
    done: Vec<Done>,
}

// === impl Progress ===

impl Progress {
    /// Tells something.
    pub fn tell(self, text: impl std::fmt::Display) {
        match self {
            Self::Shown => say(text),
            Self::Aside => complain(text),
        }
    }
}

// === impl Installer ===

impl<'a> Installer<'a> {
    /// One that waits for pods as long as `wait` says.
    pub fn new(
        cluster: &'a Cluster,
        progress: Progress,
        wait: Option<std::time::Duration>,
    ) -> Self {
        Self {
            cluster,
            progress,
            wait,
            done: Vec::new(),
        }
    }

    /// What was done so far.
    pub fn done(&self) -> &[Done] {
        &self.done
    }

    /// Applies a plan, and takes away what the revision had and has no longer. Doing it again
    /// changes nothing.
    ///
    /// # Errors
    /// If the cluster refuses something, or pods do not get ready. What was done stays; the
    /// command can be run again.
    pub async fn install(&mut self, plan: &Plan) -> Result<(), InstallError> {
        self.namespace(&plan.namespace).await?;
        self.crds(&plan.crds).await?;
        let record = Record::of(plan)?;
        let before = match self.cluster.read(&record.name()?).await? {
            Some(object) => Some(Record::parse(&json!(object))?),
            None => None,
        };
        // Should this be interrupted, what is new is known to belong to the revision, too.
        let mut both = record.clone();
        let old = before.map(|record| record.objects).unwrap_or_default();
        both.objects.extend(prune(&old, &record.objects));
        self.quietly(&both.object()).await?;

        self.apply(&plan.control_plane).await?;
        self.wait_for(&plan.control_plane).await?;
        self.apply(&plan.webhooks).await?;
        if self.wait.is_some() {
            self.wait_for_trust(&plan.webhooks).await?;
        }
        self.apply(&plan.gateway).await?;
        self.wait_for(&plan.gateway).await?;

        self.remove(&prune(&old, &record.objects), &plan.revision)
            .await?;
        self.quietly(&record.object()).await
    }

    async fn namespace(&mut self, name: &str) -> Result<(), InstallError> {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name},
        });
        let reference = ObjectRef::of(&namespace, "")?;
        if self.cluster.read(&reference).await?.is_none() {
            self.apply(&[namespace]).await?;
        }
        Ok(())
    }

    /// CRDs that are there and not ours stay as they are: Istio's serve as well.
    async fn crds(&mut self, crds: &[Value]) -> Result<(), InstallError> {
        for crd in crds {
            let reference = ObjectRef::of(crd, "")?;
            let there = self.cluster.read(&reference).await?;
            let ours = there.as_ref().is_none_or(|there| {
                there
                    .labels()
                    .get(PART_OF.0)
                    .is_some_and(|v| v == PART_OF.1)
            });
            if ours {
                self.apply(std::slice::from_ref(crd)).await?;
            }
        }
        Ok(())
    }

    /// Applies objects in their order.
    ///
    /// # Errors
    /// The first one that the cluster refuses.
    pub async fn apply(&mut self, objects: &[Value]) -> Result<(), InstallError> {
        for object in objects {
            let reference = ObjectRef::of(object, "")?;
            let change = self.apply_one(object, &reference).await?;
            self.record(&reference, change);
        }
        Ok(())
    }

    async fn quietly(&self, object: &Value) -> Result<(), InstallError> {
        self.apply_one(object, &ObjectRef::of(object, "")?)
            .await
            .map(|_| ())
    }

    async fn apply_one(
        &self,
        object: &Value,
        reference: &ObjectRef,
    ) -> Result<Change, InstallError> {
        let refused = |source| InstallError::Apply {
            object: label(reference),
            source: Box::new(source),
        };
        let version = |object: Option<kube::api::DynamicObject>| {
            object.and_then(|object| object.resource_version())
        };
        let before = version(self.cluster.read(reference).await.map_err(refused)?);
        self.cluster.apply(object, false).await.map_err(refused)?;
        let after = version(self.cluster.read(reference).await.map_err(refused)?);
        Ok(match before {
            None => Change::Created,
            Some(before) if Some(&before) == after.as_ref() => Change::Unchanged,
            Some(_) => Change::Configured,
        })
    }

    /// Removes objects of a revision; those that another one has taken over stay.
    ///
    /// # Errors
    /// If the cluster refuses.
    pub async fn remove(
        &mut self,
        objects: &[ObjectRef],
        revision: &str,
    ) -> Result<(), InstallError> {
        for object in objects {
            let owner = label_of(self.cluster, object, REVISION_LABEL).await?;
            if owner.as_deref() == Some(revision) {
                self.remove_one(object).await?;
            }
        }
        Ok(())
    }

    /// Removes an object, whoever owns it.
    ///
    /// # Errors
    /// If the cluster refuses.
    pub async fn remove_one(&mut self, object: &ObjectRef) -> Result<(), InstallError> {
        if self.cluster.remove(object).await? {
            self.record(object, Change::Removed);
        }
        Ok(())
    }

    fn record(&mut self, object: &ObjectRef, change: Change) {
        let word = match change {
            Change::Created => "created",
            Change::Configured => "configured",
            Change::Unchanged => "unchanged",
            Change::Removed => "removed",
        };
        self.progress
            .tell(format_args!("{word:<10} {}", label(object)));
        self.done.push(Done {
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            change,
        });
    }

    /// Waits for the Deployments among objects.
    async fn wait_for(&self, objects: &[Value]) -> Result<(), InstallError> {
        let Some(limit) = self.wait else {
            return Ok(());
        };
        for object in names(objects)?
            .into_iter()
            .filter(|one| one.kind == "Deployment")
        {
            let deployment = Deployments::new(self.cluster, &object);
            wait::until_ready(&deployment, self.progress, limit).await?;
        }
        Ok(())
    }

    /// Waits until the control plane has told the API server how to trust its webhooks.
    ///
    /// # Errors
    /// If it does not.
    pub async fn wait_for_trust(&self, webhooks: &[Value]) -> Result<(), InstallError> {
        let Some(limit) = self.wait else {
            return Ok(());
        };
        for object in names(webhooks)? {
            if object.kind.ends_with("WebhookConfiguration") {
                let trust = WebhookTrust::new(self.cluster, &object);
                wait::until_ready(&trust, self.progress, limit).await?;
            }
        }
        Ok(())
    }
}
