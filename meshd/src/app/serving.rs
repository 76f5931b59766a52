//! The servers of a control plane.

use std::sync::Arc;
use std::time::Duration;

use mesh_ca::listen::Listener;
use mesh_ca::tls::Incoming;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Router;

use super::RunError;
use crate::admin::AdminListener;
use crate::bundles::{BundleKeeper, BundleServer, BundleStore};
use crate::kubernetes::ClusterHandle;
use crate::mesh_config_file::MeshConfigFile;
use crate::publish::{ConfigHandle, Published};

/// What this mesh tells other meshes and hears of them, and the file that says of whom.
pub(super) struct Federation {
    pub(super) server: Option<BundleServer>,
    pub(super) store: BundleStore,
    pub(super) mesh_config: Option<MeshConfigFile>,
}

// === impl Federation ===

impl Federation {
    /// Begins all of it: in the first set what may be dropped at the end, in the second what
    /// serves.
    pub(super) fn start(
        self,
        (config, published): (ConfigHandle, watch::Receiver<Arc<Published>>),
        in_cluster: bool,
        (chores, servers): (&mut JoinSet<()>, &mut JoinSet<Result<(), RunError>>),
        stop: CancellationToken,
    ) {
        let keeper = BundleKeeper::new(config.clone(), published.clone(), self.store);
        chores.spawn(keeper.run());
        // In a cluster the ConfigMap is followed, which counts more.
        if let Some(file) = self.mesh_config.filter(|_| !in_cluster) {
            chores.spawn(file.follow(config));
        }
        if let Some(server) = self.server {
            server.start(published, stop, chores, servers);
        }
    }
}

/// For proxies, thousands of which stay connected.
pub(super) fn grpc_server() -> Server {
    Server::builder()
        // A proxy that vanished without a word is noticed within 20 s.
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(64)
}

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
