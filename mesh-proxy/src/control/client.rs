//! The discovery stream: drives the session of `mesh-proxy-core` over gRPC.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::v1::discovery_client::DiscoveryClient;
use mesh_api::{ResourceName, v1};
use mesh_proxy_core::session::{Action, ClientSession, Event, Limits};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;
use tracing::{debug, info, warn};

use super::announce::{self, leave, started};
use super::dial::{DialError, dial};
use super::status::{ControlStatus, Status};
use super::store::{Demands, Writer};
use crate::clock;
use crate::drain::Drain;
use crate::identity::{Identity, IdentityHandle};
use crate::net::Dialer;
use crate::settings::{ControlPlane, ProxyKind, Settings};
use crate::telemetry::Stages;
use crate::tls::{RootsError, control_client, control_roots};

/// Keeps the snapshot current: subscribes, applies, acknowledges, connects again. Nothing that
/// goes wrong here takes the snapshot away.
pub struct Client {
    settings: Arc<Settings>,
    plane: Arc<ControlPlane>,
    session: ClientSession,
    writer: Writer,
    demands: Demands,
    identity: IdentityHandle,
    stages: Stages,
    status: watch::Sender<ControlStatus>,
    refused: BTreeMap<String, String>,
    leased: usize,
    failures: u32,
    rng: StdRng,
    drain: Option<Drain>,
}

// Why there is no stream.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Roots(#[from] RootsError),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot reach the control plane: {0}")]
    Dial(#[from] DialError),
    #[error("the control plane ended the stream: {} ({:?})", .0.message(), .0.code())]
    Status(Box<tonic::Status>),
    #[error("the control plane ended the stream")]
    Ended,
    #[error("the control plane did not open the stream in time")]
    Timeout,
}

// The way to the control plane, one step after the other.
enum Link {
    Waiting(Pin<Box<Sleep>>),
    // Until there is a certificate to show.
    Unidentified,
    Dialing(Work<(Channel, SystemTime)>),
    Opening {
        requests: Requests,
        stream: Work<Streaming<v1::DiscoveryResponse>>,
        expires: SystemTime,
    },
    Open {
        requests: Requests,
        stream: Box<Streaming<v1::DiscoveryResponse>>,
        expires: SystemTime,
    },
}

// What a link brought about.
enum Progress {
    Dial,
    Dialed(Result<(Channel, SystemTime), LinkError>),
    Opened(Result<Streaming<v1::DiscoveryResponse>, LinkError>),
    Message(Result<Box<v1::DiscoveryResponse>, LinkError>),
}

type Work<T> = Pin<Box<dyn Future<Output = Result<T, LinkError>> + Send>>;
type Requests = mpsc::UnboundedSender<v1::DiscoveryRequest>;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_secs(1);
// A stream is opened anew so long before its certificate expires, if there is a newer one.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);
const LARGEST_MESSAGE: usize = 256 << 20;
const MOST_REJECTIONS: usize = 8;

// === impl Client ===

impl Client {
    pub(crate) fn new(
        settings: &Arc<Settings>,
        plane: &Arc<ControlPlane>,
        writer: Writer,
        demands: Demands,
        identity: IdentityHandle,
        stages: Stages,
    ) -> (Self, Status) {
        let own = match settings.kind {
            ProxyKind::Sidecar => ResourceName::Inbound,
            ProxyKind::Gateway => ResourceName::Gateway,
        };
        let limits = Limits {
            idle: settings.lease,
            ..Limits::default()
        };
        let held = writer.load();
        stages
            .revision
            .set(held.revision().try_into().unwrap_or(i64::MAX));
        let session = ClientSession::new(
            settings.node(),
            [ResourceName::Mesh, own],
            limits,
            &held,
            clock::monotonic(),
        );
        let (status, current) = watch::channel(ControlStatus::default());
        let client = Self {
            settings: Arc::clone(settings),
            plane: Arc::clone(plane),
            session,
            writer,
            demands,
            identity,
            stages,
            status,
            refused: BTreeMap::new(),
            leased: 0,
            failures: 0,
            rng: clock::rng(),
            drain: None,
        };
        (client, Status::new(current))
    }

    /// Tells the control plane when the proxy begins to drain.
    pub(crate) fn tell_of(mut self, drain: Drain) -> Self {
        self.drain = Some(drain);
        self
    }

    // The workload stays where another process serves it.
    fn leaves(&self) -> bool {
        let drain = self.drain.as_ref();
        drain.is_some_and(|drain| drain.is_draining() && !drain.is_replaced())
    }

