//! The tour: each step changes something, asks, looks, and says PASS or FAIL, while traffic flows
//! through all of it.

mod faults;
mod resilience;
mod routing;
mod security;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use mesh_proxy::telemetry::Edge;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{Get, Ground, InForce, Sample, Target, Targets, Traffic, traffic};
use crate::call::Answer;
use crate::output::{count, say};

const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for one answer; the sample's delay is 7 s.
const CALL_PATIENCE: Duration = Duration::from_secs(20);
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

/// A tour of a running sample.
#[derive(Debug)]
pub struct Tour<G> {
    ground: G,
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

impl<G: Ground> Tour<G> {
    /// A tour of the sample that runs there; its traffic begins to flow.
    pub fn new(ground: G) -> Self {
        let pause = Duration::from_millis(60);
        Self {
            traffic: Traffic::start(ground.gateway(), EVERYTHING, 3, pause),
            ground,
            number: 0,
            failed: 0,
        }
    }

    /// Takes all steps and prints them. True if all passed and no request of the traffic failed.
    pub async fn run(&mut self) -> bool {
        routing::steps(self).await;
        faults::steps(self).await;
        security::steps(self).await;
        resilience::steps(self).await;
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

    /// Takes away what the tour has put there, also when it was broken off.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub async fn clean_up(&self) -> anyhow::Result<()> {
        self.ground.clean_up().await
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
        let limit = self.ground.words().step;
        let outcome = match timeout(limit, look(self)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("the step took longer than {limit:?}")),
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
    async fn apply(&self, changes: &[(&str, Option<&str>)]) -> anyhow::Result<InForce> {
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
        self.ground.apply(&texts).await
    }

    /// Who answers so many requests for reviews through the gateway.
    async fn reviewers(
        &self,
        user: Option<&'static str>,
        requests: usize,
    ) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut by = BTreeMap::new();
        let mut tasks = JoinSet::new();
        let gateway = self.ground.gateway().clone();
        for number in 0..requests {
            if number >= PARALLEL {
                take_reviewer(&mut tasks, &mut by).await?;
            }
            let gateway = gateway.clone();
            tasks.spawn(async move { Ok(traffic::get(&gateway, REVIEWS.path, user).await?) });
        }
        while !tasks.is_empty() {
            take_reviewer(&mut tasks, &mut by).await?;
        }
        Ok(by)
    }

    /// Sends a request as a workload.
    async fn get_as(
        &self,
        workload: &str,
        url: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let timeout = CALL_PATIENCE;
        let request = Get {
            url,
            headers,
            timeout,
        };
        self.ground.get_as(workload, &request).await
    }

    /// Requests that a workload's own proxies have counted as coming in.
    async fn received(&self, name: &str) -> anyhow::Result<u64> {
        let mut received = 0;
        for proxy in self.ground.proxies_of(name).await? {
            let edges: Vec<Edge> = proxy.get("/v1/edges").await?;
            received += edges
                .iter()
                .filter(|edge| edge.reporter == "destination")
                .map(|edge| edge.count)
                .sum::<u64>();
        }
        Ok(received)
    }

    /// Waits until a workload's proxies have counted at least so many.
    async fn receives(&self, name: &str, at_least: u64) -> anyhow::Result<u64> {
        let patience = self.ground.words().patience;
        let deadline = Instant::now() + patience;
        loop {
            let received = self.received(name).await?;
            if received >= at_least {
                return Ok(received);
            }
            ensure!(
                Instant::now() < deadline,
                "the sidecar of {name} has counted {received} requests after {patience:?}, at least {at_least} were expected"
            );
            tokio::time::sleep(PAUSE).await;
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
    *by.entry(version(&reviews.podname)).or_default() += 1;
    Ok(())
}

/// Pods may be called after their Deployment with more behind it: `reviews-v1-6c9d-x7k` is of
/// `reviews-v1`.
fn version(podname: &str) -> String {
    let mut parts = podname.splitn(3, '-');
    match (parts.next(), parts.next()) {
        (Some(app), Some(version)) => format!("{app}-{version}"),
        _ => podname.to_owned(),
    }
}

/// `20 from reviews-v1, 3 from reviews-v3`.
fn told(by: &BTreeMap<String, usize>) -> String {
    by.iter()
        .map(|(name, number)| format!("{number} from {name}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_known_by_their_pods() {
        for (pod, wanted) in [
            ("reviews-v1", "reviews-v1"),
            ("reviews-v3-6c9dd7d8f-x7k2p", "reviews-v3"),
            ("reviews", "reviews"),
        ] {
            assert_eq!(version(pod), wanted);
        }
    }
}
