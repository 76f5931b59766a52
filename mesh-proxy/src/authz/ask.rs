//! A question to an external authorizer, over the mesh: balanced, with mutual TLS where its
//! endpoints take it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use mesh_proxy_core::Reason;
use mesh_proxy_core::Snapshot;
use mesh_proxy_core::authz::{Authorizer, BodyLimit, put};
use mesh_proxy_core::balance::{NoEndpoint, Outcome, Want};
use mesh_proxy_core::filter::LocalResponse;
use mesh_proxy_core::plan::{self, Speech};

use super::{Asker, grpc, question};
use crate::clock;
use crate::http::headers::{Hop, X_MESH_PEER};
use crate::http::{BodySource, Buffered, Incoming, Version};
use crate::upstream::{Asked as AskedFor, DialError, Failed, Origin, Pick, Secure, Sending};

/// An answer is no longer than this.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// What an authorizer says.
pub(super) enum Answer {
    /// The request may go on, with these edits.
    Allowed(Edits),
    /// The client gets this.
    Denied(Denied),
    /// The request's body is longer than what the authorizer takes.
    TooLarge,
    /// The client is gone.
    Gone,
    /// It could not be asked.
    Failed(AskError),
}

/// Edits of a request that is allowed.
#[derive(Default)]
pub(super) struct Edits {
    /// In place of those of their names.
    pub(super) set: HeaderMap,
    /// Beside those of their names.
    pub(super) append: Vec<(HeaderName, HeaderValue)>,
    /// Only where there is none of the name.
    pub(super) absent: Vec<(HeaderName, HeaderValue)>,
    /// Gone.
    pub(super) remove: Vec<HeaderName>,
    /// Query parameters to set.
    pub(super) params: Vec<(String, String)>,
    /// Query parameters to leave out.
    pub(super) without_params: Vec<String>,
    /// For the client.
    pub(super) to_client: HeaderMap,
}