    /// Runs until all stores are gone; the caller may drop it before.
    pub async fn run(mut self) {
        let mut link = Link::Unidentified;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.renew_leases(true);
        let drain = self.drain.clone();
        let mut leaving = false;
        let mut identities = self.identity.generation();
        loop {
            tokio::select! {
                () = started(drain.as_ref()), if !leaving => {
                    leaving = true;
                    if self.leaves() {
                        link.send(leave());
                    }
                }
                Ok(()) = identities.changed() => link.tell_identity(&self.identity),
                progress = link.progress(&self.identity) => link = self.advance(link, progress),
                name = self.demands.recv() => {
                    let Some(name) = name else { return };
                    self.stages.waits.inc();
                    let actions = self.session.on(Event::Want(name), clock::monotonic());
                    self.act(&link, actions);
                }
                _ = ticks.tick() => {
                    self.tick(&link);
                    if self.outlives_certificate(&link) {
                        debug!("opening the stream anew with the renewed certificate");
                        self.closed();
                        link = self.dial();
                    }
                }
            }
        }
    }

    fn advance(&mut self, link: Link, progress: Progress) -> Link {
        match (link, progress) {
            (_, Progress::Dial) => self.dial(),
            (_, Progress::Dialed(Ok((channel, expires)))) => self.open(channel, expires),
            (
                Link::Opening {
                    requests, expires, ..
                },
                Progress::Opened(Ok(stream)),
            ) => {
                info!(control = %self.plane.address, "discovery stream is open");
                self.stages.control_connected.set(1);
                self.status.send_modify(|status| {
                    status.connected = true;
                    status.error.clear();
                });
                Link::Open {
                    requests,
                    stream: Box::new(stream),
                    expires,
                }
            }
            (link, Progress::Message(Ok(response))) => {
                self.failures = 0;
                self.apply(&link, &response);
                link
            }
            (
                _,
                Progress::Dialed(Err(error))
                | Progress::Opened(Err(error))
                | Progress::Message(Err(error)),
            ) => self.failed(&error),
            // A stream that opened belongs to a link that was opening.
            (_, Progress::Opened(Ok(_))) => self.failed(&LinkError::Ended),
        }
    }

    fn dial(&self) -> Link {
        let Some(identity) = self.identity.current() else {
            return Link::Unidentified;
        };
        self.stages.control_connects.inc();
        let plane = Arc::clone(&self.plane);
        let dialer = Dialer {
            mark: self.settings.own_mark,
            source: None,
        };
        let mut roots = self.writer.load().mesh().roots_der.clone();
        roots.extend(identity.svid().roots_der.iter().cloned());
        Link::Dialing(Box::pin(async move {
            connect(&plane, dialer, &identity, &roots).await
        }))
    }

    // The first request is queued before the call: the control plane answers to it.
    fn open(&mut self, channel: Channel, expires: SystemTime) -> Link {
        let (requests, outgoing) = mpsc::unbounded_channel();
        let snapshot = self.writer.load();
        let actions = self
            .session
            .on(Event::Connected(&snapshot), clock::monotonic());
        let stream: Work<_> = Box::pin(async move {
            let mut client =
                DiscoveryClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
            let call = client.stream(UnboundedReceiverStream::new(outgoing));
            match tokio::time::timeout(OPEN_TIMEOUT, call).await {
                Ok(Ok(response)) => Ok(response.into_inner()),
                Ok(Err(status)) => Err(LinkError::Status(Box::new(status))),
                Err(_) => Err(LinkError::Timeout),
            }
        });
        let link = Link::Opening {
            requests,
            stream,
            expires,
        };
        self.act(&link, actions);
        link.tell_identity(&self.identity);
        if self.leaves() {
            link.send(leave());
        }
        link
    }

    fn apply(&mut self, link: &Link, response: &v1::DiscoveryResponse) {
        let applied = self.writer.load().apply(response);
        for rejection in &applied.rejected {
            warn!(
                resource = rejection.resource,
                reason = rejection.reason,
                "configuration refused; the last good version stays"
            );
        }
        self.note_refusals(&applied.rejected, &applied.snapshot);
        self.stages.applied.inc();
        self.stages.rejected.inc_by(applied.rejected.len() as u64);
        self.stages
            .revision
            .set(response.revision.try_into().unwrap_or(i64::MAX));
        debug!(
            revision = response.revision,
            changed = applied.changed.len(),
            removed = applied.removed.len(),
            rejected = applied.rejected.len(),
            "configuration applied"
        );
        // In force before it is acknowledged.
        self.writer
            .publish(applied.snapshot.clone(), self.refused.clone());
        let actions = self.session.on(
            Event::Response {
                response,
                applied: &applied,
            },
            clock::monotonic(),
        );
        self.act(link, actions);
    }

    fn note_refusals(&mut self, rejected: &[v1::Rejection], snapshot: &mesh_proxy_core::Snapshot) {
        let is_held = |name: &str| name.parse().is_ok_and(|name| snapshot.holds(&name));
        self.refused.retain(|name, _| !is_held(name));
        for rejection in rejected
            .iter()
            .filter(|rejection| !is_held(&rejection.resource))
        {
            self.refused
                .insert(rejection.resource.clone(), rejection.reason.clone());
        }
        if !rejected.is_empty() {
            self.status.send_modify(|status| {
                status.rejected.splice(0..0, rejected.iter().cloned());
                status.rejected.truncate(MOST_REJECTIONS);
            });
        }
    }

