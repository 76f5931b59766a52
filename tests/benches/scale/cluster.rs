//! Objects in an API server. No pod runs: nobody schedules them, and their status says that they
//! are ready.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use meshd::ClusterAccess;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::objects;
use crate::source::Arguments;
use crate::topology::Topology;

/// Requests to the API server at the same time.
const AT_ONCE: usize = 32;
/// Label of our namespaces, with the prefix of this run.
const LABEL: &str = "mesh-scale";
/// Between two looks whether a namespace is gone.
const LOOK: Duration = Duration::from_millis(500);

/// An API server.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    prefix: String,
    limit: Duration,
}

// === impl Cluster ===

impl Cluster {
    /// Connects to what KUBECONFIG names.
    pub(crate) async fn connect(prefix: &str, limit: Duration) -> anyhow::Result<Self> {
        let client = ClusterAccess::default()
            .connect()
            .await
            .context("--kubernetes needs a cluster whose administrator you are: set KUBECONFIG")?;
        Ok(Self {
            client,
            prefix: prefix.to_owned(),
            limit,
        })
    }

    /// Namespace of meshd's own objects.
    fn system(&self) -> String {
        format!("{}-system", self.prefix)
    }

    /// It writes nothing but its Lease, and leaves workloads to other meshes of the cluster.
    pub(crate) fn arguments(&self) -> Arguments {
        let system = self.system();
        [
            "--kubernetes",
            "--no-status",
            "--no-root-config-maps",
            "--no-default-revision",
            "--revision",
            "mesh-scale",
            "--secret-namespace",
            &system,
            "--namespace",
            &system,
        ]
        .map(Into::into)
        .into()
    }

    /// Makes the objects, and learns the addresses of the services.
    pub(crate) async fn fill(&self, topology: &mut Topology) -> anyhow::Result<()> {
        let labels = json!({ (LABEL): self.prefix });
        let namespaces: Vec<String> = topology.namespaces().collect();
        for name in namespaces.iter().chain([&self.system()]) {
            let metadata = json!({"name": name, "labels": labels});
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
            create::<Namespace>(Api::all(self.client.clone()), object).await?;
        }
        for name in &namespaces {
            let api = self.api::<ServiceAccount>(name);
            create(api, objects::service_account(name)).await?;
        }
        let made = stream::iter(0..topology.services)
            .map(|service| self.fill_service(topology, service))
            .buffered(AT_ONCE);
        let addresses: Vec<IpAddr> = made.try_collect().await?;
        stream::iter(0..topology.pods)
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, |pod| self.fill_pod(topology, pod))
            .await?;
        topology.addresses = addresses;
        Ok(())
    }

    async fn fill_service(&self, topology: &Topology, service: usize) -> anyhow::Result<IpAddr> {
        let namespace = topology.namespace(service);
        let made = create::<Service>(self.api(&namespace), objects::service(topology, service));
        let made = made.await?;
        let slice = objects::slice(topology, service, None);
        create::<EndpointSlice>(self.api(&namespace), slice).await?;
        let address = made.spec.and_then(|spec| spec.cluster_ip);
        let address = address.context("a Service got no address")?;
        Ok(address.parse()?)
    }

    async fn fill_pod(&self, topology: &Topology, pod: usize) -> anyhow::Result<()> {
        let namespace = topology.namespace(topology.service_of(pod));
        let api: Api<Pod> = self.api(&namespace);
        create(api.clone(), objects::pod(topology, pod)).await?;
        let status = json!({ "status": objects::pod_status(pod) });
        api.patch_status(
            &topology.pod_name(pod),
            &PatchParams::default(),
            &Patch::Merge(status),
        )
        .await
        .context("cannot say that a pod is ready")?;
        Ok(())
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Replaces the endpoints of a service.
    pub(crate) async fn change(
        &self,
        topology: &Topology,
        service: usize,
        unready: Option<usize>,
    ) -> anyhow::Result<()> {
        let api: Api<EndpointSlice> = self.api(&topology.namespace(service));
        let endpoints = objects::endpoints(topology, service, unready);
        let patch = json!({ "endpoints": endpoints });
        api.patch(
            &objects::slice_name(service),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .context("cannot change an EndpointSlice")?;
        Ok(())
    }

    /// Removes everything of this run. It can take the API server minutes.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        self.try_clear()
            .await
            .with_context(|| format!("cannot remove the objects; do it by: {}", self.by_hand()))
    }

    /// The command that does the same.
    pub(crate) fn by_hand(&self) -> String {
        format!("kubectl delete namespaces -l {LABEL}={}", self.prefix)
    }

    async fn try_clear(&self) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let ours = ListParams::default().labels(&format!("{LABEL}={}", self.prefix));
        let names: Vec<String> = namespaces
            .list(&ours)
            .await?
            .iter()
            .map(kube::ResourceExt::name_any)
            .collect();
        for name in &names {
            // At once, since nobody runs them: it spares the controllers the wait.
            let pods: Api<Pod> = self.api(name);
            let how = DeleteParams::default().grace_period(0);
            pods.delete_collection(&how, &ListParams::default()).await?;
            match namespaces.delete(name, &DeleteParams::background()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                // It is on its way.
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                result => drop(result?),
            }
        }
        let end = Instant::now() + self.limit;
        loop {
            let left = namespaces.list_metadata(&ours).await?.items.len();
            if left == 0 {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("{left} namespaces are still there after {:?}", self.limit);
            }
            sleep(LOOK).await;
        }
    }
}

async fn create<K>(api: Api<K>, object: Value) -> anyhow::Result<K>
where
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let name = object
        .pointer("/metadata/name")
        .map_or_else(String::new, ToString::to_string);
    let object: K = serde_json::from_value(object)?;
    let made = api.create(&PostParams::default(), &object).await;
    made.with_context(|| format!("cannot create {name}"))
}
