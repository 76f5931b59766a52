//! A little traffic through the gateway, counted.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Method, Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::call::{Answer, Via, call};

const PATIENCE: Duration = Duration::from_secs(15);
/// Failures that are told in full.
const TOLD: usize = 10;

/// Where clients outside of the mesh come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// Address of the gateway.
    pub address: SocketAddr,
    /// The host that is asked for there; none for the address itself.
    pub host: Option<Arc<str>>,
}

/// A request of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Path at the gateway.
    pub path: &'static str,
    /// Who is signed in.
    pub user: Option<&'static str>,
}

/// What is requested, in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The requests.
    pub list: &'static [Target],
    /// Failures are the point of what is being tried out, and do not count.
    pub forgiving: bool,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
    forgiven: AtomicU64,
    failures: Mutex<Vec<String>>,
    // Times that each sender has taken up its targets anew; see `Traffic::switch`.
    taken_up: Vec<AtomicU64>,
}

/// Traffic that flows until this is dropped.
#[derive(Debug)]
pub struct Traffic {
    counts: Arc<Counts>,
    targets: watch::Sender<Targets>,
    _senders: JoinSet<()>,
}

// === impl Entrance ===

impl Entrance {
    /// The gateway at an address, asked for by that.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            host: None,
        }
    }
}

impl fmt::Display for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.address)?;
        match &self.host {
            Some(host) => write!(f, " (host {host})"),
            None => Ok(()),
        }
    }
}

// === impl Traffic ===

impl Traffic {
    /// Begins to send: so many senders, each with a pause after every request.
    pub fn start(gateway: &Entrance, targets: Targets, senders: usize, pause: Duration) -> Self {
        let (targets, receiver) = watch::channel(targets);
        let taken_up = std::iter::repeat_with(AtomicU64::default)
            .take(senders)
            .collect();
        let counts = Arc::new(Counts {
            taken_up,
            ..Counts::default()
        });
        let mut tasks = JoinSet::new();
        for number in 0..senders {
            tasks.spawn(send(
                number,
                gateway.clone(),
                receiver.clone(),
                Arc::clone(&counts),
                pause,
            ));
        }
        Self {
            counts,
            targets,
            _senders: tasks,
        }
    }

    /// Changes what is requested, and returns when no request from before is under way.
    pub async fn switch(&self, targets: Targets) {
        let before = self.taken_up();
        self.targets.send_replace(targets);
        let done = |now: &[u64]| {
            now.iter()
                .zip(&before)
                .all(|(now, before)| now >= &(before + 2))
        };
        while !done(&self.taken_up()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Requests sent and answered, or failed, so far.
    pub fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// Requests that failed.
    pub fn failed(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// Requests that failed while failing was the point.
    pub fn forgiven(&self) -> u64 {
        self.counts.forgiven.load(Ordering::Relaxed)
    }

    /// What the first failures looked like.
    pub fn failures(&self) -> Vec<String> {
        self.counts
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until so many more requests were sent.
    pub async fn flow(&self, requests: u64) {
        let enough = self.sent() + requests;
        while self.sent() < enough {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn taken_up(&self) -> Vec<u64> {
        self.counts
            .taken_up
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect()
    }
}

async fn send(
    number: usize,
    gateway: Entrance,
    targets: watch::Receiver<Targets>,
    counts: Arc<Counts>,
    pause: Duration,
) {
    let mut turn = number;
    loop {
        let Targets { list, forgiving } = *targets.borrow();
        if let Some(taken_up) = counts.taken_up.get(number) {
            taken_up.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(target) = list.get(turn % list.len().max(1)) {
            let outcome = request(&gateway, *target).await;
            counts.sent.fetch_add(1, Ordering::Relaxed);
            if let Err(failure) = outcome {
                if forgiving || targets.borrow().forgiving {
                    counts.forgiven.fetch_add(1, Ordering::Relaxed);
                } else {
                    counts.fail(format!("GET {}: {failure}", target.path));
                }
            }
        }
        turn += 1;
        tokio::time::sleep(pause).await;
    }
}

async fn request(gateway: &Entrance, target: Target) -> Result<(), String> {
    let answer = get(gateway, target.path, target.user)
        .await
        .map_err(|error| error.to_string())?;
    if answer.status.is_success() {
        return Ok(());
    }
    let body = answer.text().chars().take(120).collect::<String>();
    Err(format!(
        "{} {} {body}",
        answer.status,
        answer.header("x-mesh-reason")
    ))
}

/// A request to the gateway, signed in or not.
pub(super) async fn get(
    gateway: &Entrance,
    path: &str,
    user: Option<&str>,
) -> Result<Answer, crate::call::CallError> {
    let mut headers = HeaderMap::new();
    if let Some(value) = user.and_then(|user| format!("session={user}").parse().ok()) {
        headers.insert(header::COOKIE, value);
    }
    if let Some(host) = gateway.host.as_ref().and_then(|host| host.parse().ok()) {
        headers.insert(header::HOST, host);
    }
    let uri = format!("http://{}{path}", gateway.address);
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(uri)
        .body(Full::<Bytes>::default())?;
    *request.headers_mut() = headers;
    call(&Via::Direct, request, PATIENCE).await
}

// === impl Counts ===

impl Counts {
    fn fail(&self, failure: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < TOLD {
            failures.push(failure);
        }
    }
}
