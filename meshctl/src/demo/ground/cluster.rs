//! Bookinfo in a cluster: its objects, pods and commands inside of them.

mod answer;
mod objects;
mod outside;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::future::join_all;
use kube::api::DeleteParams;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::gateway::Gateway;
use super::{Get, Ground, InForce, Killed, WORKLOADS, Words};
use crate::call::{Admin, Answer};
use crate::cluster::{Asked, Cluster, PodInfo, PodKind};
use crate::demo::{Entrance, traffic};
use crate::target::{ControlPlane, Proxy, settle};

use objects::Objects;
use outside::Outside;

/// Images are there already, but a container takes seconds to start.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(200);
const ENTRANCE_PATIENCE: Duration = Duration::from_secs(20);
/// The sample's own client, in each of its images.
const CLIENT: &str = "/bookinfo";
/// What it takes to start it.
const START: Duration = Duration::from_secs(10);
const OUTSIDE_PATIENCE: Duration = Duration::from_secs(15);

/// Bookinfo in a namespace of a cluster.
#[derive(Debug)]
pub struct ClusterGround {
    cluster: Cluster,
    /// Its port-forward, if it has one.
    _gateway: Gateway,
    entrance: Entrance,
    objects: Mutex<Objects>,
    outside: Mutex<Option<Outside>>,
}

// === impl ClusterGround ===

impl ClusterGround {
    /// The Bookinfo in the namespace that the cluster's options name; the gateway at `gateway`, or
    /// where it is found. What the sample's `config/base` has and the cluster has not is added.
    ///
    /// # Errors
    /// If something of the sample is missing, or does not get ready.
    pub async fn open(cluster: Cluster, gateway: Option<&str>) -> anyhow::Result<Self> {
        let gateway = match gateway {
            Some(address) => Gateway::given(address).await?,
            None => Gateway::find(&cluster).await?,
        };
        let trust_domain = trust_domain(&cluster).await?;
        let objects = Objects::new(cluster.clone(), trust_domain);
        let mut ground = Self {
            cluster,
            entrance: Entrance::at(gateway.address),
            _gateway: gateway,
            objects: Mutex::new(objects),
            outside: Mutex::new(None),
        };
        ground.check_workloads().await?;
        {
            let mut objects = ground.objects.lock().await;
            objects.sweep().await?;
            objects.add_missing_base().await?;
        }
        ground.settle().await?;
        ground.enter().await?;
        Ok(ground)
    }

    /// Finds a way in that leads to this Bookinfo: that of its own Gateway, unless another one of
    /// the cluster has claimed all hosts before it; then by a host of its own.
    async fn enter(&mut self) -> anyhow::Result<()> {
        if self.leads_here().await? {
            return Ok(());
        }
        let host = format!("bookinfo.{}.example", self.cluster.namespace());
        self.objects.lock().await.add_entrance(&host).await?;
        self.entrance.host = Some(host.into());
        self.settle().await?;
        ensure!(
            self.leads_here().await?,
            "the gateway at {} leads to another Bookinfo than that of namespace {}",
            self.entrance,
            self.cluster.namespace()
        );
        Ok(())
    }

    async fn pods(&self) -> anyhow::Result<Vec<PodInfo>> {
        let namespace = self.cluster.namespace();
        Ok(self.cluster.list_pods(Some(namespace), "").await?)
    }

    /// The pods of a workload that have not ended and have a sidecar.
    async fn pods_of(&self, workload: &str) -> anyhow::Result<Vec<PodInfo>> {
        let mut pods = self.pods().await?;
        pods.retain(|pod| of(pod, workload) && pod.alive());
        Ok(pods)
    }

    async fn ready_pod(&self, workload: &str) -> anyhow::Result<PodInfo> {
        let pods = self.pods().await?;
        let asked = Asked::parse(&format!("deploy/{workload}"));
        Ok(crate::cluster::find(&pods, &asked)?.clone())
    }

