//! The way to the system's DNS servers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mesh_proxy_core::dns::upstream::{Worth, with_id, worth};
use mesh_proxy_core::dns::{Query, Transport};
use rand::RngExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::resolver::{Resolver, lock};
use crate::clock;
use crate::net::{self, Dialer};

/// After so long without a response another server, or the same one again, is asked, too. The
/// first one may still answer.
const TRY: Duration = Duration::from_millis(1500);
/// Clients give up after 5 seconds; they are told before.
const ALL: Duration = Duration::from_millis(4500);
const FEWEST_TRIES: usize = 3;

// === impl Resolver ===

impl Resolver {
    /// The response of a server of the system, under the number of the question; `None` if none
    /// answered. A response that says that a server cannot answer counts if no other has one.
    ///
    /// A question goes on the way that it came: an answer that is too long for a datagram is cut
    /// short by the server, and the client asks again over TCP.
    pub(super) async fn ask_servers(
        &self,
        query: &Query<'_>,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let servers = self.order();
        let tries = (2 * servers.len()).max(FEWEST_TRIES);
        let mut turns = servers.iter().copied().cycle().take(tries).peekable();
        let mut open = FuturesUnordered::new();
        let mut worst = None;
        let deadline = tokio::time::Instant::from_std(clock::monotonic() + ALL);
        let mut last = None;
        loop {
            if let Some(server) = turns.next() {
                last = Some(server);
                open.push(self.attempt(query, server, transport));
            }
            if open.is_empty() {
                return worst;
            }
            tokio::select! {
                Some((server, result)) = open.next() => match result {
                    Ok((Worth::Answer, response)) => {
                        self.well(server);
                        return Some(response);
                    }
                    Ok((_, response)) => {
                        self.failed(server);
                        worst = Some(response);
                    }
                    Err(error) => {
                        tracing::debug!(%server, %error, "a DNS server does not answer");
                        self.failed(server);
                    }
                },
                () = tokio::time::sleep(TRY), if turns.peek().is_some() => {
                    last.iter().for_each(|server| self.failed(*server));
                }
                () = tokio::time::sleep_until(deadline) => return worst,
            }
        }
    }

    async fn attempt(
        &self,
        query: &Query<'_>,
        server: SocketAddr,
        transport: Transport,
    ) -> (SocketAddr, io::Result<(Worth, Vec<u8>)>) {
        let id = lock(&self.rng).random();
        let message = with_id(query.bytes(), id);
        let result = match transport {
            Transport::Udp => self.datagram(query, server, id, &message).await,
            Transport::Tcp => self.connection(query, server, id, &message).await,
        };
        let result = result.map(|(worth, response)| (worth, with_id(&response, query.id())));
        (server, result)
    }

    // Each question from a port of its own: whoever would forge an answer has to guess both.
    async fn datagram(
        &self,
        query: &Query<'_>,
        server: SocketAddr,
        id: u16,
        message: &[u8],
    ) -> io::Result<(Worth, Vec<u8>)> {
        let socket = net::datagrams_to(server, self.mark).await?;
        socket.send(message).await?;
        let mut buffer = vec![0; query.payload()];
        loop {
            let length = socket.recv(&mut buffer).await?;
            let response = buffer.get(..length).unwrap_or_default();
            match worth(query, id, response) {
                Worth::Foreign => {}
                worth => return Ok((worth, response.to_vec())),
            }
        }
    }

    async fn connection(
        &self,
        query: &Query<'_>,
        server: SocketAddr,
        id: u16,
        message: &[u8],
    ) -> io::Result<(Worth, Vec<u8>)> {
        let dialer = Dialer {
            mark: self.mark,
            source: None,
        };
        let mut stream = net::connect(server, ALL, dialer)
            .await
            .map_err(io::Error::other)?;
        stream.write_all(&framed(message)).await?;
        let mut response = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut response).await?;
        match worth(query, id, &response) {
            Worth::Foreign => Err(io::ErrorKind::InvalidData.into()),
            worth => Ok((worth, response)),
        }
    }
}

/// A message as it goes over TCP (RFC 1035 section 4.2.2).
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(message.iter().take(usize::from(length)));
    framed
}
