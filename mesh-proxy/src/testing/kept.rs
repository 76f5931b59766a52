//! What keeps a proxy current, running against the control plane of a test.

use std::sync::Arc;

use mesh_proxy_core::Snapshot;
use tokio::task::JoinSet;

use super::Plane;
use crate::control::{Client, Status, Store};
use crate::identity::{IdentityHandle, Manager, RotateHandle};
use crate::settings::{AccessLog, LogFormat, LogSink, Settings};
use crate::telemetry::Telemetry;

/// A client of discovery and a manager of certificates, until it is dropped.
pub(crate) struct Kept {
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Store,
    pub(crate) telemetry: Telemetry,
    pub(crate) identity: IdentityHandle,
    pub(crate) rotate: RotateHandle,
    pub(crate) status: Status,
    // Ends what runs with it.
    _tasks: JoinSet<()>,
}

// === impl Kept ===

impl Kept {
    /// Begins with a snapshot as from an earlier run.
    pub(crate) fn start(plane: &Plane, snapshot: Snapshot) -> Self {
        let settings = Arc::new(plane.settings());
        let (store, writer, demands) = Store::new(snapshot);
        let telemetry = Telemetry::new(&AccessLog {
            sink: LogSink::Off,
            format: LogFormat::Text,
        })
        .unwrap();
        let stages = telemetry.stages.clone();
        let (publisher, identity) = IdentityHandle::channel();
        let control_plane = settings.control_plane().unwrap();
        let (manager, rotate) = Manager::new(
            &settings,
            control_plane,
            store.clone(),
            publisher,
            stages.clone(),
        );
        let known = identity.clone();
        let (client, status) =
            Client::new(&settings, control_plane, writer, demands, known, stages);
        let mut tasks = JoinSet::new();
        tasks.spawn(manager.run());
        tasks.spawn(client.run());
        Self {
            settings,
            store,
            telemetry,
            identity,
            rotate,
            status,
            _tasks: tasks,
        }
    }
}
