//! Configuration from a file instead of a control plane.
//!
//! The file is YAML or JSON: a map with one key `resources`, a list of the messages `Resource` of
//! `proto/mesh/v1/resource.proto` in protobuf's JSON form. What `GET /config_dump` of the admin
//! endpoint gives is such a file. It is taken whole or not at all: with an error in it the last
//! good one stays in force. Every error names line, resource and field.
//!
//! From there on everything is as with a control plane: the same decoding, one atomic switch of
//! the snapshot, leases for destinations that nobody declared.

mod document;
mod read;
mod stamp;
mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use mesh_api::{ResourceName, v1};
use mesh_proxy_core::session::{Action, ClientSession, Event, Limits};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::status::{ControlStatus, Status};
use super::store::{Demands, Writer};
use crate::clock;
use crate::settings::{ProxyKind, Settings};
use crate::telemetry::Stages;

pub use read::{Problem, Problems, ResourcesError, parse_resources};
pub(crate) use stamp::Stamp;

use read::Content;

/// How often files are looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// A file of resources that was read.
pub(crate) struct Opened {
    path: PathBuf,
    content: Content,
    // Of before it was read.
    stamp: Option<Stamp>,
}

/// Keeps the snapshot as the file says.
pub(crate) struct Follower {
    path: PathBuf,
    kind: ProxyKind,
    stamp: Option<Stamp>,
    digest: String,
    // Names of the file's resources.
    names: BTreeSet<ResourceName>,
    session: ClientSession,
    writer: Writer,
    demands: Demands,
    stages: Stages,
    status: watch::Sender<ControlStatus>,
}

// === impl Opened ===

