//! The tour: each step changes something, asks, looks, and says PASS or FAIL, while traffic flows
//! through all of it.

mod faults;
mod resilience;
mod routing;
mod security;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use mesh_api::v1::ControlPlaneStatus;
use mesh_proxy::telemetry::Edge;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{LiveConfig, Sample, Target, Targets, Traffic, traffic, workload};
use crate::call::{Admin, Answer, Caller};
use crate::output::{count, say};
use crate::state::{MeshRecord, WorkloadRecord};

/// No step takes so long.
const STEP_LIMIT: Duration = Duration::from_secs(90);
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(20);
/// Requests of a step that are under way at once.
const PARALLEL: usize = 4;

const DETAILS: Target = Target {
    path: "/api/v1/products/0",
    user: None,
};
const REVIEWS: Target = Target {
    path: "/api/v1/products/0/reviews",
    user: None,
};
const PAGE: Target = Target {
    path: "/productpage",
    user: None,
};

/// What the traffic asks for; no step may make any of it fail.
pub(super) const EVERYTHING: Targets = Targets {
    list: &[DETAILS, REVIEWS, PAGE],
    forgiving: false,
};
/// While a step makes calls to reviews fail on purpose.
const WITHOUT_REVIEWS: Targets = Targets {
    list: &[DETAILS],
    forgiving: false,
};

/// The live files that steps replace.
const REVIEWS_FILE: &str = "reviews.yaml";
const RATINGS_FILE: &str = "ratings.yaml";
const MTLS_FILE: &str = "mtls.yaml";
const AUTHZ_FILE: &str = "authz.yaml";
const BROKEN_FILE: &str = "broken.yaml";

/// A tour of a running sample.
#[derive(Debug)]
pub struct Tour {
    gateway: SocketAddr,
    live: LiveConfig,
    record: watch::Receiver<MeshRecord>,
    traffic: Traffic,
    number: usize,
    failed: usize,
}

/// What `GET /api/v1/products/0/reviews` says of who has answered.
#[derive(Debug, Deserialize)]
struct ReviewsAnswer {
    podname: String,
}

// === impl Tour ===

impl Tour {
    /// A tour of the sample behind this gateway; its traffic begins to flow.
    pub fn new(gateway: SocketAddr, live: LiveConfig, record: watch::Receiver<MeshRecord>) -> Self {
        let traffic = Traffic::start(gateway, EVERYTHING, 3, Duration::from_millis(60));
        Self {
            gateway,
            live,
            record,
            traffic,
            number: 0,
            failed: 0,
        }
    }

    /// Takes all steps and prints them. True if all passed and no request of the traffic failed.
    pub async fn run(mut self) -> bool {
        routing::steps(&mut self).await;
        faults::steps(&mut self).await;
        security::steps(&mut self).await;
        resilience::steps(&mut self).await;
        for failure in self.traffic.failures() {
            say(format_args!("failed request: {failure}"));
        }
        let (sent, failed) = (self.traffic.sent(), self.traffic.failed());
        let verdict = if self.failed == 0 && failed == 0 {
            "PASS"
        } else {
            "FAIL"
        };
        let forgiven = match self.traffic.forgiven() {
            0 => String::new(),
            number => format!(" ({number} more before the killed process was ejected)"),
        };
        say(format_args!(
            "{verdict}: {} of {} passed; traffic: {} sent, {failed} failed{forgiven}",
            self.number - self.failed,
            count(u64::try_from(self.number).unwrap_or_default(), "step"),
            count(sent, "request")
        ));
        verdict == "PASS"
    }