    async fn check_workloads(&self) -> anyhow::Result<()> {
        let pods = self.pods().await?;
        let missing = WORKLOADS
            .iter()
            .filter(|workload| !pods.iter().any(|pod| of(pod, workload) && pod.ready))
            .copied()
            .collect::<Vec<_>>();
        ensure!(
            missing.is_empty(),
            "namespace {} of context `{}` has no ready pod with a sidecar of this mesh for {}: label the namespace (`kubectl label namespace {0} istio.io/rev=mesh`), apply the Bookinfo sample, and wait for its pods",
            self.cluster.namespace(),
            self.cluster.context(),
            missing.join(", ")
        );
        Ok(())
    }

    /// Waits until there is a page, and says whether it is of this namespace.
    async fn leads_here(&self) -> anyhow::Result<bool> {
        let deadline = Instant::now() + ENTRANCE_PATIENCE;
        loop {
            let answer = traffic::get(&self.entrance, "/productpage", None).await;
            let what = match answer {
                Ok(answer) if answer.status.is_success() => {
                    let served_by = answer.header("x-bookinfo-pod");
                    let pods = self.pods_of("productpage-v1").await?;
                    return Ok(pods.iter().any(|pod| pod.name == served_by));
                }
                Ok(answer) => format!("{} {}", answer.status, answer.header("x-mesh-reason")),
                Err(error) => error.to_string(),
            };
            ensure!(
                Instant::now() < deadline,
                "the gateway at {} does not serve /productpage: {what}",
                self.entrance
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn delete_at_once(&self, namespace: &str, pod: &str) -> anyhow::Result<()> {
        self.cluster
            .pods(namespace)
            .delete(pod, &DeleteParams::default().grace_period(0))
            .await
            .map_err(self.cluster.failed("delete", "pods", Some(namespace)))?;
        Ok(())
    }

    /// Waits until something is so.
    async fn until<T>(
        &self,
        what: &str,
        look: impl AsyncFn() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            ensure!(
                Instant::now() < deadline,
                "{what} did not happen within {PATIENCE:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn control_pods(&self) -> anyhow::Result<Vec<String>> {
        let control_plane = ControlPlane::in_cluster(&self.cluster).await?;
        Ok(control_plane
            .replicas
            .into_iter()
            .filter(|replica| replica.down.is_none())
            .map(|replica| replica.name)
            .collect())
    }

    /// Runs the sample's client in a pod.
    async fn client(
        &self,
        pod: &PodInfo,
        url: &str,
        headers: &[(&str, &str)],
        timeout: Duration,
    ) -> anyhow::Result<Answer> {
        let fields = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect::<Vec<_>>();
        let limit = timeout.as_millis().to_string();
        let mut command = vec![CLIENT, "call", "--timeout", &limit];
        for field in &fields {
            command.extend(["-H", field]);
        }
        command.push(url);
        let executed = self.cluster.execute(pod, &command, timeout + START);
        answer::read(&executed.await?)
    }
}

impl Ground for ClusterGround {
    fn words(&self) -> Words {
        Words {
            mistake: (
                "a broken object is refused with its field",
                "a VirtualService with a timeout that is none, to the API server and to `meshctl analyze`",
            ),
            control_plane: "all pods of meshd deleted without grace, then a change of the configuration",
            workload: (
                "the pod of one of three reviews is killed",
                "the pod of reviews-v2 deleted without grace",
            ),
            patience: PATIENCE,
            step: Duration::from_secs(300),
        }
    }

    fn gateway(&self) -> &Entrance {
        &self.entrance
    }

    async fn apply(&self, changes: &[(&str, Option<&str>)]) -> anyhow::Result<InForce> {
        self.objects.lock().await.apply(changes).await?;
        self.settle().await
    }

    async fn settle(&self) -> anyhow::Result<InForce> {
        Ok((&settle(&self.cluster, PATIENCE).await?).into())
    }

    async fn get_as(&self, workload: &str, request: &Get<'_>) -> anyhow::Result<Answer> {
        let pod = self.ready_pod(workload).await?;
        self.client(&pod, request.url, request.headers, request.timeout)
            .await
    }

    async fn get_outside(&self, workload: &str, port: u16, path: &str) -> anyhow::Result<Answer> {
        let to = self.ready_pod(workload).await?;
        let address = to.address.context("the pod has no address")?;
        let mut outside = self.outside.lock().await;
        let outside = match &mut *outside {
            Some(outside) => outside,
            none => none.insert(Outside::create(&self.cluster, &to.image).await?),
        };
        let url = format!("http://{}{path}", SocketAddr::new(address, port));
        self.client(outside.pod(), &url, &[], OUTSIDE_PATIENCE)
            .await
    }

    async fn proxies_of(&self, workload: &str) -> anyhow::Result<Vec<Admin>> {
        let pods = self.pods_of(workload).await?;
        let proxies = pods
            .iter()
            .filter_map(|pod| Proxy::in_pod(&self.cluster, pod));
        Ok(proxies.map(|proxy| proxy.admin).collect())
    }

    async fn proxies(&self) -> anyhow::Result<Vec<(String, Admin)>> {
        let pods = self.cluster.list_pods(None, "").await?;
        let ours = pods.iter().filter(|pod| {
            pod.alive()
                && (WORKLOADS.iter().any(|workload| of(pod, workload))
                    && pod.namespace == self.cluster.namespace()
                    || pod.kind == PodKind::Gateway)
        });
        let proxies = ours.filter_map(|pod| Proxy::in_pod(&self.cluster, pod));
        Ok(proxies.map(|proxy| (proxy.name, proxy.admin)).collect())
    }

    async fn make_mistake(&self) -> anyhow::Result<String> {
        self.objects.lock().await.refused().await
    }

    async fn take_back(&self) -> anyhow::Result<()> {
        // It never got in.
        Ok(())
    }

    async fn kill_control_plane(&self) -> anyhow::Result<String> {
        let old = self.control_pods().await?;
        ensure!(!old.is_empty(), "no pod of meshd runs");
        let namespace = self.cluster.mesh_namespace();
        let deleted = join_all(old.iter().map(|pod| self.delete_at_once(namespace, pod))).await;
        deleted.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
        let new = self
            .until("the return of meshd", async || {
                let new = self.control_pods().await?;
                let fresh = new.iter().all(|pod| !old.contains(pod));
                Ok((fresh && new.len() >= old.len()).then_some(new))
            })
            .await?;
        Ok(format!(
            "{} killed, {} runs",
            old.join(" and "),
            new.join(" and ")
        ))
    }

    async fn kill_workload(&self, workload: &str) -> anyhow::Result<Killed> {
        let old = self.ready_pod(workload).await?;
        self.delete_at_once(&old.namespace, &old.name).await?;
        self.until(&format!("the end of {}", old.name), async || {
            let pods = self.pods_of(workload).await?;
            Ok(pods.iter().all(|pod| pod.name != old.name).then_some(()))
        })
        .await?;
        // The control plane has seen that it is gone, and told everybody.
        self.settle().await?;
        Ok(Killed {
            workload: workload.to_owned(),
            told: format!("pod {} killed", old.name),
            id: old.name,
        })
    }

    async fn returned(&self, killed: &Killed) -> anyhow::Result<()> {
        let what = format!("the return of {}", killed.workload);
        self.until(&what, async || {
            let pods = self.pods_of(&killed.workload).await?;
            let back = pods.iter().any(|pod| pod.ready && pod.name != killed.id);
            Ok(back.then_some(()))
        })
        .await
    }

    async fn clean_up(&self) -> anyhow::Result<()> {
        if let Some(outside) = self.outside.lock().await.take() {
            outside.remove(&self.cluster).await?;
        }
        self.objects.lock().await.sweep().await
    }
}

/// Whether a pod with a sidecar is of the Deployment of a workload.
fn of(pod: &PodInfo, workload: &str) -> bool {
    pod.kind == PodKind::Sidecar && pod.controller.1 == workload
}

async fn trust_domain(cluster: &Cluster) -> anyhow::Result<String> {
    let reports = ControlPlane::in_cluster(cluster).await?.reports().await;
    let mut errors = Vec::new();
    for report in reports {
        match (report.status, report.error) {
            (Some(status), _) => return Ok(status.trust_domain),
            (None, error) => errors.extend(error),
        }
    }
    bail!("the control plane does not answer: {}", errors.join("; "))
}