/// What the client gets in place of an answer.
pub(super) struct Denied {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why an authorizer could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("{0}")]
    Unusable(String),
    #[error("no endpoint of {0} is known")]
    Unknown(String),
    #[error(transparent)]
    NoEndpoint(#[from] NoEndpoint),
    #[error("its policy admits no more: {0}")]
    Limit(Reason),
    #[error("no connection: {0}")]
    Dial(#[from] DialError),
    #[error("the connection failed: {0}")]
    Send(String),
    #[error("no answer in time")]
    Timeout,
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

/// Asks an authorizer about a request.
pub(super) async fn ask(
    asker: &Asker<'_>,
    snapshot: &Snapshot,
    authorizer: &Authorizer,
    parts: &Parts,
    incoming: &mut Incoming,
) -> Answer {
    let seen = match &authorizer.body {
        None => Bytes::new(),
        Some(limit) => match read_ahead(incoming, limit).await {
            Ok(Some(seen)) => seen,
            Ok(None) => return Answer::TooLarge,
            Err(()) => return Answer::Gone,
        },
    };
    let question = match &authorizer.http {
        Some(http) => question::new(http, parts, seen),
        None => grpc::about_request(asker, authorizer, parts, (seen, incoming)),
    };
    put_to(asker, snapshot, authorizer, question).await
}

/// Asks an authorizer over gRPC about a connection of opaque bytes.
pub(super) async fn about_connection(
    asker: &Asker<'_>,
    snapshot: &Snapshot,
    authorizer: &Authorizer,
) -> Answer {
    let question = grpc::about_connection(asker, authorizer);
    put_to(asker, snapshot, authorizer, question).await
}

async fn put_to(
    asker: &Asker<'_>,
    snapshot: &Snapshot,
    authorizer: &Authorizer,
    question: Question,
) -> Answer {
    let asked = async {
        let answer = send(asker, snapshot, authorizer, question).await?;
        match &authorizer.http {
            Some(_) => question::answer(authorizer, answer),
            None => grpc::answer(&answer),
        }
    };
    match tokio::time::timeout(authorizer.timeout, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Failed(error),
        Err(_) => Answer::Failed(AskError::Timeout),
    }
}

/// Reads so much of a body, and puts it back before the rest. None if there is more, and all is
/// asked for. An error: the client broke off.
async fn read_ahead(incoming: &mut Incoming, limit: &BodyLimit) -> Result<Option<Bytes>, ()> {
    let mut frames = VecDeque::new();
    let mut seen = BytesMut::new();
    let mut more = false;
    while !incoming.is_end_stream() {
        let Some(frame) = incoming.frame().await else {
            break;
        };
        let frame = frame.map_err(|_| ())?;
        if let Some(data) = frame.data_ref() {
            let room = limit.max_bytes.saturating_sub(seen.len());
            more = data.len() > room;
            seen.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
        }
        frames.push_back(frame);
        if more {
            break;
        }
    }
    let rest = std::mem::replace(incoming, Incoming::Empty);
    *incoming = Incoming::Buffered(Box::new(Buffered::new(frames, rest)));
    if more && !limit.allow_partial {
        return Ok(None);
    }
    Ok(Some(seen.freeze()))
}

/// A question, ready to be sent.
pub(super) struct Question {
    pub(super) head: Parts,
    pub(super) body: Bytes,
    pub(super) http2: bool,
}

/// An answer's head, body and trailers.
pub(super) struct Whole {
    pub(super) head: http::response::Parts,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

async fn send(
    asker: &Asker<'_>,
    snapshot: &Snapshot,
    authorizer: &Authorizer,
    question: Question,
) -> Result<Whole, AskError> {
    let worker = asker.worker;
    let id = authorizer
        .cluster
        .as_ref()
        .map_err(|why| AskError::Unusable(why.to_string()))?;
    let cluster = snapshot
        .cluster(id)
        .ok_or_else(|| AskError::Unknown(id.to_string()))?;
    let target = worker.upstreams.target(cluster).await?;
    let allowed = target.admit().map_err(AskError::Limit)?;
    let began = clock::monotonic();
    let picked = {
        let mut rng = worker.rng.borrow_mut();
        let asked = AskedFor {
            host: &id.host,
            port: id.port,
            want: Want::default(),
        };
        target.pick(asked, &mut *rng, began)?
    };
    let Pick {
        member,
        mut tracking,
    } = picked;
    tracking.hold(allowed.into_count());
    let Question {
        mut head,
        body,
        http2,
    } = question;
    let over_mesh = matches!(member.secure, Secure::Mesh { .. });
    match worker.own_header.as_ref().filter(|_| over_mesh) {
        Some(own) => head.headers.insert(X_MESH_PEER, own.clone()),
        None => head.headers.remove(X_MESH_PEER),
    };
    let speech = Speech {
        client_http2: http2,
        upgrades: false,
        grpc: http2,
        over_mesh,
    };
    let version = if http2 || plan::speaks_http2(cluster, speech) {
        Version::Http2
    } else {
        Version::Http1
    };
    let source = (!body.is_empty()).then(|| {
        let frames = VecDeque::from([http_body::Frame::data(body)]);
        BodySource::new(Incoming::Buffered(Box::new(Buffered::new(
            frames,
            Incoming::Empty,
        ))))
    });
    let sending = Sending {
        worker,
        pool: &member.pool,
        origin: Origin::Endpoint(&member, cluster.connect_timeout),
        version,
        // To be asked twice changes nothing.
        repeatable: true,
        head: &head,
        body: source.as_ref(),
        hop: &Hop::default(),
    };
    let answer = sending.send().await.map_err(|failed| match failed {
        Failed::Dial(error) => AskError::Dial(error),
        Failed::Send(failed) => AskError::Send(failed.error.to_string()),
    })?;
    let latency = clock::monotonic().duration_since(began);
    tracking.answered(Outcome::of_status(answer.response.status()), latency);
    let whole = read(answer.response).await?;
    answer.lease.release();
    tracking.finished();
    Ok(whole)
}

async fn read(response: Response<Incoming>) -> Result<Whole, AskError> {
    let (head, body) = response.into_parts();
    let collected = Limited::new(body, LONGEST_ANSWER)
        .collect()
        .await
        .map_err(|error| AskError::Unreadable(error.to_string()))?;
    let trailers = collected.trailers().cloned();
    Ok(Whole {
        head,
        body: collected.to_bytes(),
        trailers,
    })
}

// === impl Edits ===

impl Edits {
    /// Edits a request that goes on.
    pub(super) fn apply(self, parts: &mut Parts, to_client: &mut HeaderMap) {
        for name in self.remove {
            parts.headers.remove(name);
        }
        put(&mut parts.headers, self.set);
        for (name, value) in self.append {
            parts.headers.append(name, value);
        }
        for (name, value) in self.absent {
            parts.headers.entry(name).or_insert(value);
        }
        if !(self.params.is_empty() && self.without_params.is_empty()) {
            plan::set_params(parts, &self.params, &self.without_params);
        }
        put(to_client, self.to_client);
    }
}

// === impl Denied ===

impl Denied {
    /// The answer; a gRPC client gets it as a gRPC status.
    pub(super) fn into_response(self, grpc: bool) -> Box<LocalResponse> {
        let reason = Reason::ExternalAuthorizationDenied;
        let mut answer = LocalResponse::new(reason, self.status, self.body, grpc);
        if !grpc {
            put(&mut answer.headers, self.headers);
        }
        Box::new(answer)
    }
}
