//! A failure must end with its cause: neither retries nor queues may keep it alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::backend::{Backend, Health};
use crate::load::{Asked, one};
use crate::place::{Place, duration};

/// Requests a second, whatever becomes of those before. The application can serve 400.
const RATE: u32 = 150;
const THREADS: usize = 4;
const TAKES: Duration = Duration::from_millis(10);

/// How soon all is as before.
const RECOVERY: Duration = Duration::from_secs(5);

// Four tries for each request would be four times the load, without a budget.
const RETRY: &str = "        timeout_ms: 2000
        retry: {attempts: 3, per_try_timeout_ms: 400, retry_on: [5xx, reset, connect-failure], backoff_base_ms: 10, backoff_max_ms: 50}
";

/// Requests that come at a rate, as those of many users do.
struct Arrivals {
    sent: Arc<AtomicU64>,
    good: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

// === impl Arrivals ===

impl Arrivals {
    fn start(at: std::net::SocketAddr) -> Self {
        let (sent, good) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut task = JoinSet::new();
        let counts = (Arc::clone(&sent), Arc::clone(&good));
        task.spawn(async move {
            let mut requests = JoinSet::new();
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
            loop {
                ticks.tick().await;
                let (sent, good) = counts.clone();
                sent.fetch_add(1, Ordering::Relaxed);
                requests.spawn(async move {
                    if one(&at.into(), Asked::get("/"), &mut None, false)
                        .await
                        .is_ok()
                    {
                        good.fetch_add(1, Ordering::Relaxed);
                    }
                });
                while requests.try_join_next().is_some() {}
            }
        });
        Self {
            sent,
            good,
            _task: task,
        }
    }

    fn counts(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.sent), load(&self.good))
    }

    /// How many of a hundred requests are answered well, over some time.
    async fn share(&self, over: Duration) -> u64 {
        let (sent, good) = self.counts();
        tokio::time::sleep(over).await;
        let (sent_now, good_now) = self.counts();
        (good_now - good) * 100 / (sent_now - sent).max(1)
    }
}

async fn survives(fault: Health) {
    let place = Place::new();
    let backend = Backend::start(THREADS, TAKES).await;
    let pair = place.pair(backend.address(), RETRY);
    let arrivals = Arrivals::start(pair.client.explicit());
    crate::proxy::until("requests are answered", || arrivals.counts().1 > 20).await;
    let before = arrivals.share(Duration::from_secs(1)).await;
    assert!(before >= 90, "{before} of 100 before the fault");

    let (sent, _) = arrivals.counts();
    let tries = backend.served();
    backend.is_now(fault);
    let lasts = duration(Duration::from_secs(4)).min(Duration::from_secs(30));
    tokio::time::sleep(lasts).await;
    let (tried, asked) = (backend.served() - tries, arrivals.counts().0 - sent);
    backend.is_now(Health::Well);

    // A fifth more than was asked for, three a second for free, and what was under way before.
    let most = asked * 12 / 10 + 3 * lasts.as_secs() + 60;
    assert!(
        tried <= most,
        "{tried} tries reached the application for {asked} requests"
    );
    let end = Instant::now();
    loop {
        let share = arrivals.share(Duration::from_millis(500)).await;
        if share >= 95 {
            break;
        }
        assert!(
            end.elapsed() < RECOVERY,
            "{share} of 100 requests succeed {:?} after the fault",
            end.elapsed()
        );
    }
    println!(
        "{fault:?}: {tried} tries for {asked} requests; recovered {:?} after the fault",
        end.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_failed_is_served_again_at_once() {
    survives(Health::Fails).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_hung_is_served_again_at_once() {
    survives(Health::Hangs).await;
}
