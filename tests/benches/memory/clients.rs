//! Connections, and an application behind the proxies.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// An application that answers each message with `x` or with an empty answer of HTTP, once so many
/// wait for it; and keeps connections open. Ends when dropped.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    _task: JoinSet<()>,
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

// === impl Application ===

impl Application {
    /// `together`: how many have to ask before one is answered.
    pub(crate) async fn start(together: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        let waiting = Arc::new(watch::channel(0).0);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let waiting = Arc::clone(&waiting);
                connections.spawn(async move {
                    // A client that goes away is no news.
                    let _ = serve(stream, &waiting, together).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            _task: task,
        })
    }
}

async fn serve(
    mut stream: TcpStream,
    waiting: &watch::Sender<usize>,
    together: usize,
) -> anyhow::Result<()> {
    let mut bytes = [0; 2048];
    loop {
        let read = stream.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        waiting.send_modify(|count| *count += 1);
        waiting
            .subscribe()
            .wait_for(|count| *count >= together)
            .await?;
        let http = bytes.starts_with(b"GET");
        stream.write_all(if http { ANSWER } else { b"x" }).await?;
    }
}

/// Opens so many connections and says `message` on each; waits for all answers.
pub(crate) async fn open(
    to: SocketAddr,
    count: usize,
    message: impl Fn(usize) -> Vec<u8>,
) -> anyhow::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = TcpStream::connect(to)
            .await
            .with_context(|| format!("connection {number}"))?;
        stream.write_all(&message(number)).await?;
        streams.push(stream);
    }
    let mut bytes = [0; 2048];
    for (number, stream) in streams.iter_mut().enumerate() {
        let read = stream.read(&mut bytes).await?;
        let answer = bytes.get(..read).unwrap_or_default();
        ensure!(
            answer == b"x" || answer.starts_with(b"HTTP/1.1 200"),
            "connection {number}: {}",
            String::from_utf8_lossy(answer)
        );
    }
    Ok(streams)
}
