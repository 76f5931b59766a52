//! One request on one connection to one server.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};

use mesh_proxy_core::ir::EndpointAddress;

use super::pool::{Lease, Pool, SendError, Waiting};
use super::{APP_CONNECT, DialError, Member, Secure};
use crate::http::headers;
use crate::http::{BodySource, Incoming, RequestBody, Version, wire};
use crate::net::{Dialer, Stream};
use crate::tls::Alpn;
use crate::worker::Worker;

pub use headers::Hop;

/// Where a connection leads.
#[derive(Clone, Copy)]
pub enum Origin<'a> {
    /// The application beside this proxy.
    App(SocketAddr, Dialer),
    /// An endpoint, with the time to connect to it.
    Endpoint(&'a Member, Duration),
    /// Where the client asked to go.
    Direct(&'a EndpointAddress, Duration),
}

/// One request to one server.
pub struct Sending<'a> {
    /// The worker.
    pub worker: &'a Rc<Worker>,
    /// Open connections to the server.
    pub pool: &'a Rc<Pool>,
    /// The server.
    pub origin: Origin<'a>,
    /// What is spoken.
    pub version: Version,
    /// Whether the request may be sent again although the server may have read it.
    pub repeatable: bool,
    /// The head as it came; it is given the form of `version`.
    pub head: &'a Parts,
    /// The body; `None` if there is none.
    pub body: Option<&'a BodySource>,
    /// What the head's hop-by-hop fields said.
    pub hop: &'a Hop,
}

/// The head of a response, with its connection.
pub struct Answer {
    /// The response.
    pub response: Response<Incoming>,
    /// The connection.
    pub lease: Lease,
}

/// Why there is no response.
#[derive(Debug)]
pub enum Failed {
    /// There is no connection.
    Dial(DialError),
    /// The connection failed.
    Send(SendError),
}

// === impl Sending ===

impl Sending<'_> {
    /// Sends the request on an open or a new connection. If the open one turns out to be closed
    /// by the server, a new one is tried: at once, and only if the server cannot have worked on
    /// the request, or if that does no harm.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn send(&self) -> Result<Answer, Failed> {
        let stages = &self.worker.shared.telemetry.stages;
        if let Some(mut lease) = self.pool.checkout(self.version, self.repeatable) {
            stages.reused.inc();
            match self.on(&mut lease).await {
                Ok(response) => return Ok(Answer { response, lease }),
                Err(failed) if !self.may_repeat(&failed) => return Err(Failed::Send(failed)),
                Err(_) => stages.retries.inc(),
            };
        }
        let mut lease = self.open().await.map_err(Failed::Dial)?;
        match self.on(&mut lease).await {
            Ok(response) => return Ok(Answer { response, lease }),
            Err(failed) if !lease.reused || !self.may_repeat(&failed) => {
                return Err(Failed::Send(failed));
            }
            // Another request's HTTP/2 connection, which ended meanwhile.
            Err(_) => {}
        }
        let mut lease = self.open().await.map_err(Failed::Dial)?;
        match self.on(&mut lease).await {
            Ok(response) => Ok(Answer { response, lease }),
            Err(failed) => Err(Failed::Send(failed)),
        }
    }

    async fn on(&self, lease: &mut Lease) -> Result<Response<Incoming>, SendError> {
        let mut waiting = self.begin(lease)?;
        poll_fn(|cx| waiting.poll_answer(cx)).await
    }

    // Apart, so that nothing of what was sent is kept while the answer is awaited.
    fn begin(&self, lease: &Lease) -> Result<Waiting, SendError> {
        let mut head = self.head.clone();
        wire::to_wire(&mut head, self.version, self.hop);
        let body = self.body.map_or(RequestBody::Empty, BodySource::next_try);
        lease.begin(Request::from_parts(head, body))
    }

    fn may_repeat(&self, failed: &SendError) -> bool {
        failed.is_stale()
            && (failed.unsent || self.repeatable)
            && self.body.is_none_or(BodySource::can_replay)
    }

    async fn open(&self) -> Result<Lease, DialError> {
        // All requests for one server share its HTTP/2 connection, also while it is opened.
        let _turn = match self.version {
            Version::Http1 => None,
            Version::Http2 => {
                let turn = self.pool.opening().await;
                if let Some(lease) = self.pool.checkout(Version::Http2, true) {
                    return Ok(lease);
                }
                Some(turn)
            }
        };
        self.worker.shared.telemetry.stages.connects.inc();
        // A request on an open connection does not hold the room for opening one.
        let stream = Box::pin(self.dial()).await?;
        Ok(self.pool.begin(stream, self.version))
    }

    async fn dial(&self) -> Result<Stream, DialError> {
        let connector = self.worker.upstreams.connector();
        let alpn = match self.version {
            Version::Http1 => Alpn::Http1,
            Version::Http2 => Alpn::Http2,
        };
        match self.origin {
            Origin::App(address, dialer) => connector.dial_from(address, dialer, APP_CONNECT).await,
            Origin::Endpoint(member, timeout) => connector.endpoint(member, alpn, timeout).await,
            Origin::Direct(address, timeout) => {
                connector.dial(address, &Secure::Plain, alpn, timeout).await
            }
        }
    }
}
