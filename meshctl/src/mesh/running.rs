//! The life of a mesh.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::configuration::{Door, watch_configuration};
use super::health::{Sighting, Watch};
use super::names::Names;
use super::prepare::{Held, Joins, Prepared};
use super::{MeshPlan, Notices, programs};
use crate::netns::{WorkloadNs, forward};
use crate::process::{Event, FIRST_PAUSE, Role, Supervisor, Tail, What, tail};
use crate::state::{MeshRecord, RecordError, WorkloadKind, WorkloadRecord};
use crate::world::{self, Health};

/// How long the control plane and then the proxies may take to serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mesh whose processes run as long as this is driven with [`Running::keep`].
#[derive(Debug)]
pub struct Running {
    plan: MeshPlan,
    record: watch::Sender<MeshRecord>,
    supervisor: Supervisor,
    events: mpsc::UnboundedReceiver<Event>,
    sightings: mpsc::UnboundedReceiver<Sighting>,
    apps: Watch,
    /// Names of processes that serve; the control plane's is the empty one.
    ready: BTreeSet<String>,
    namespaces: BTreeMap<String, WorkloadNs>,
    forwards: Vec<(TcpListener, SocketAddr)>,
    joins: Joins,
    notices: Notices,
    tasks: JoinSet<()>,
    /// Whether the record is on disk and changes of it belong there.
    published: bool,
    _held: Held,
}

/// Why a mesh did not come to serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The control plane ended or does not serve.
    #[error("the control plane did not start\n{0}")]
    ControlPlane(Tail),
    /// Proxies do not serve.
    #[error("not ready within {PATIENCE:?}: {names}\n{tail}")]
    Proxies {
        /// Workloads of the proxies.
        names: String,
        /// Log of the first.
        tail: Tail,
    },
    /// The record cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

// === impl Running ===

impl Running {
    /// A mesh of which nothing runs yet.
    pub fn new(prepared: Prepared, notices: Notices) -> Self {
        let Prepared {
            plan,
            records,
            namespaces,
            forwards,
            joins,
            held,
        } = prepared;
        let (supervisor, events) = Supervisor::new();
        let (sender, sightings) = mpsc::unbounded_channel();
        let record = MeshRecord {
            pid: std::process::id(),
            mesh: plan.mesh.path.clone(),
            config: plan.config.clone(),
            capture: plan.capture,
            trust_domain: plan.mesh.trust_domain.to_string(),
            control_plane_admin: plan.state.control_plane_admin_socket(),
            control_plane_pid: None,
            workloads: records,
        };
        Self {
            plan,
            record: watch::Sender::new(record),
            supervisor,
            events,
            sightings,
            apps: Watch::new(sender),
            ready: BTreeSet::new(),
            namespaces,
            forwards,
            joins,
            notices,
            tasks: JoinSet::new(),
            published: false,
            _held: held,
        }
    }

    /// Starts everything and waits until it serves: the control plane, every proxy, and every
    /// application that does not fail. One that fails is told about and does not stop the rest.
    /// Whether this ends or is dropped, [`Running::stop`] has to follow some time.
    ///
    /// # Errors
    /// If the control plane or a proxy does not come to serve.
    pub async fn bring_up(&mut self) -> Result<(), StartError> {
        for (listener, to) in self.forwards.drain(..) {
            self.tasks.spawn(async move {
                // It ends with its task; a listener that was bound can be polled.
                let _ = forward(listener, to).await;
            });
        }
        let deadline = Instant::now() + PATIENCE;
        self.supervisor.start(programs::control_plane(&self.plan));
        let records = self.record.borrow().workloads.clone();
        for workload in self
            .plan
            .mesh
            .workloads
            .iter()
            .filter(|w| !w.command.is_empty())
        {
            let name = workload.name.to_string();
            if let Some(record) = records.iter().find(|record| record.name == name) {
                let namespace = self.namespaces.get(&name).cloned();
                self.supervisor
                    .start(programs::app(&self.plan.state, workload, record, namespace));
            }
        }
        let control_plane_log = self.plan.state.logs().join("meshd.log");
        while !self.ready.contains("") {
            let ended = match timeout_at(deadline, self.step()).await {
                Ok(event) => event.is_some_and(|role| role == Role::ControlPlane),
                Err(_) => true,
            };
            if ended {
                return Err(StartError::ControlPlane(tail(&control_plane_log)));
            }
        }
        let admin = self.record.borrow().control_plane_admin.clone();
        let names = Names::new(self.namespaces.clone());
        let doors = records
            .iter()
            .filter(|record| record.kind == WorkloadKind::Gateway)
            .map(Door::new)
            .collect();
        self.tasks.spawn(watch_configuration(
            admin,
            doors,
            names,
            self.notices.clone(),
        ));
        for record in &records {
            let namespace = self.namespaces.get(&record.name).cloned();
            self.supervisor
                .start(programs::proxy(&self.plan.state, record, namespace));
        }
        while self.ready.len() <= records.len() || !self.apps.settled() {
            if timeout_at(deadline, self.step()).await.is_err() {
                return Err(self.late(&records));
            }
        }
        self.published = true;
        self.record.borrow().write(&self.plan.state)?;
        Ok(())
    }

