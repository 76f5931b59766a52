//! Which applications listen, and what the control plane is told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::listening::wait_listening;
use crate::state::WorkloadRecord;
use crate::world::Health;

/// An application that does not listen after this time is reported.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked while it is awaited, and after.
const PAUSE: Duration = Duration::from_millis(10);
const LATE_PAUSE: Duration = Duration::from_millis(500);

/// What a look at an application found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// The workload.
    pub(super) name: String,
    /// The process that was looked at.
    pub(super) pid: u32,
    /// Whether all its ports are listened on; false only once, after the patience is over.
    pub(super) listens: bool,
}

/// State of one application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AppState {
    /// Started, not listening yet.
    Starting,
    /// All ports are listened on.
    Listening,
    /// Ended, or does not listen for too long.
    Down,
}

/// Watches all applications that the mesh has started.
#[derive(Debug)]
pub(super) struct Watch {
    sightings: mpsc::UnboundedSender<Sighting>,
    tasks: JoinSet<()>,
    apps: BTreeMap<String, (u32, AppState)>,
}

// === impl Watch ===

impl Watch {
    pub(super) fn new(sightings: mpsc::UnboundedSender<Sighting>) -> Self {
        Self {
            sightings,
            tasks: JoinSet::new(),
            apps: BTreeMap::new(),
        }
    }

    /// An application runs: looks until it listens.
    pub(super) fn started(&mut self, record: &WorkloadRecord, pid: u32) {
        let ports = record
            .ports
            .iter()
            .map(|port| port.listen.port())
            .collect::<Vec<_>>();
        let name = record.name.clone();
        // One that was down stays so until it listens.
        let state = match self.apps.get(&name) {
            Some((_, AppState::Down)) => AppState::Down,
            _ => AppState::Starting,
        };
        self.apps.insert(name.clone(), (pid, state));
        let sightings = self.sightings.clone();
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(async move {
            let see = |listens| {
                sightings.send(Sighting {
                    name: name.clone(),
                    pid,
                    listens,
                })
            };
            // A receiver that is gone ends this by the abort of its owner.
            let deadline = Instant::now() + PATIENCE;
            let mut listens = wait_listening(pid, &ports, PAUSE, Some(deadline)).await;
            if !listens && see(false).is_ok() {
                listens = wait_listening(pid, &ports, LATE_PAUSE, None).await;
            }
            if listens {
                let _ = see(true);
            }
        });
    }

    /// An application ended, or could not be started at all. True if that is news.
    pub(super) fn ended(&mut self, name: &str) -> bool {
        if !self.apps.contains_key(name) {
            // No process has this id.
            self.apps.insert(name.to_owned(), (0, AppState::Down));
            return true;
        }
        self.change(name, AppState::Down)
    }

    /// Something was seen. The new health if it changed.
    pub(super) fn seen(&mut self, sighting: &Sighting) -> Option<Health> {
        let current = self
            .apps
            .get(&sighting.name)
            .is_some_and(|(pid, _)| *pid == sighting.pid);
        if !current {
            return None;
        }
        let before = self.state(&sighting.name);
        let state = if sighting.listens {
            AppState::Listening
        } else {
            AppState::Down
        };
        self.change(&sighting.name, state);
        match (before, state) {
            (Some(AppState::Down), AppState::Listening) => Some(Health::Healthy),
            (Some(AppState::Starting | AppState::Listening), AppState::Down) => {
                Some(Health::Unhealthy)
            }
            _ => None,
        }
    }

    /// Whether nothing is to be waited for.
    pub(super) fn settled(&self) -> bool {
        self.apps
            .values()
            .all(|(_, state)| *state != AppState::Starting)
    }

    /// Applications that do not listen.
    pub(super) fn down(&self) -> Vec<&str> {
        let down = self
            .apps
            .iter()
            .filter(|(_, (_, state))| *state == AppState::Down);
        down.map(|(name, _)| name.as_str()).collect()
    }

    fn state(&self, name: &str) -> Option<AppState> {
        self.apps.get(name).map(|(_, state)| *state)
    }

    fn change(&mut self, name: &str, to: AppState) -> bool {
        self.apps
            .get_mut(name)
            .is_some_and(|(_, state)| std::mem::replace(state, to) != to)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::PathBuf;

    use super::*;
    use crate::state::{PortRecord, WorkloadKind};

    fn record(listen: std::net::SocketAddr) -> WorkloadRecord {
        WorkloadRecord {
            name: "default/a".to_owned(),
            kind: WorkloadKind::Sidecar,
            service_account: "default".to_owned(),
            labels: BTreeMap::new(),
            address: "127.64.0.2".parse().unwrap(),
            ports: vec![PortRecord {
                name: "http".to_owned(),
                port: 80,
                listen,
            }],
            explicit_proxy: None,
            admin: PathBuf::new(),
            log: None,
            proxy_pid: None,
            app_pid: None,
            netns: None,
            hosts: None,
        }
    }

    #[tokio::test]
    async fn an_application_that_comes_back_is_healthy_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let record = record(listener.local_addr().unwrap());
        let pid = std::process::id();
        let (sender, mut sightings) = mpsc::unbounded_channel();
        let mut watch = Watch::new(sender);

        watch.started(&record, pid);
        assert!(!watch.settled());
        let first = sightings.recv().await.unwrap();
        assert_eq!(watch.seen(&first), None);
        assert!(watch.settled() && watch.down().is_empty());

        assert!(watch.ended("default/a"));
        assert!(!watch.ended("default/a"));
        assert_eq!(watch.down(), ["default/a"]);
        watch.started(&record, pid);
        let second = sightings.recv().await.unwrap();
        assert_eq!(
            watch.seen(&Sighting {
                pid: pid + 1,
                ..second.clone()
            }),
            None
        );
        assert_eq!(watch.seen(&second), Some(Health::Healthy));
        assert!(watch.down().is_empty());
    }

    #[tokio::test]
    async fn one_that_cannot_be_started_is_down() {
        let (sender, _sightings) = mpsc::unbounded_channel();
        let mut watch = Watch::new(sender);
        assert!(watch.ended("default/a"));
        assert!(!watch.ended("default/a"));
        assert_eq!(watch.down(), ["default/a"]);
    }

    #[test]
    fn one_that_never_listens_is_down() {
        let (sender, _sightings) = mpsc::unbounded_channel();
        let mut watch = Watch::new(sender);
        watch
            .apps
            .insert("default/a".to_owned(), (7, AppState::Starting));
        let sighting = Sighting {
            name: "default/a".to_owned(),
            pid: 7,
            listens: false,
        };
        assert_eq!(watch.seen(&sighting), Some(Health::Unhealthy));
        assert_eq!(watch.seen(&sighting), None);
    }
}
