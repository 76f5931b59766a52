//! Clients that never stop asking, and count what goes wrong. They speak HTTP/1.1 by hand, so that
//! no library repeats a request for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::place::HOST;

/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What clients do.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Clients that keep their connection as long as the server lets them.
    pub keeping: usize,
    /// Clients that open a connection for each request.
    pub opening: usize,
    /// Pause of each client after an answer.
    pub pause: Duration,
}

/// Clients that ask. Dropping it ends them.
pub struct Load {
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    clients: JoinSet<Vec<String>>,
}

#[derive(Default)]
struct Counts {
    good: AtomicU64,
    bad: AtomicU64,
}

/// What became of a request.
pub type Outcome = Result<(), String>;

// === impl Load ===

impl Load {
    /// Begins to ask for `http://HOST/` at a proxy, or whatever answers there.
    pub fn start(at: SocketAddr, shape: Shape) -> Self {
        Self::ask(at, HOST, shape)
    }

    /// The same for another host.
    pub fn ask(at: SocketAddr, host: &str, shape: Shape) -> Self {
        let counts = Arc::<Counts>::default();
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..shape.keeping + shape.opening {
            let keeps = number < shape.keeping;
            let (counts, stop) = (Arc::clone(&counts), Arc::clone(&stop));
            let host = host.to_owned();
            clients.spawn(async move {
                // The sample application knows no other.
                let path = "/details/0";
                let mut failures = Vec::new();
                let mut connection = None;
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    match one(at, &host, path, &mut connection, keeps).await {
                        Ok(()) => {
                            counts.good.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(failure) => {
                            counts.bad.fetch_add(1, Ordering::Relaxed);
                            failures.push(format!("{failure}, after {:?}", begun.elapsed()));
                            connection = None;
                        }
                    }
                    tokio::time::sleep(shape.pause).await;
                }
                failures
            });
        }
        Self {
            counts,
            stop,
            clients,
        }
    }

    /// Answers, good and bad, so far.
    pub fn counts(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.counts.good), load(&self.counts.bad))
    }

    /// Waits until so many more requests were answered well.
    pub async fn more(&self, count: u64) {
        let goal = self.counts().0 + count;
        crate::proxy::until("the load is served", || self.counts().0 >= goal).await;
    }

    /// Ends it, and gives the number of requests.
    ///
    /// # Panics
    /// If one failed.
    pub async fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        while let Some(ended) = self.clients.join_next().await {
            failures.extend(ended.unwrap());
        }
        let (good, bad) = self.counts();
        let first: Vec<_> = failures.iter().take(5).cloned().collect();
        assert!(
            failures.is_empty(),
            "{bad} of {} requests failed:\n{}",
            good + bad,
            first.join("\n")
        );
        assert!(good > 0, "nothing was asked");
        good
    }
}

/// One request; keeps the connection for the next one if both sides like.
pub async fn one(
    at: SocketAddr,
    host: &str,
    path: &str,
    connection: &mut Option<TcpStream>,
    keeps: bool,
) -> Outcome {
    let answer = async {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(at)
                .await
                .map_err(|error| format!("cannot connect: {error}"))?,
        };
        let close = if keeps { "" } else { "Connection: close\r\n" };
        let request = format!("GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(|error| format!("cannot send: {error}"))?;
        let closes = read(&mut stream).await?;
        if keeps && !closes {
            *connection = Some(stream);
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| Err("no answer".to_owned()))
}

/// Whether the server closes the connection.
async fn read(stream: &mut TcpStream) -> Result<bool, String> {
    let mut bytes = Vec::new();
    let (head, rest) = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            break (head, bytes.len() - end - 4);
        }
        let read = stream.read_buf(&mut bytes).await;
        match read {
            Ok(0) => return Err(format!("the answer ends after {} bytes", bytes.len())),
            Ok(_) => {}
            Err(error) => return Err(format!("cannot read: {error}")),
        }
    };
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(head);
    }
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length: usize = field("content-length")
        .and_then(|text| text.parse().ok())
        .ok_or("no length")?;
    let mut missing = length - rest;
    let mut buffer = [0; 4096];
    while missing > 0 {
        let wanted = missing.min(buffer.len());
        match stream.read(&mut buffer[..wanted]).await {
            Ok(0) => return Err("the body is cut".to_owned()),
            Ok(count) => missing -= count,
            Err(error) => return Err(format!("cannot read the body: {error}")),
        }
    }
    Ok(field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")))
}
