//! The first load, and what does not work.

use mesh_api::v1::{Origin, Problem, Severity};
use tokio::sync::oneshot;

use super::kinds::Role;
use super::watch::{Failure, WatchId};
use super::{Followed, Source};
use crate::clock;
use crate::publish::{Message, Stopped};

/// How far the first load is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Everything that the API server had at the start is published.
    pub(crate) synced: bool,
    /// What is still missing before, in words.
    pub(crate) missing: Vec<String>,
}

// === impl Source ===

impl Source {
    pub(super) fn is_synced(&self) -> bool {
        self.progress.borrow().synced
    }

    pub(super) fn show_progress(&self) {
        let missing = self.followed.iter().filter_map(Followed::missing).collect();
        self.progress.send_if_modified(|progress| {
            let modified = !progress.synced && progress.missing != missing;
            if modified {
                progress.missing = missing;
            }
            modified
        });
    }

    /// Passes a part of the first load on. It is not published alone.
    pub(super) async fn load(&mut self) -> Result<(), Stopped> {
        let edit = self.changes().into();
        self.config.send(Message::Load(edit)).await
    }

    /// Publishes the first load once it is complete.
    pub(super) async fn first_sync(&mut self) -> Result<(), Stopped> {
        if self.is_synced() {
            return Ok(());
        }
        self.show_progress();
        if !self.progress.borrow().missing.is_empty() {
            return Ok(());
        }
        self.load().await?;
        self.config.send(Message::Loaded).await?;
        let (done, published) = oneshot::channel();
        self.flush(Some(done)).await?;
        published.await.map_err(|_| Stopped)?;
        let took = clock::instant().saturating_duration_since(self.begun);
        self.metrics.synced(took);
        tracing::info!(
            seconds = took.as_secs_f64(),
            "everything on the API server is known"
        );
        self.progress.send_modify(|progress| progress.synced = true);
        Ok(())
    }

    /// A watch does not work: what it has told stays in force.
    pub(super) async fn failing(&mut self, id: WatchId, failure: Failure) -> Result<(), Stopped> {
        let Some(followed) = self.followed.get_mut(id) else {
            return Ok(());
        };
        self.metrics.failed(followed.watched.kind.plural);
        if followed.failure.as_ref() == Some(&failure) {
            return Ok(());
        }
        let what = followed.watched.words();
        let reason = &failure.reason;
        let refused = failure.forbidden.then(|| followed.refusal(reason));
        if failure.forbidden {
            tracing::warn!("may not watch {what}: {reason}");
        } else if !std::mem::replace(&mut self.unreachable, true) {
            tracing::warn!(
                "cannot watch {what}: {reason}; what is known stays in force, trying again"
            );
        } else {
            tracing::debug!("cannot watch {what}: {reason}");
        }
        followed.failure = Some(failure);
        let troubled = Message::Trouble {
            key: trouble(id),
            problem: refused.map(Box::new),
        };
        self.config.send(troubled).await
    }

    /// A watch works.
    pub(super) async fn recovered(&mut self, id: WatchId) -> Result<(), Stopped> {
        let Some(followed) = self.followed.get_mut(id) else {
            return Ok(());
        };
        let Some(failure) = followed.failure.take() else {
            return Ok(());
        };
        let what = followed.watched.words();
        if failure.forbidden {
            tracing::info!("watching {what} now");
            let key = trouble(id);
            let resolved = Message::Trouble { key, problem: None };
            return self.config.send(resolved).await;
        }
        let fails = |followed: &Followed| {
            followed
                .failure
                .as_ref()
                .is_some_and(|failure| !failure.forbidden)
        };
        if self.unreachable && !self.followed.iter().any(fails) {
            self.unreachable = false;
            tracing::info!("the API server answers again");
        }
        Ok(())
    }
}

fn trouble(id: WatchId) -> String {
    format!("kubernetes: watch {id}")
}

// === impl Followed ===

impl Followed {
    /// Why the first load is not complete without it.
    fn missing(&self) -> Option<String> {
        if self.complete || self.unserved || self.watched.kind.role == Role::Definitions {
            return None;
        }
        let what = self.watched.words();
        match &self.failure {
            // A role without it was given on purpose, or the problem tells of it.
            Some(failure) if failure.forbidden && self.watched.kind.role != Role::Needed => None,
            Some(failure) => Some(format!("waiting for {what}: {}", failure.reason)),
            None => Some(format!("waiting for {what}")),
        }
    }

    fn refusal(&self, reason: &str) -> Problem {
        let what = self.watched.words();
        let plural = self.watched.kind.plural;
        let known = match self.complete {
            true => "what was known of them stays in force",
            false => "nothing is known of them",
        };
        let mut problem = Problem {
            origin: Some(Origin {
                source: "kubernetes".to_owned(),
                ..Origin::default()
            }),
            message: format!(
                "may not watch {what}: {known}; allow the control plane to get, list and watch {plural} ({reason})"
            ),
            code: "KubernetesForbidden".to_owned(),
            ..Problem::default()
        };
        problem.set_severity(match self.watched.kind.role {
            Role::Needed => Severity::Error,
            _ => Severity::Warning,
        });
        problem
    }
}
