//! Requests without end, for tests in which none may fail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Request;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::laptop::{Answer, LIMIT, exchange};

/// One client that sends its requests one after the other, each on a connection of its own.
pub struct Traffic {
    answered: watch::Receiver<u64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<String>>,
}

// === impl Traffic ===

impl Traffic {
    /// Begins to send to an address. `judge` says what is wrong with an answer.
    pub fn start(
        to: SocketAddr,
        request: impl Fn() -> Request<Bytes> + Send + 'static,
        judge: impl Fn(&Answer) -> Result<(), String> + Send + 'static,
    ) -> Self {
        let (sender, answered) = watch::channel(0);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut failures = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                if let Err(failure) = one(to, request()).await.and_then(|answer| judge(&answer)) {
                    failures.push(failure);
                }
                sender.send_modify(|count| *count += 1);
            }
            failures
        });
        Self {
            answered,
            stop,
            task,
        }
    }

    /// Waits until `count` more requests have been answered, or have failed.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn more(&mut self, count: u64) -> anyhow::Result<()> {
        // One of them may have been under way already.
        let goal = *self.answered.borrow() + count + 1;
        let reached = self.answered.wait_for(|count| *count >= goal);
        tokio::time::timeout(LIMIT, reached)
            .await
            .context("the traffic stands still")??;
        Ok(())
    }

    /// Ends it, and tells how many requests there were.
    ///
    /// # Errors
    /// If there were none, or one has failed, with the first failures.
    pub async fn stop(self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let failures = self.task.await?;
        let count = *self.answered.borrow();
        let first = failures
            .iter()
            .take(5)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        ensure!(
            failures.is_empty(),
            "{} of {count} requests failed:\n{first}",
            failures.len()
        );
        ensure!(count > 0, "no request was sent");
        Ok(count)
    }
}

/// Judges by the status alone.
///
/// # Errors
/// With the whole answer, if it is not 200.
pub fn is_ok(answer: &Answer) -> Result<(), String> {
    if answer.status == http::StatusCode::OK {
        return Ok(());
    }
    Err(format!(
        "{}, {:?}: {}",
        answer.status,
        answer.headers,
        String::from_utf8_lossy(&answer.body)
    ))
}

async fn one(to: SocketAddr, request: Request<Bytes>) -> Result<Answer, String> {
    let stream = TcpStream::connect(to)
        .await
        .map_err(|error| error.to_string())?;
    exchange(stream, request)
        .await
        .map_err(|error| format!("{error:#}"))
}
