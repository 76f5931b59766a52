//! A file with a mistake, where configuration is files.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use mesh_api::v1::{Problem, ProblemList};
use meshd_core::ProblemLine;
use tokio::time::Instant;

use crate::call::Admin;

/// Its name.
pub(super) const FILE: &str = "broken.yaml";
/// Its text: a bracket is missing.
pub(super) const TEXT: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: broken
spec:
  hosts: [reviews
  http: []
";
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the control plane reports the file with a line, and gives the report.
pub(super) async fn reported(admin: &Admin, patience: Duration) -> anyhow::Result<String> {
    let problem = problem(admin, true, patience).await?;
    let problem = problem.context("no problem was reported")?;
    Ok(ProblemLine(&problem).to_string())
}

/// Waits until it does no more.
pub(super) async fn forgotten(admin: &Admin, patience: Duration) -> anyhow::Result<()> {
    problem(admin, false, patience).await.map(|_| ())
}

async fn problem(
    admin: &Admin,
    wanted: bool,
    patience: Duration,
) -> anyhow::Result<Option<Problem>> {
    let deadline = Instant::now() + patience;
    loop {
        let list: ProblemList = admin.get("/v1/problems").await?;
        let here = |problem: &Problem| {
            problem
                .origin
                .as_ref()
                .is_some_and(|origin| origin.source.ends_with(FILE) && origin.line > 0)
        };
        let found = list.problems.into_iter().find(here);
        if found.is_some() == wanted {
            return Ok(found);
        }
        let what = if wanted { "reported" } else { "gone" };
        ensure!(
            Instant::now() < deadline,
            "the problem of {FILE} is not {what} after {patience:?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}
