//! The server's two sides: datagrams and connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_proxy_core::dns::{Query, Step, Transport, Unusable, reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::listen::DnsListeners;
use super::resolver::Resolver;
use super::upstream::framed;
use crate::net::{Acceptor, StdTcpListener, StdUdpSocket, TcpStream, UdpSocket};

/// Questions under way on one socket that wait for somebody else; more are answered by a failure.
const MOST_WAITING: usize = 1024;
const MOST_CONNECTIONS: usize = 256;
const IDLE: Duration = Duration::from_secs(10);
const LARGEST_QUERY: usize = 4096;

// === impl DnsListeners ===

impl DnsListeners {
    /// Serves until `end`, then finishes what it has begun and waits to be dropped.
    pub(crate) async fn serve(self, resolver: Resolver, end: CancellationToken) {
        let resolver = Arc::new(resolver);
        let mut tasks = JoinSet::new();
        for (udp, tcp) in self.pairs {
            tasks.spawn(datagrams(udp, Arc::clone(&resolver), end.clone()));
            tasks.spawn(connections(tcp, Arc::clone(&resolver), end.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "DNS server"),
                Err(error) => tracing::error!(%error, "the DNS server panicked"),
            }
        }
        drop(self.offered);
        std::future::pending::<()>().await;
    }
}

async fn datagrams(
    socket: StdUdpSocket,
    resolver: Arc<Resolver>,
    end: CancellationToken,
) -> io::Result<()> {
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let mut waiting = JoinSet::new();
    let mut buffer = vec![0; LARGEST_QUERY];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            Some(_) = waiting.join_next() => continue,
            () = end.cancelled() => break,
        };
        // An error is about an earlier answer whose client has gone.
        let Ok((length, client)) = received else {
            continue;
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        match begin(&resolver, bytes, Transport::Udp) {
            Begun::Nothing => {}
            Begun::Answer(answer) => send(&socket, &answer, client).await,
            Begun::Waits(_) if waiting.len() >= MOST_WAITING => {
                resolver.metrics.refused.inc();
                if let Ok(query) = Query::parse(bytes) {
                    send(&socket, &reply::server_failure(&query), client).await;
                }
            }
            Begun::Waits(step) => {
                let (socket, resolver) = (Arc::clone(&socket), Arc::clone(&resolver));
                let bytes = bytes.to_vec();
                waiting.spawn(async move {
                    if let Ok(query) = Query::parse(&bytes) {
                        let answer = resolver.find(&query, step, Transport::Udp).await;
                        send(&socket, &answer, client).await;
                    }
                });
            }
        }
    }
    while waiting.join_next().await.is_some() {}
    Ok(())
}

enum Begun {
    Nothing,
    Answer(Vec<u8>),
    Waits(Step),
}

// What can be answered at once, is.
fn begin(resolver: &Resolver, bytes: &[u8], transport: Transport) -> Begun {
    match Query::parse(bytes) {
        Err(Unusable::Ignore) => Begun::Nothing,
        Err(Unusable::Refuse(answer)) => Begun::Answer(answer),
        Ok(query) => match resolver.decide(&query, transport) {
            Step::Answer(answer) => Begun::Answer(answer),
            step => Begun::Waits(step),
        },
    }
}

async fn send(socket: &UdpSocket, answer: &[u8], client: SocketAddr) {
    // A client that is gone asks again, if it still wants to know.
    if let Err(error) = socket.send_to(answer, client).await {
        tracing::debug!(%client, %error, "a DNS answer could not be sent");
    }
}

async fn connections(
    listener: StdTcpListener,
    resolver: Arc<Resolver>,
    end: CancellationToken,
) -> io::Result<()> {
    let acceptor = Acceptor::new(listener)?;
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            (stream, client) = acceptor.accept(), if open.len() < MOST_CONNECTIONS => {
                let resolver = Arc::clone(&resolver);
                open.spawn(async move {
                    if let Err(error) = connection(stream, &resolver).await {
                        tracing::debug!(%client, %error, "DNS connection");
                    }
                });
            }
            Some(_) = open.join_next() => {}
            () = end.cancelled() => break,
        }
    }
    drop(acceptor);
    while open.join_next().await.is_some() {}
    Ok(())
}

async fn connection(mut stream: TcpStream, resolver: &Resolver) -> io::Result<()> {
    while let Some(bytes) = next(&mut stream).await? {
        let answer = match begin(resolver, &bytes, Transport::Tcp) {
            Begun::Nothing => return Ok(()),
            Begun::Answer(answer) => answer,
            Begun::Waits(step) => match Query::parse(&bytes) {
                Ok(query) => resolver.find(&query, step, Transport::Tcp).await,
                Err(_) => return Ok(()),
            },
        };
        stream.write_all(&framed(&answer)).await?;
    }
    Ok(())
}

/// The next question; `None` at the end of the connection, or after a while without one.
async fn next(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let read = async {
        let length = match stream.read_u16().await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            length => usize::from(length?),
        };
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await?;
        Ok(Some(bytes))
    };
    tokio::time::timeout(IDLE, read).await.unwrap_or(Ok(None))
}
