//! Where a tour takes place. Its steps know no more of that than this.

mod broken;
mod cluster;
mod compose;
mod docker;
mod gateway;
mod laptop;

use std::fmt;
use std::time::Duration;

use mesh_api::v1::ControlPlaneStatus;

use super::Entrance;
use crate::call::{Admin, Answer};
use crate::target::Overview;

pub use cluster::ClusterGround;
pub use compose::ComposeGround;
pub use laptop::LaptopGround;

/// The workloads of Bookinfo, each with a sidecar.
pub const WORKLOADS: [&str; 6] = [
    "productpage-v1",
    "details-v1",
    "ratings-v1",
    "reviews-v1",
    "reviews-v2",
    "reviews-v3",
];

/// A place where Bookinfo runs in the mesh, and where things can be changed, asked and broken.
#[expect(
    async_fn_in_trait,
    reason = "a tour is one task, so nobody needs its futures to be Send"
)]
pub trait Ground {
    /// What it is called here.
    fn words(&self) -> Words;

    /// Where clients outside of the mesh find the gateway.
    fn gateway(&self) -> &Entrance;

    /// Puts texts, or nothing, in the place of what the slots of these names held, and waits
    /// until that is in force in every proxy.
    async fn apply(&self, changes: &[(&str, Option<&str>)]) -> anyhow::Result<InForce>;

    /// Waits until every proxy runs what is configured now.
    async fn settle(&self) -> anyhow::Result<InForce>;

    /// Sends a request as a workload: through its sidecar, with its identity.
    async fn get_as(&self, workload: &str, request: &Get<'_>) -> anyhow::Result<Answer>;

    /// Sends a request in plain text, from outside of the mesh, straight to a workload's port.
    async fn get_outside(&self, workload: &str, port: u16, path: &str) -> anyhow::Result<Answer>;

    /// The proxies of a workload.
    async fn proxies_of(&self, workload: &str) -> anyhow::Result<Vec<Admin>>;

    /// All proxies of the sample, by name.
    async fn proxies(&self) -> anyhow::Result<Vec<(String, Admin)>>;

    /// Makes a mistake in the configuration, and gives what the mesh says of it.
    async fn make_mistake(&self) -> anyhow::Result<String>;

    /// Takes the mistake back.
    async fn take_back(&self) -> anyhow::Result<()>;

    /// Kills the control plane, waits for its return, and gives what was killed and what runs.
    async fn kill_control_plane(&self) -> anyhow::Result<String>;

    /// Kills the application of a workload, and returns when the mesh sends it nothing more.
    async fn kill_workload(&self, workload: &str) -> anyhow::Result<Killed>;

    /// Waits until what was killed runs again.
    async fn returned(&self, killed: &Killed) -> anyhow::Result<()>;

    /// Takes away what the tour has put there.
    async fn clean_up(&self) -> anyhow::Result<()>;
}

/// A request without body.
#[derive(Clone, Copy, Debug)]
pub struct Get<'a> {
    /// Where to.
    pub url: &'a str,
    /// More header fields.
    pub headers: &'a [(&'a str, &'a str)],
    /// Longest wait.
    pub timeout: Duration,
}

/// What differs in words and in time.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Title of the step with a mistake, and what is done in it.
    pub mistake: (&'static str, &'static str),
    /// How the control plane is killed.
    pub control_plane: &'static str,
    /// Title of the step in which an application is killed, and how.
    pub workload: (&'static str, &'static str),
    /// How long anything may take to come about.
    pub patience: Duration,
    /// How long a step may take.
    pub step: Duration,
}

/// What was killed.
#[derive(Clone, Debug)]
pub struct Killed {
    /// The workload.
    pub workload: String,
    /// What it was known by: a process, a pod, a container.
    pub id: String,
    /// `process 12 killed`.
    pub told: String,
}

/// A configuration that every proxy runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its number; none if several replicas of the control plane count for themselves.
    pub revision: Option<u64>,
    /// Proxies that run it.
    pub proxies: u32,
    /// Replicas of the control plane.
    pub replicas: usize,
}

// === impl InForce ===

impl From<&ControlPlaneStatus> for InForce {
    fn from(status: &ControlPlaneStatus) -> Self {
        Self {
            revision: Some(status.revision),
            proxies: status.current,
            replicas: 1,
        }
    }
}

impl From<&Overview> for InForce {
    fn from(overview: &Overview) -> Self {
        let status = overview.status.clone().unwrap_or_default();
        Self {
            revision: (overview.answering == 1).then_some(status.revision),
            proxies: status.current,
            replicas: overview.answering,
        }
    }
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision {
            Some(revision) => write!(f, "revision {revision} on {} proxies", self.proxies),
            None => write!(
                f,
                "in force on {} proxies of {} replicas",
                self.proxies, self.replicas
            ),
        }
    }
}