    fn act(&mut self, link: &Link, actions: Vec<Action>) {
        let mut dropped = false;
        for action in actions {
            match action {
                Action::Send(request) => link.send(*request),
                // Whoever waits looks at every new snapshot.
                Action::Satisfied(_) => {}
                Action::Refused(names) => self.refuse(&names),
                Action::Dropped(names) => {
                    debug!(?names, "destinations no longer used");
                    dropped = true;
                }
            }
        }
        self.renew_leases(dropped);
    }

    // What the response refused has its reason already; the rest can never be asked for.
    fn refuse(&mut self, names: &[ResourceName]) {
        let before = self.refused.len();
        for name in names {
            self.refused
                .entry(name.to_string())
                .or_insert_with(|| "nobody can subscribe to it".to_owned());
        }
        if self.refused.len() != before {
            let snapshot = self.writer.load();
            self.writer.publish(
                mesh_proxy_core::Snapshot::clone(&snapshot),
                self.refused.clone(),
            );
        }
    }

    fn renew_leases(&mut self, changed: bool) {
        let wanted = self.session.wanted().count();
        if changed || wanted != self.leased {
            self.writer.lease(self.session.wanted().cloned());
            self.leased = wanted;
        }
    }

    // Without a stream nothing is dropped: it could not be had again.
    fn tick(&mut self, link: &Link) {
        let now = clock::monotonic();
        let used = self.writer.sweep();
        self.session.on(Event::Used(&used), now);
        if self.session.is_connected() {
            let actions = self.session.on(Event::Tick, now);
            self.act(link, actions);
            if let Some(request) = announce::unknown_keys(&self.writer) {
                link.send(request);
            }
        }
    }

    fn outlives_certificate(&self, link: &Link) -> bool {
        let Link::Open { expires, .. } = link else {
            return false;
        };
        let newer = self
            .identity
            .current()
            .is_some_and(|identity| identity.not_after() > *expires);
        newer && clock::wall() + EXPIRY_MARGIN >= *expires
    }

    fn closed(&mut self) {
        self.session.on(Event::Disconnected, clock::monotonic());
        self.stages.control_connected.set(0);
        self.status.send_modify(|status| status.connected = false);
    }

    fn failed(&mut self, error: &LinkError) -> Link {
        let was_connected = self.status.borrow().connected;
        self.closed();
        let pause = pause(self.failures, &mut self.rng);
        self.failures = self.failures.saturating_add(1);
        let text = error.to_string();
        // One warning for each kind of trouble, not for each attempt.
        if was_connected || self.status.borrow().error != text {
            warn!(control = %self.plane.address, %error, "no discovery stream; serving the last configuration");
        } else {
            debug!(%error, retry_in = ?pause, "still no discovery stream");
        }
        self.status.send_modify(|status| status.error = text);
        Link::Waiting(Box::pin(tokio::time::sleep_until(Instant::now() + pause)))
    }
}

async fn connect(
    plane: &ControlPlane,
    dialer: Dialer,
    identity: &Identity,
    roots: &[Vec<u8>],
) -> Result<(Channel, SystemTime), LinkError> {
    let roots = control_roots(&plane.roots, roots)?;
    let config = Arc::new(control_client(
        roots,
        Some(Arc::clone(&identity.svid().key)),
    )?);
    let channel = dial(&plane.address, &plane.name, config, dialer).await?;
    Ok((channel, identity.not_after()))
}

// Doubling from 50 ms to 5 s, of which a random half to whole is waited: a restarted control
// plane is not met by all proxies at once.
fn pause(failures: u32, rng: &mut StdRng) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.min(16)));
    doubled
        .min(LONGEST_PAUSE)
        .mul_f64(rng.random_range(0.5..=1.0))
}

// === impl Link ===

impl Link {
    // Cancel-safe: whatever is under way is kept in the link.
    async fn progress(&mut self, identity: &IdentityHandle) -> Progress {
        match self {
            Self::Waiting(sleep) => {
                sleep.await;
                Progress::Dial
            }
            Self::Unidentified => match identity.wait().await {
                Some(_) => Progress::Dial,
                None => std::future::pending().await,
            },
            Self::Dialing(work) => Progress::Dialed(work.await),
            Self::Opening { stream, .. } => Progress::Opened(stream.await),
            Self::Open { stream, .. } => Progress::Message(match stream.message().await {
                Ok(Some(response)) => Ok(Box::new(response)),
                Ok(None) => Err(LinkError::Ended),
                Err(status) => Err(LinkError::Status(Box::new(status))),
            }),
        }
    }

    fn tell_identity(&self, identity: &IdentityHandle) {
        if let Some(request) = announce::identity(identity) {
            self.send(request);
        }
    }

    // A request that cannot be sent belongs to a stream that has just ended.
    fn send(&self, request: v1::DiscoveryRequest) {
        if let Self::Opening { requests, .. } | Self::Open { requests, .. } = self {
            let _ = requests.send(request);
        }
    }
}

#[cfg(test)]
mod tests;