    /// Takes one step: prints what is asked, what was seen, and the verdict.
    async fn step(
        &mut self,
        title: &str,
        asked: &str,
        look: impl AsyncFnOnce(&Self) -> anyhow::Result<String>,
    ) {
        self.number += 1;
        say(format_args!("{}. {title}\n   asked: {asked}", self.number));
        let before = self.traffic.failed();
        let outcome = match timeout(STEP_LIMIT, look(self)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("the step took longer than {STEP_LIMIT:?}")),
        };
        let lost = self.traffic.failed() - before;
        match outcome {
            Ok(seen) if lost == 0 => say(format_args!("   seen:  {seen}\n   PASS")),
            Ok(seen) => {
                self.failed += 1;
                say(format_args!(
                    "   seen:  {seen}, but {} of the traffic failed\n   FAIL",
                    count(lost, "request")
                ));
            }
            Err(error) => {
                self.failed += 1;
                say(format_args!("   seen:  {error:#}\n   FAIL"));
            }
        }
    }

    /// Puts files of the tour (or none) in the place of live files, and waits until all proxies
    /// run that.
    async fn apply(&self, changes: &[(&str, Option<&str>)]) -> anyhow::Result<ControlPlaneStatus> {
        let mut texts = Vec::new();
        for (file, step) in changes {
            let text = match step {
                Some(step) => Some(
                    Sample::step(step).with_context(|| format!("the sample has no step {step}"))?,
                ),
                None => None,
            };
            texts.push((*file, text));
        }
        Ok(self.live.apply(&texts).await?)
    }

    /// Who answers so many requests for reviews through the gateway.
    async fn reviewers(
        &self,
        user: Option<&'static str>,
        requests: usize,
    ) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut by = BTreeMap::new();
        let mut tasks = JoinSet::new();
        let gateway = self.gateway;
        for number in 0..requests {
            if number >= PARALLEL {
                take_reviewer(&mut tasks, &mut by).await?;
            }
            tasks.spawn(async move { Ok(traffic::get(gateway, REVIEWS.path, user).await?) });
        }
        while !tasks.is_empty() {
            take_reviewer(&mut tasks, &mut by).await?;
        }
        Ok(by)
    }

    fn workload(&self, name: &str) -> anyhow::Result<WorkloadRecord> {
        workload(&self.record, name)
    }

    /// Sends requests as a workload.
    fn caller(&self, name: &str) -> anyhow::Result<Caller> {
        let workload = self.workload(name)?;
        let record = self.record.borrow().clone();
        Ok(Caller::new(&record, &workload)?)
    }

    fn proxy(&self, name: &str) -> anyhow::Result<Admin> {
        let workload = self.workload(name)?;
        Ok(Admin::new(
            format!("the proxy of {}", workload.name),
            &workload.admin,
        ))
    }

    /// Requests that a workload's own proxy has counted as coming in.
    async fn received(&self, name: &str) -> anyhow::Result<u64> {
        let edges: Vec<Edge> = self.proxy(name)?.get("/v1/edges").await?;
        Ok(edges
            .iter()
            .filter(|edge| edge.reporter == "destination")
            .map(|edge| edge.count)
            .sum())
    }

    /// Waits until a workload's proxy has counted at least so many.
    async fn receives(&self, name: &str, at_least: u64) -> anyhow::Result<u64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.received(name).await?;
            if received >= at_least {
                return Ok(received);
            }
            ensure!(
                Instant::now() < deadline,
                "the sidecar of {name} has counted {received} requests after {PATIENCE:?}, at least {at_least} were expected"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the record of the mesh is as wished.
    async fn record_when(
        &self,
        what: &str,
        wish: impl Fn(&MeshRecord) -> bool,
    ) -> anyhow::Result<()> {
        let mut record = self.record.clone();
        match timeout(PATIENCE, record.wait_for(|record| wish(record))).await {
            Ok(changed) => changed.map(|_| ()).context("the mesh has stopped"),
            Err(_) => bail!("{what} did not happen within {PATIENCE:?}"),
        }
    }
}

async fn take_reviewer(
    tasks: &mut JoinSet<anyhow::Result<Answer>>,
    by: &mut BTreeMap<String, usize>,
) -> anyhow::Result<()> {
    let Some(answer) = tasks.join_next().await else {
        return Ok(());
    };
    let answer = answer??;
    ensure!(
        answer.status.is_success(),
        "{} {} for {}",
        answer.status,
        answer.header("x-mesh-reason"),
        REVIEWS.path
    );
    let reviews: ReviewsAnswer =
        serde_json::from_slice(&answer.body).context("the answer is no list of reviews")?;
    *by.entry(reviews.podname).or_default() += 1;
    Ok(())
}

/// `20 from reviews-v1, 3 from reviews-v3`.
fn told(by: &BTreeMap<String, usize>) -> String {
    by.iter()
        .map(|(name, number)| format!("{number} from {name}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `revision 4 on 7 proxies`.
fn in_force(status: &ControlPlaneStatus) -> String {
    format!("revision {} on {} proxies", status.revision, status.current)
}
