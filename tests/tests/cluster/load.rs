//! Requests to the gateway while something is broken, and which of them failed.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Request;
use mesh_tests::laptop::exchange;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::place::LIMIT;

/// Clients that send at the same time; so many requests can be in flight.
pub(crate) const CLIENTS: usize = 4;
/// Pause between the beginnings of two requests of a client.
const PACE: Duration = Duration::from_millis(100);
const CONNECT: Duration = Duration::from_secs(5);
/// What the sample's pages say, with a 200, instead of what they could not get.
const APOLOGIES: [&str; 2] = ["Sorry, product", "Ratings service is currently unavailable"];

/// Clients outside of the mesh, each request on a connection of its own.
pub(crate) struct Load {
    answered: watch::Receiver<u64>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Failure>>>,
    longest: watch::Receiver<Duration>,
}

/// A request that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// When it was sent.
    pub(crate) sent: Instant,
    /// Whether there was an answer of HTTP at all.
    pub(crate) answered: bool,
    /// What came instead of the page.
    pub(crate) what: String,
}

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Report {
    /// Requests.
    pub(crate) sent: u64,
    /// Those that failed, in their order.
    pub(crate) failures: Vec<Failure>,
    longest: Duration,
    began: Instant,
}

// === impl Load ===

impl Load {
    /// Begins to ask the gateway for these paths of a host, in turn.
    pub(crate) fn start(to: SocketAddr, host: &str, paths: &'static [&'static str]) -> Self {
        let (counter, answered) = watch::channel(0);
        let (slowest, longest) = watch::channel(Duration::ZERO);
        let stop = Arc::new(AtomicBool::new(false));
        let counter = Arc::new(counter);
        let slowest = Arc::new(slowest);
        let clients = (0..CLIENTS).map(|client| {
            let (stop, host) = (Arc::clone(&stop), host.to_owned());
            let (counter, slowest) = (Arc::clone(&counter), Arc::clone(&slowest));
            tokio::spawn(async move {
                let mut failures = Vec::new();
                let mut pace = tokio::time::interval(PACE);
                pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                for path in paths.iter().cycle().skip(client) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    pace.tick().await;
                    let sent = Instant::now();
                    if let Err((answered, what)) = one(to, &host, path).await {
                        failures.push(Failure {
                            sent,
                            answered,
                            what: format!("{path} after {} ms: {what}", sent.elapsed().as_millis()),
                        });
                    }
                    let took = sent.elapsed();
                    slowest.send_if_modified(|longest| {
                        let longer = took > *longest;
                        *longest = took.max(*longest);
                        longer
                    });
                    counter.send_modify(|count| *count += 1);
                }
                failures
            })
        });
        let clients = clients.collect();
        Self {
            answered,
            stop,
            clients,
            longest,
        }
    }

    /// Waits until so many more requests have been sent and have ended.
    pub(crate) async fn more(&mut self, count: u64) -> anyhow::Result<()> {
        let goal = *self.answered.borrow() + count;
        let reached = self.answered.wait_for(|count| *count >= goal);
        timeout(LIMIT, reached)
            .await
            .context("the requests stand still")??;
        Ok(())
    }

    /// Ends it. `began` is what times are told from.
    pub(crate) async fn stop(self, began: Instant) -> anyhow::Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for client in self.clients {
            failures.extend(client.await?);
        }
        failures.sort_by_key(|failure| failure.sent);
        Ok(Report {
            sent: *self.answered.borrow(),
            failures,
            longest: *self.longest.borrow(),
            began,
        })
    }
}

// === impl Report ===

impl Report {
    /// Prints it, and fails if a request has failed.
    pub(crate) fn none_failed(&self, what: &str) -> anyhow::Result<()> {
        self.at_most(what, 0)
    }

    /// Prints it, and fails if more requests have failed than these.
    pub(crate) fn at_most(&self, what: &str, allowed: usize) -> anyhow::Result<()> {
        println!("{what}: {self}");
        ensure!(self.sent > 0, "{what}: no request was sent");
        ensure!(
            self.failures.len() <= allowed,
            "{what}: {self}; allowed are {allowed}"
        );
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {} failed, the slowest took {} ms",
            self.sent,
            self.failures.len(),
            self.longest.as_millis()
        )?;
        for failure in self.failures.iter().take(8) {
            let after = failure.sent.saturating_duration_since(self.began);
            write!(f, "\n  sent at {} ms: {}", after.as_millis(), failure.what)?;
        }
        Ok(())
    }
}

/// Sends a request and judges the answer. The error says whether there was one.
async fn one(to: SocketAddr, host: &str, path: &str) -> Result<(), (bool, String)> {
    let nothing = |error: String| (false, error);
    let stream = timeout(CONNECT, TcpStream::connect(to))
        .await
        .map_err(|_| nothing("no connection in time".to_owned()))?
        .map_err(|error| nothing(format!("connect: {error}")))?;
    let request = Request::get(path)
        .header(http::header::HOST, host)
        .header(http::header::CONNECTION, "close")
        .body(Bytes::new())
        .map_err(|error| nothing(error.to_string()))?;
    let answer = exchange(stream, request)
        .await
        .map_err(|error| nothing(format!("{error:#}")))?;
    let body = String::from_utf8_lossy(&answer.body);
    let apology = APOLOGIES.iter().find(|apology| body.contains(**apology));
    if let Some(apology) = apology {
        return Err((true, format!("{} {apology}", answer.status)));
    }
    if answer.status == http::StatusCode::OK {
        return Ok(());
    }
    let reason = answer.headers.get("x-mesh-reason");
    let start = body.chars().take(200).collect::<String>();
    Err((true, format!("{} {reason:?}: {start}", answer.status)))
}
