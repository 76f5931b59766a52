//! The servers of a control plane.

use mesh_ca::listen::Listener;
use mesh_ca::tls::Incoming;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Router;

use super::RunError;
use crate::admin::AdminListener;
use crate::kubernetes::ClusterHandle;

pub(super) async fn serve_discovery(
    incoming: Incoming,
    router: Router,
    (cluster, keys): (Option<ClusterHandle>, impl Future<Output = ()>),
    stop: CancellationToken,
) -> Result<(), RunError> {
    // Before everything is known, a proxy would be told that what is missing is gone.
    if let Some(cluster) = cluster {
        tokio::select! {
            () = cluster.synced() => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
    // Without the keys of token issuers, a proxy would have to refuse what it takes now.
    tokio::select! {
        () = keys => {}
        () = stop.cancelled() => return Ok(()),
    }
    router
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
        .map_err(RunError::from)
}

pub(super) fn serve_http(
    listeners: Vec<Listener>,
    router: &axum::Router,
    shutdown: &CancellationToken,
    servers: &mut JoinSet<Result<(), RunError>>,
) {
    for listener in listeners {
        let (router, stop) = (router.clone(), shutdown.clone());
        servers.spawn(async move {
            let serving = axum::serve(AdminListener(listener), router);
            serving
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
                .map_err(RunError::from)
        });
    }
}
