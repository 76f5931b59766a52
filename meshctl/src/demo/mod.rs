//! Bookinfo, embedded: the mesh, its configuration, its traffic, a live table of who calls whom,
//! and a tour that proves each feature.

mod edges;
mod ground;
mod live;
mod live_config;
mod sample;
mod tour;
mod traffic;

use std::net::SocketAddr;

use tokio::sync::watch;

use crate::state::{Capture, MeshRecord, WorkloadKind};

pub use edges::{EdgeRow, EdgeTable};
pub use ground::{
    ClusterGround, ComposeGround, Get, Ground, InForce, Killed, LaptopGround, WORKLOADS, Words,
};
pub use live::show_live;
pub use live_config::{ApplyError, LiveConfig};
pub use sample::{Sample, SampleError};
pub use tour::Tour;
pub use traffic::{Entrance, Target, Targets, Traffic};

/// Where this process reaches the sample's gateway.
pub fn gateway_address(record: &watch::Receiver<MeshRecord>) -> Option<SocketAddr> {
    let record = record.borrow();
    let gateway = record
        .workloads
        .iter()
        .find(|workload| workload.kind == WorkloadKind::Gateway)?;
    let port = gateway.ports.first()?;
    Some(match record.capture {
        Capture::Explicit => port.listen,
        // This process is inside of the mesh's network then, and that port outside of it.
        Capture::Transparent => SocketAddr::new(gateway.address, port.port),
    })
}
