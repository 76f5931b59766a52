//! One HTTP/1.1 client connection.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::task::AbortOnDropHandle;

use super::{Answer, CallError};
use crate::{
    body::{self, BodyError},
    settings::Target,
};

/// Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    received: Arc<AtomicU64>,
    _driver: AbortOnDropHandle<()>,
}

/// A stream that counts the bytes it has received.
struct Counted {
    stream: TcpStream,
    received: Arc<AtomicU64>,
}

// === impl Connection ===

impl Connection {
    pub(super) async fn open(to: &Target) -> Result<Self, CallError> {
        let stream = TcpStream::connect((to.host(), to.port()))
            .await
            .map_err(CallError::Connect)?;
        stream.set_nodelay(true).map_err(CallError::Connect)?;
        let received = Arc::new(AtomicU64::new(0));
        let io = TokioIo::new(Counted {
            stream,
            received: received.clone(),
        });
        let (sender, connection) = http1::handshake(io).await?;
        let driver = tokio::spawn(async move {
            // The error, if any, is also what the pending request gets.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            received,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// How many bytes the peer has sent on this connection.
    pub(super) fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends the request and reads the whole answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> Result<Answer, CallError> {
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body::collect(body).await.map_err(|error| match error {
            BodyError::TooLarge => CallError::TooLarge,
            BodyError::Broken(error) => CallError::Connection(error),
        })?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

// === impl Counted ===

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let count = buf.filled().len().saturating_sub(before);
        self.received.fetch_add(count as u64, Ordering::Release);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