    fn late(&self, records: &[WorkloadRecord]) -> StartError {
        let late = records
            .iter()
            .filter(|record| !self.ready.contains(&record.name))
            .collect::<Vec<_>>();
        let names = late
            .iter()
            .map(|record| record.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let log = late.first().map(|record| {
            programs::ProxyFiles::new(&self.plan.state, record)
                .dir
                .join("log")
        });
        StartError::Proxies {
            names,
            tail: tail(&log.unwrap_or_default()),
        }
    }

    /// What runs, as it changes.
    pub fn record(&self) -> watch::Receiver<MeshRecord> {
        self.record.subscribe()
    }

    /// Workloads whose application does not listen now.
    pub fn down(&self) -> Vec<String> {
        self.apps
            .down()
            .into_iter()
            .map(ToOwned::to_owned)
            .collect()
    }

    /// Where clients outside of the mesh reach the gateways.
    pub fn gateways(&self) -> Vec<(String, SocketAddr)> {
        let record = self.record.borrow();
        let gateways = record
            .workloads
            .iter()
            .filter(|workload| workload.kind == WorkloadKind::Gateway);
        gateways
            .flat_map(|g| g.ports.iter().map(|port| (g.name.clone(), port.listen)))
            .collect()
    }

    /// Makes [`Running::stop`] use SIGKILL from now on.
    pub fn kill_token(&self) -> CancellationToken {
        self.supervisor.kill_token()
    }

    /// Tells what happens and keeps the record and the derived objects true. Ends only by being
    /// dropped, which loses nothing.
    pub async fn keep(&mut self) {
        loop {
            self.step().await;
        }
    }

    /// Stops everything in order and removes the record.
    pub async fn stop(mut self) {
        let state = &self.plan.state;
        // Commands that ask from now on are told that nothing runs.
        let _ = std::fs::remove_file(state.record_file());
        self.tasks.shutdown().await;
        self.supervisor.stop().await;
        for path in [
            state.control_plane_socket(),
            state.control_plane_admin_socket(),
        ] {
            // A control plane that ended in order has removed them.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Takes in one event. The role of a process that ended.
    async fn step(&mut self) -> Option<Role> {
        tokio::select! {
            Some(event) = self.events.recv() => self.on_event(event),
            Some(sighting) = self.sightings.recv() => {
                self.on_sighting(&sighting);
                None
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Option<Role> {
        let Event { name, role, what } = event;
        match what {
            What::Started { pid } => {
                self.set_pid(&name, role, Some(pid));
                if role == Role::App
                    && let Some(record) = self.workload(&name)
                {
                    self.apps.started(&record, pid);
                }
                None
            }
            What::Ready { .. } => {
                let again = !self.ready.insert(ready_key(&name, role)) && self.published;
                if again {
                    self.notices
                        .info(format!("{} serves again", title(&name, role)));
                }
                None
            }
            What::Exited { status, pause } => {
                self.set_pid(&name, role, None);
                self.on_end(&name, role, &format!("ended ({})", describe(status)), pause);
                Some(role)
            }
            What::Failed { error, pause } => {
                self.on_end(&name, role, &format!("cannot be started: {error}"), pause);
                Some(role)
            }
        }
    }

    fn on_end(&mut self, name: &str, role: Role, how: &str, pause: Duration) {
        let title = title(name, role);
        let log = match role {
            Role::App => self.workload(name).and_then(|record| record.log),
            Role::ControlPlane => Some(self.plan.state.logs().join("meshd.log")),
            Role::Gateway | Role::Sidecar => self.workload(name).map(|record| {
                programs::ProxyFiles::new(&self.plan.state, &record)
                    .dir
                    .join("log")
            }),
        };
        let consequence = match role {
            Role::App => "gets no requests meanwhile",
            Role::ControlPlane => "proxies go on with what they have meanwhile",
            Role::Gateway | Role::Sidecar => "has no connections meanwhile",
        };
        // The same output again and again would hide everything else.
        let tail = match log {
            Some(path) if pause <= FIRST_PAUSE => format!("\n{}", tail(&path)),
            _ => String::new(),
        };
        self.notices.warning(format!(
            "{title} {how}; starts again in {pause:?} and {consequence}{tail}"
        ));
        if role == Role::App {
            if self.apps.ended(name) {
                self.tell_health(name, Health::Unhealthy);
            }
        } else if let Some(record) = self.workload(name)
            && let Err(error) = self.joins.write(&self.plan.state, &record)
        {
            self.notices
                .warning(format!("{title} may not be able to join again: {error}"));
        }
    }

    fn on_sighting(&mut self, sighting: &Sighting) {
        let Some(health) = self.apps.seen(sighting) else {
            return;
        };
        self.tell_health(&sighting.name, health);
        match health {
            Health::Healthy => self
                .notices
                .info(format!("application of {} listens again", sighting.name)),
            Health::Unhealthy => {
                let record = self.workload(&sighting.name);
                let ports = record
                    .iter()
                    .flat_map(|r| &r.ports)
                    .map(|p| p.listen.to_string())
                    .collect::<Vec<_>>();
                let log = record.and_then(|record| record.log).unwrap_or_default();
                self.notices.warning(format!(
                    "application of {} runs but does not listen on {}: it gets no requests until it does; it is told its port as PORT\n{}",
                    sighting.name,
                    ports.join(" and "),
                    tail(&log)
                ));
            }
        }
    }

    /// Lets the control plane know whether a workload may get requests.
    fn tell_health(&self, name: &str, health: Health) {
        let Some(record) = self.workload(name) else {
            return;
        };
        if let Err(error) = world::write_workload(&self.plan.state.world(), &record, health) {
            self.notices.warning(format!(
                "cannot tell the control plane about {name}: {error}"
            ));
        }
    }

    fn workload(&self, name: &str) -> Option<WorkloadRecord> {
        self.record
            .borrow()
            .workloads
            .iter()
            .find(|record| record.name == name)
            .cloned()
    }

    fn set_pid(&mut self, name: &str, role: Role, pid: Option<u32>) {
        self.record.send_modify(|record| {
            let workload = record
                .workloads
                .iter_mut()
                .find(|workload| workload.name == name);
            match (role, workload) {
                (Role::ControlPlane, _) => record.control_plane_pid = pid,
                (Role::App, Some(workload)) => workload.app_pid = pid,
                (Role::Gateway | Role::Sidecar, Some(workload)) => workload.proxy_pid = pid,
                (_, None) => {}
            }
        });
        if self.published
            && let Err(error) = self.record.borrow().write(&self.plan.state)
        {
            self.notices.warning(error.to_string());
        }
    }
}

fn ready_key(name: &str, role: Role) -> String {
    if role == Role::ControlPlane {
        String::new()
    } else {
        name.to_owned()
    }
}

fn title(name: &str, role: Role) -> String {
    match role {
        Role::ControlPlane => "the control plane".to_owned(),
        role => format!("{} of {name}", role.noun()),
    }
}

/// The guard of an application reports a signal as a shell does.
fn describe(status: std::process::ExitStatus) -> String {
    match status.code() {
        Some(code @ 129..=192) => match nix::sys::signal::Signal::try_from(code - 128) {
            Ok(signal) => format!("signal {signal}"),
            Err(_) => format!("exit code {code}"),
        },
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}
