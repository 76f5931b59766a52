//! Connections of applications, over our own HTTP/2: clients of gRPC name the path of the socket as
//! the authority, which other servers refuse.

use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, StreamBody};
use mesh_api::envoy_secret::secret_discovery_service_server::SecretDiscoveryServiceServer;
use mesh_api::spiffe_workload::spiffe_workload_api_server::SpiffeWorkloadApiServer;
use mesh_proxy_core::http2::Config;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::secrets::Secrets;
use super::spiffe::WorkloadApi;
use crate::drain::Drain;
use crate::http::{Incoming, TransportError};
use crate::http2::{self, AnswerBody, Patience};
use crate::identity::{AppIdentity, IdentityHandle};
use crate::net::{Stream, UnixListener, UnixStream};
use crate::settings::Users;

/// Requests are small, and answers are a few certificates.
const CONFIG: Config = Config {
    stream_window: 65_535,
    connection_window: 65_535,
    max_streams: 64,
    max_head: 16 * 1024,
};

/// Of a request, in octets: a token, and who asks.
const LONGEST_REQUEST: usize = 32 * 1024;

const PATIENCE: Patience = Patience {
    interval: Duration::from_secs(60),
    timeout: Duration::from_secs(20),
};

/// What gRPC answers.
struct Answer(Body);

/// Serves applications until the socket breaks.
///
/// # Errors
/// If it does.
pub(super) async fn serve(
    listener: StdUnixListener,
    users: Users,
    app: AppIdentity,
    own: IdentityHandle,
    drain: Drain,
) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let spiffe = WorkloadApi {
        app: app.clone(),
        own: own.clone(),
    };
    let workload_api =
        SpiffeWorkloadApiServer::new(spiffe).max_decoding_message_size(LONGEST_REQUEST);
    let routes = Routes::new(workload_api)
        .add_service(SecretDiscoveryServiceServer::new(Secrets { app, own }));
    loop {
        let stream = Stream::from(accept(&listener, &users).await?);
        let (routes, drain) = (routes.clone(), drain.clone());
        tokio::task::spawn_local(async move {
            let handle = |request| answer(routes.clone(), request);
            let refuse = |_, why| tracing::debug!(why, "no request of the application");
            let served = http2::serve(stream, CONFIG, PATIENCE, &drain, None, (handle, refuse));
            if let Err(error) = Box::pin(served).await {
                tracing::debug!(%error, "connection of the application ended");
            }
        });
    }
}

// The next connection of a user that may have the identity.
async fn accept(listener: &UnixListener, users: &Users) -> io::Result<UnixStream> {
    loop {
        let (stream, _) = listener.accept().await?;
        match stream.peer_cred() {
            Ok(peer) if users.contain(peer.uid()) => return Ok(stream),
            Ok(peer) => tracing::warn!(
                uid = peer.uid(),
                pid = peer.pid(),
                "a process of a user that may not have the workload's identity asked for it (--workload-api-users)"
            ),
            Err(error) => tracing::warn!(%error, "who asks for the workload's identity is unknown"),
        }
    }
}

async fn answer(routes: Routes, request: Request<Incoming>) -> Response<Answer> {
    let (parts, mut incoming) = request.into_parts();
    // gRPC's services want bodies that may change threads.
    let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, TransportError>>(1);
    tokio::task::spawn_local(async move {
        while let Some(frame) = incoming.frame().await {
            if sender.send(frame).await.is_err() {
                return;
            }
        }
    });
    let frames = ReceiverStream::new(receiver);
    let body = StreamBody::new(frames.map_err(|error| Status::unavailable(error.to_string())));
    let answered: Result<_, Infallible> = routes
        .oneshot(Request::from_parts(parts, Body::new(body)))
        .await;
    let Ok(response) = answered;
    response.map(Answer)
}

impl AnswerBody for Answer {
    const ANY_AUTHORITY: bool = true;

    fn skip(self) {}
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