impl Opened {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ResourcesError`] with all that is wrong.
    pub(crate) async fn read(path: PathBuf, kind: ProxyKind) -> Result<Self, ResourcesError> {
        let stamp = Stamp::of(&path).await;
        let content = read::read(&path, kind).await?;
        Ok(Self {
            path,
            content,
            stamp,
        })
    }
}

// === impl Follower ===

impl Follower {
    /// Puts the file in force.
    pub(crate) fn new(
        settings: &Settings,
        opened: Opened,
        writer: Writer,
        demands: Demands,
        stages: Stages,
    ) -> (Self, Status) {
        let limits = Limits {
            idle: settings.lease,
            ..Limits::default()
        };
        let mut session = ClientSession::new(
            settings.node(),
            [],
            limits,
            &writer.load(),
            clock::monotonic(),
        );
        // Nobody is sent anything: the actions tell what is asked for.
        session.on(Event::Connected(&writer.load()), clock::monotonic());
        let (status, current) = watch::channel(ControlStatus::default());
        let mut follower = Self {
            path: opened.path,
            kind: settings.kind,
            stamp: opened.stamp,
            digest: String::new(),
            names: BTreeSet::new(),
            session,
            writer,
            demands,
            stages,
            status,
        };
        follower.take(opened.content);
        (follower, Status::new(current))
    }

    /// Runs until all stores are gone; the caller may drop it before.
    pub(crate) async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                name = self.demands.recv() => {
                    let Some(name) = name else { return };
                    self.stages.waits.inc();
                    let actions = self.session.on(Event::Want(name), clock::monotonic());
                    self.answer(actions);
                }
                _ = ticks.tick() => {
                    self.sweep();
                    self.look().await;
                }
            }
        }
    }

    async fn look(&mut self) {
        let stamp = Stamp::of(&self.path).await;
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        match read::read(&self.path, self.kind).await {
            Ok(content) if content.digest == self.digest => self.mended(),
            Ok(content) => self.take(content),
            Err(error) => {
                error!(
                    file = %self.path.display(),
                    "the resources are not taken, the last good ones stay in force:\n{error}"
                );
                let rejected = match &error {
                    ResourcesError::Content(problems) => problems.rejections(),
                    ResourcesError::Read { .. } => Vec::new(),
                };
                self.stages.rejected.inc_by(rejected.len().max(1) as u64);
                self.status.send_modify(|status| {
                    status.connected = false;
                    status.error = error.to_string();
                    status.rejected = rejected;
                });
            }
        }
    }

    // What the file says is in force.
    fn mended(&self) {
        self.stages.control_connected.set(1);
        self.status.send_modify(|status| {
            status.connected = true;
            status.error.clear();
            status.rejected.clear();
        });
    }

    fn take(&mut self, content: Content) {
        for way in &content.dangling {
            warn!(file = %self.path.display(), "a route leads to a service that the file does not have: {way}");
        }
        let names: BTreeSet<ResourceName> = content
            .resources
            .iter()
            .filter_map(|resource| resource.name.parse().ok())
            .collect();
        let gone = self.names.difference(&names);
        // Whoever used it may go on to use it, as something that nobody declared.
        let (wanted, unwanted): (Vec<_>, Vec<_>) = gone
            .cloned()
            .partition(|name| self.session.wanted().any(|wanted| wanted == name));
        let mut upsert = content.resources;
        upsert.extend(wanted.iter().filter_map(undeclared));
        let response = v1::DiscoveryResponse {
            revision: self.writer.load().revision() + 1,
            digest: content.digest.clone(),
            upsert,
            removed: unwanted.iter().map(ToString::to_string).collect(),
            ..v1::DiscoveryResponse::default()
        };
        self.names = names;
        self.digest = content.digest;
        info!(
            file = %self.path.display(),
            resources = self.names.len(),
            revision = response.revision,
            "serving from a file"
        );
        self.apply(&response);
        self.mended();
    }

    // What a control plane would send. Resources of the file are there already.
    fn answer(&mut self, actions: Vec<Action>) {
        let held = self.writer.load();
        let mut response = v1::DiscoveryResponse {
            revision: held.revision(),
            digest: held.digest().to_owned(),
            ..v1::DiscoveryResponse::default()
        };
        let (mut asked, mut refused) = (false, BTreeMap::new());
        for action in actions {
            match action {
                Action::Send(request) => {
                    asked |= !request.subscribe.is_empty() || !request.unsubscribe.is_empty();
                    let of_others = |name: &ResourceName| !self.names.contains(name);
                    let parsed = |names: Vec<String>| {
                        let names = names.into_iter().filter_map(|name| name.parse().ok());
                        names.filter(of_others).collect::<Vec<ResourceName>>()
                    };
                    let subscribed = parsed(request.subscribe);
                    response
                        .upsert
                        .extend(subscribed.iter().filter_map(undeclared));
                    let dropped = parsed(request.unsubscribe);
                    response
                        .removed
                        .extend(dropped.iter().map(ToString::to_string));
                }
                Action::Refused(names) => {
                    refused.extend(names.into_iter().map(|name| {
                        let why = format!("{} does not have it", self.path.display());
                        (name.to_string(), why)
                    }));
                }
                Action::Satisfied(_) | Action::Dropped(_) => {}
            }
        }
        if !refused.is_empty() {
            self.writer
                .publish(mesh_proxy_core::Snapshot::clone(&held), refused);
        }
        if asked {
            self.apply(&response);
        }
    }

    fn apply(&mut self, response: &v1::DiscoveryResponse) {
        let applied = self.writer.load().apply(response);
        self.stages.applied.inc();
        self.stages
            .revision
            .set(response.revision.try_into().unwrap_or(i64::MAX));
        self.writer
            .publish(applied.snapshot.clone(), BTreeMap::new());
        let applied = Event::Response {
            response,
            applied: &applied,
        };
        // The acknowledgement is for nobody.
        self.session.on(applied, clock::monotonic());
        self.writer.lease(self.session.wanted().cloned());
    }

    fn sweep(&mut self) {
        let now = clock::monotonic();
        let used = self.writer.sweep();
        self.session.on(Event::Used(&used), now);
        let actions = self.session.on(Event::Tick, now);
        self.answer(actions);
    }
}

/// What stands for a destination or a host name that nobody declared; nothing for what is no
/// such thing.
fn undeclared(name: &ResourceName) -> Option<v1::Resource> {
    let body = match name {
        ResourceName::Routes { port, .. } => v1::resource::Body::Routes(table(*port)),
        ResourceName::Address(address) => v1::resource::Body::Routes(table(address.port())),
        ResourceName::Name(host) => v1::resource::Body::NameAddresses(v1::Name {
            hostname: host.as_str().to_owned(),
            ..v1::Name::default()
        }),
        ResourceName::Mesh
        | ResourceName::Inbound
        | ResourceName::Gateway
        | ResourceName::Service(_)
        | ResourceName::Workload(_)
        | ResourceName::Credential { .. } => return None,
    };
    Some(v1::Resource {
        name: name.to_string(),
        version: "undeclared".to_owned(),
        body: Some(body),
    })
}

fn table(port: u16) -> v1::RouteTable {
    v1::RouteTable {
        port: port.into(),
        protocol: v1::Protocol::Auto.into(),
        undeclared: true,
        ..v1::RouteTable::default()
    }
}
