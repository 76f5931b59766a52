//! Tells what the control plane makes of the configuration, whenever that changes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use mesh_api::v1::{ControlPlaneStatus, Problem, ProblemList, ProxySelf};
use meshd_core::ProblemLine;

use super::Notices;
use super::names::Names;
use crate::call::Admin;
use crate::state::WorkloadRecord;

/// A gateway whose troubles are told.
pub(super) struct Door {
    name: String,
    admin: Admin,
    known: BTreeSet<String>,
}

// === impl Door ===

impl Door {
    pub(super) fn new(record: &WorkloadRecord) -> Self {
        Self {
            name: record.name.clone(),
            admin: Admin::new(format!("the proxy of {}", record.name), &record.admin),
            known: BTreeSet::new(),
        }
    }

    /// Tells what is new. While the proxy is away there is nothing to tell.
    async fn look(&mut self, notices: &Notices) {
        let Ok(status) = self.admin.get::<ProxySelf>("/v1/status").await else {
            return;
        };
        let now: BTreeSet<String> = status.troubles.into_iter().collect();
        for trouble in now.difference(&self.known) {
            notices.warning(format!("{}: {trouble}", self.name));
        }
        if now.is_empty() && !self.known.is_empty() {
            notices.info(format!("{} serves all its ports", self.name));
        }
        self.known = now;
    }
}

const PAUSE: Duration = Duration::from_millis(250);

/// Runs until it is dropped.
pub(super) async fn watch_configuration(
    socket: PathBuf,
    mut doors: Vec<Door>,
    mut names: Names,
    notices: Notices,
) {
    let admin = Admin::new("the control plane", &socket);
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut last: Option<u64> = None;
    // A revision that is on its way to the proxies.
    let mut spreading = None;
    loop {
        // While the control plane is away there is nothing to tell.
        if let Ok(status) = admin.get::<ControlPlaneStatus>("/v1/status").await {
            if last.is_some_and(|revision| revision != status.revision) {
                spreading = Some(status.revision);
            }
            if spreading == Some(status.revision) && status.current == status.connected {
                notices.info(format!(
                    "revision {} runs on {} of {} proxies",
                    status.revision, status.current, status.connected
                ));
                spreading = None;
            }
            if last != Some(status.revision) {
                names.refresh(&admin, &notices).await;
                last = Some(status.revision);
            }
            // Problems change without a revision, too: what is in quarantine changes nothing.
            if let Ok(list) = admin.get::<ProblemList>("/v1/problems").await {
                let problems = list.problems.iter().map(line).collect::<BTreeSet<_>>();
                tell(&known, &problems, &notices);
                known = problems;
            }
        }
        for door in &mut doors {
            door.look(&notices).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn line(problem: &Problem) -> String {
    ProblemLine(problem).to_string()
}

fn tell(before: &BTreeSet<String>, now: &BTreeSet<String>, notices: &Notices) {
    for problem in now.difference(before) {
        notices.problem(problem);
    }
    let solved = before.difference(now).count();
    if solved > 0 && now.is_empty() {
        notices.info("the configuration has no problems any more");
    }
}
