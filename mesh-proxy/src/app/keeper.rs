//! What keeps configuration and certificate current: a control plane's clients, or files.

use std::pin::Pin;
use std::sync::Arc;

use mesh_proxy_core::Snapshot;
use tracing::{info, warn};

use super::BuildError;
use crate::control::{Cache, Client, Demands, Follower, Opened, Status, Store, Writer};
use crate::drain::DrainSignal;
use crate::identity::{
    AppIdentity, AppManager, FilesManager, IdentityHandle, Manager, Publisher, RotateHandle,
};
use crate::settings::{ControlPlane, Provider, Settings, StaticFiles};
use crate::telemetry::{Stages, Telemetry};

/// What keeps configuration and certificate current, before it runs.
pub(super) enum Keeper {
    ControlPlane {
        plane: Arc<ControlPlane>,
        snapshot: Writer,
        demands: Demands,
        identity: Publisher,
    },
    Files(Keeping),
}

/// The same, ready to run on the control thread.
pub(super) struct Keeping {
    pub(super) tasks: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(super) control: Status,
    pub(super) rotate: RotateHandle,
    pub(super) app: Option<AppIdentity>,
}

/// What the rest of the proxy reads.
pub(super) struct Kept {
    pub(super) store: Store,
    pub(super) identity: IdentityHandle,
}

/// Reads what is there before anybody is called: the files, or the cached snapshot.
///
/// # Errors
/// If files cannot be used. A cache that cannot be read is no error.
pub(super) async fn open(
    settings: &Settings,
    telemetry: &Telemetry,
) -> Result<(Keeper, Kept), BuildError> {
    match &settings.provider {
        Provider::ControlPlane(plane) => {
            let (store, snapshot, demands) = Store::new(cached(settings).await);
            let (publisher, identity) = IdentityHandle::channel();
            let keeper = Keeper::ControlPlane {
                plane: Arc::clone(plane),
                snapshot,
                demands,
                identity: publisher,
            };
            Ok((keeper, Kept { store, identity }))
        }
        Provider::Files(files) => files_of(settings, files, telemetry.stages.clone()).await,
    }
}

async fn files_of(
    settings: &Settings,
    files: &StaticFiles,
    stages: Stages,
) -> Result<(Keeper, Kept), BuildError> {
    let opened = Opened::read(files.resources.clone(), settings.kind).await?;
    let (store, writer, demands) = Store::new(Snapshot::empty());
    let (follower, control) = Follower::new(settings, opened, writer, demands, stages.clone());
    let (publisher, identity) = IdentityHandle::channel();
    let (manager, rotate) =
        FilesManager::new(files.identity.clone(), store.clone(), publisher, stages).await?;
    let keeping = Keeping {
        tasks: vec![Box::pin(follower.run()), Box::pin(manager.run())],
        control,
        rotate,
        app: None,
    };
    Ok((Keeper::Files(keeping), Kept { store, identity }))
}

async fn cached(settings: &Settings) -> Snapshot {
    let Some(directory) = &settings.state else {
        return Snapshot::empty();
    };
    match Cache::new(directory, &settings.workload).load().await {
        Ok(Some(snapshot)) => {
            info!(
                revision = snapshot.revision(),
                "serving the snapshot of an earlier run until the control plane answers"
            );
            snapshot
        }
        Ok(None) => Snapshot::empty(),
        Err(error) => {
            warn!(%error, "no snapshot of an earlier run");
            Snapshot::empty()
        }
    }
}

// === impl Keeper ===

impl Keeper {
    /// Makes it ready to run. Call it on the control thread.
    pub(super) fn start(
        self,
        settings: &Arc<Settings>,
        kept: &Kept,
        stages: Stages,
        drain: &DrainSignal,
    ) -> Keeping {
        match self {
            Self::ControlPlane {
                plane,
                snapshot,
                demands,
                identity,
            } => {
                let (manager, rotate) = Manager::new(
                    settings,
                    &plane,
                    kept.store.clone(),
                    identity,
                    stages.clone(),
                );
                let (client, control) = Client::new(
                    settings,
                    &plane,
                    snapshot,
                    demands,
                    kept.identity.clone(),
                    stages,
                );
                let client = client.tell_of(drain.subscribe());
                let mut keeping = Keeping {
                    tasks: vec![Box::pin(client.run()), Box::pin(manager.run())],
                    control,
                    rotate,
                    app: None,
                };
                if settings.pod.workload_api.is_some() {
                    let own = kept.identity.clone();
                    let (manager, app) = AppManager::new(settings, &plane, own, kept.store.clone());
                    keeping.tasks.push(Box::pin(manager.run()));
                    keeping.app = Some(app);
                }
                keeping
            }
            Self::Files(keeping) => keeping,
        }
    }
}
