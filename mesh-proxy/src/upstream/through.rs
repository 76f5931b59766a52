//! Connections through an HTTP proxy that a DestinationRule names (Istio: trafficPolicy.tunnel).

use std::io;
use std::time::Duration;

use bytes::Buf as _;
use http::Method;
use mesh_proxy_core::http1::parse_response;
use mesh_proxy_core::ir::Tunnel;
use mesh_proxy_core::plan::{self, TunnelAnswer};
use tokio::io::AsyncWriteExt as _;

use super::hbone::opening;
use super::{Connector, DialError, Member};
use crate::http1::PostTunnel;
use crate::http2::{self, Ends};
use crate::net::Stream;
use crate::tls::Alpn;

/// No head of a tunnel's answer is longer.
const MAX_HEAD: usize = 16 * 1024;

// === impl Connector ===

impl Connector {
    /// Opens a connection to an endpoint and asks it for a tunnel.
    ///
    /// # Errors
    /// [`DialError`]; [`DialError::Tunnel`] if there is none.
    pub(super) async fn through(
        &self,
        member: &Member,
        tunnel: &Tunnel,
        timeout: Duration,
    ) -> Result<Stream, DialError> {
        let http2 = plan::tunnels_over_http2(member.cluster());
        let alpn = if http2 { Alpn::Http2 } else { Alpn::Tcp };
        let stream = self.to_member(member, alpn, timeout).await?;
        let open = async {
            if http2 {
                self.over_http2(stream, tunnel).await
            } else {
                asked(stream, tunnel).await
            }
        };
        match tokio::time::timeout(timeout, open).await {
            Ok(Ok(Some(open))) => Ok(open),
            _ => Err(DialError::Tunnel(format!(
                "{}:{}",
                tunnel.host, tunnel.port
            ))),
        }
    }

    /// The tunnel is the only stream of its connection, which ends with it.
    async fn over_http2(&self, stream: Stream, tunnel: &Tunnel) -> io::Result<Option<Stream>> {
        let ends = Ends {
            local: stream.local_addr(),
            remote: stream.peer_addr(),
        };
        let handle = http2::connect(stream, opening(), self.tunnels.tasks());
        let head = plan::tunnel_head(tunnel);
        let answer = handle.tunnel(&head).await.map_err(io::Error::other)?;
        Ok(answer.ok().map(|tunnel| tunnel.between(ends)))
    }
}

/// Asks for a tunnel over HTTP/1.1, and gives it if it is open.
async fn asked(mut stream: Stream, tunnel: &Tunnel) -> io::Result<Option<Stream>> {
    stream.write_all(&plan::tunnel_request(tunnel)).await?;
    stream.flush().await?;
    if tunnel.post {
        return posted(stream).await;
    }
    loop {
        match plan::tunnel_answer(stream.unread()) {
            TunnelAnswer::Open(head) => {
                stream.unread_mut().advance(head);
                return Ok(Some(stream));
            }
            TunnelAnswer::Refused => return Ok(None),
            TunnelAnswer::NeedMore => {
                if stream.fill().await? == 0 {
                    return Ok(None);
                }
            }
        }
    }
}

/// Waits for the answer to a POST, whose body is the other direction.
async fn posted(mut stream: Stream) -> io::Result<Option<Stream>> {
    loop {
        let head = parse_response(stream.unread_mut(), &Method::POST);
        match head.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Some(head) if head.parts.status.is_informational() => {}
            Some(head) if head.parts.status.is_success() => {
                return Ok(Some(PostTunnel::new(stream, head.length).into()));
            }
            Some(_) => return Ok(None),
            None if stream.unread().len() > MAX_HEAD => return Ok(None),
            None => {
                if stream.fill().await? == 0 {
                    return Ok(None);
                }
            }
        }
    }
}
