//! One simulated proxy: the subscriptions, acknowledgements and reconnects of a sidecar, without
//! what it does with its configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::stream::poll_fn;
use mesh_api::v1::discovery_client::DiscoveryClient;
use mesh_api::v1::{Ack, DiscoveryRequest, DiscoveryResponse, Node};
use rand::RngExt as _;
use rustls::ClientConfig;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use crate::fleet::Shared;
use crate::link::dial;

// As in mesh-proxy.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
const LARGEST_MESSAGE: usize = 256 << 20;
/// What every sidecar subscribes to.
const PINNED: [&str; 2] = ["mesh/default", "inbound/self"];

/// How far a proxy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It has no stream, or nothing came on it yet.
    Away,
    /// It holds what it has asked for.
    Connected,
    /// It holds all its destinations, too.
    Complete,
}

/// A simulated proxy.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    node: Node,
    client: Arc<ClientConfig>,
    /// In the order in which they are asked for.
    roots: Vec<String>,
    asked: usize,
    /// Versions by name.
    held: BTreeMap<String, String>,
    standing: Standing,
    failures: u32,
    calling: watch::Receiver<bool>,
    /// While it connects, and while its application starts.
    turn: Option<OwnedSemaphorePermit>,
}

/// An open stream.
struct Stream {
    requests: mpsc::UnboundedSender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

// === impl Proxy ===

impl Proxy {
    pub(crate) fn new(
        shared: Arc<Shared>,
        node: Node,
        roots: Vec<String>,
        client: Arc<ClientConfig>,
    ) -> Self {
        Self {
            calling: shared.calling.subscribe(),
            shared,
            node,
            client,
            roots: PINNED.map(str::to_owned).into_iter().chain(roots).collect(),
            asked: PINNED.len(),
            held: BTreeMap::new(),
            standing: Standing::Away,
            failures: 0,
            turn: None,
        }
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self) {
        loop {
            let Err(error) = self.converse().await;
            self.turn = None;
            self.stand(Standing::Away);
            self.shared.failed(&error);
            let pause = pause(self.failures);
            self.failures = self.failures.saturating_add(1);
            sleep(pause).await;
        }
    }

    fn stand(&mut self, standing: Standing) {
        let before = std::mem::replace(&mut self.standing, standing);
        if before != standing {
            self.shared.moved(before, standing);
        }
    }

    /// One stream, to its end.
    async fn converse(&mut self) -> anyhow::Result<std::convert::Infallible> {
        let mut stream = self.open().await?;
        loop {
            tokio::select! {
                response = stream.responses.message() => {
                    let at = Instant::now();
                    let response = response?.context("meshd ended the stream")?;
                    self.take(&stream, response, at);
                }
                changed = self.calling.changed() => changed?,
                turn = Arc::clone(&self.shared.turns).acquire_owned(), if self.is_to_call() => {
                    self.turn = Some(turn?);
                }
            }
            self.ask(&stream);
        }
    }

    async fn open(&mut self) -> anyhow::Result<Stream> {
        self.turn = Some(Arc::clone(&self.shared.turns).acquire_owned().await?);
        let client = Arc::clone(&self.client);
        let received = Arc::clone(&self.shared.received);
        let channel = dial(&self.shared.address, client, received).await?;
        let (requests, mut outgoing) = mpsc::unbounded_channel();
        requests.send(DiscoveryRequest {
            node: Some(self.node.clone()),
            subscribe: self.roots.iter().take(self.asked).cloned().collect(),
            known: self.held.clone(),
            ..DiscoveryRequest::default()
        })?;
        let mut client = DiscoveryClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
        let call = client.stream(poll_fn(move |context| outgoing.poll_recv(context)));
        let Ok(opened) = timeout(OPEN_TIMEOUT, call).await else {
            bail!("meshd did not open the stream within {OPEN_TIMEOUT:?}");
        };
        Ok(Stream {
            requests,
            responses: opened?.into_inner(),
        })
    }

    /// Applies a response and acknowledges it.
    fn take(&mut self, stream: &Stream, response: DiscoveryResponse, at: Instant) {
        self.failures = 0;
        let upsert = response.upsert.iter().map(|resource| &resource.name);
        self.shared.came(at, upsert.chain(&response.removed));
        for name in &response.removed {
            self.held.remove(name);
        }
        for resource in response.upsert {
            self.held.insert(resource.name, resource.version);
        }
        stream.send(DiscoveryRequest {
            ack: Some(Ack {
                nonce: response.nonce,
                revision: response.revision,
                rejected: Vec::new(),
            }),
            ..DiscoveryRequest::default()
        });
        let mut asked = self.roots.iter().take(self.asked);
        if asked.all(|root| self.held.contains_key(root)) {
            let all = self.asked == self.roots.len();
            if all || self.standing == Standing::Away {
                self.turn = None;
            }
            self.stand(match all {
                true => Standing::Complete,
                false => Standing::Connected,
            });
        }
    }

    /// Whether its application waits for its turn to start.
    fn is_to_call(&self) -> bool {
        self.turn.is_none() && self.standing == Standing::Connected && *self.calling.borrow()
    }

    /// Asks for the next destination once the last one is there: an application calls one after
    /// the other.
    fn ask(&mut self, stream: &Stream) {
        let newest = self.asked.checked_sub(1).and_then(|at| self.roots.get(at));
        let ready = self.turn.is_some()
            && self.standing >= Standing::Connected
            && newest.is_some_and(|root| self.held.contains_key(root));
        if let Some(next) = self.roots.get(self.asked)
            && ready
        {
            self.asked += 1;
            stream.send(DiscoveryRequest {
                subscribe: vec![next.clone()],
                ..DiscoveryRequest::default()
            });
        }
    }
}

// === impl Stream ===

impl Stream {
    // A request that cannot be sent belongs to a stream that has just ended.
    fn send(&self, request: DiscoveryRequest) {
        let _ = self.requests.send(request);
    }
}

/// As in mesh-proxy: doubling, and a random half to whole of it.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures.min(16)))
        .min(LONGEST_PAUSE)
        .mul_f64(rand::rng().random_range(0.5..=1.0))
}
