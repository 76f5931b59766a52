//! Clients that never stop asking, and count what goes wrong. They speak HTTP/1.1 by hand, so that
//! no library repeats a request for them.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::place::HOST;

/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What clients do. Every other one posts: nobody may send that twice once it may have arrived.
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
    // Failures that were told already.
    told: AtomicU64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub host: &'a str,
    pub path: &'a str,
    /// With a body.
    pub posts: bool,
}

/// Where a proxy is asked.
#[derive(Clone, Debug)]
pub enum At {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A connection to it.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

#[derive(Default)]
struct Counts {
    good: AtomicU64,
    bad: AtomicU64,
}

/// What became of a request.
pub type Outcome = Result<(), String>;

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

// === impl Asked ===

impl<'a> Asked<'a> {
    /// A path of [`HOST`].
    pub fn get(path: &'a str) -> Self {
        Self {
            host: HOST,
            path,
            posts: false,
        }
    }
}

// === impl At ===

impl At {
    pub async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        Ok(match self {
            Self::Tcp(address) => Box::new(TcpStream::connect(address).await?),
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

impl From<SocketAddr> for At {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Path> for At {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

// === impl Load ===

impl Load {
    /// Begins to ask for `http://HOST/` at a proxy, or whatever answers there.
    pub fn start(at: impl Into<At>, shape: Shape) -> Self {
        Self::ask(at, HOST, shape)
    }

    /// The same for another host.
    pub fn ask(at: impl Into<At>, host: &str, shape: Shape) -> Self {
        let at = at.into();
        let counts = Arc::<Counts>::default();
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..shape.keeping + shape.opening {
            let keeps = number < shape.keeping;
            let posts = number % 2 == 1;
            let (counts, stop) = (Arc::clone(&counts), Arc::clone(&stop));
            let (at, host) = (at.clone(), host.to_owned());
            clients.spawn(async move {
                // The sample application knows no other.
                let path = "/details/0";
                let asked = Asked {
                    host: &host,
                    path,
                    posts,
                };
                let mut failures = Vec::new();
                let mut connection = None;
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    match one(&at, asked, &mut connection, keeps).await {
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
            told: AtomicU64::new(0),
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

    /// The same after a change; says which one it was if a request has failed since the last.
    pub async fn reached(&self, change: &str, count: u64) {
        let before = self.told.load(Ordering::Relaxed);
        self.more(count).await;
        let bad = self.counts().1;
        if bad > before {
            println!(
                "{} requests failed up to the end of: {change}",
                bad - before
            );
            self.told.store(bad, Ordering::Relaxed);
        }
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
    at: &At,
    Asked { host, path, posts }: Asked<'_>,
    connection: &mut Option<Box<dyn Connection>>,
    keeps: bool,
) -> Outcome {
    let answer = async {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => at
                .connect()
                .await
                .map_err(|error| format!("cannot connect: {error}"))?,
        };
        let close = if keeps { "" } else { "Connection: close\r\n" };
        let (method, body) = if posts {
            ("POST", "Content-Length: 5\r\n\r\nhello")
        } else {
            ("GET", "\r\n")
        };
        let request =
            format!("{method} http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n{close}{body}");
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(|error| format!("cannot send: {error}"))?;
        let closes = read(&mut *stream, posts).await?;
        if keeps && !closes {
            *connection = Some(stream);
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| Err("no answer".to_owned()))
}

/// Whether the server closes the connection. The sample application refuses what is posted, which
/// is an answer, too.
async fn read(stream: &mut dyn Connection, posts: bool) -> Result<bool, String> {
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
    let refused = posts && status.starts_with("HTTP/1.1 405");
    if !refused && !status.starts_with("HTTP/1.1 200") {
        // The body says why; what has come of it is enough.
        let body = String::from_utf8_lossy(&bytes[bytes.len() - rest..]);
        return Err(format!("{head}\n\n{body}\n"));
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
