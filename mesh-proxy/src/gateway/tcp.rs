//! Opaque bytes at a gateway: without TLS, inside TLS that it has ended, or TLS that it passes
//! through.

use std::rc::Rc;
use std::sync::Arc;

use mesh_proxy_core::Reason;
use mesh_proxy_core::labels::{Reporter, SecurityPolicy};
use mesh_proxy_core::plan::{self, TcpAction};

use super::arrived::Arrived;
use crate::authz::{Asker, Decision, Passed, Side};
use crate::net::Stream;
use crate::outbound::{self, Target};
use crate::upstream::Carriage;

/// Authorises the connection and carries its bytes to the destination that the routes name.
pub(super) async fn serve(arrived: Rc<Arrived>, stream: Stream) {
    let worker = &arrived.worker;
    let carriage = carriage(&arrived, &stream);
    let passed = Passed::default();
    let verdict = Box::pin(asker(&arrived).check_tcp(&passed)).await;
    let allowed = verdict.allowed();
    let decision = Rc::clone(&carriage.decision);
    decision.set(verdict.counted(worker, &passed));
    if let Err(reason) = allowed {
        return carriage.refuse(stream, reason, "");
    }
    let planned = plan::gateway_tcp(
        &worker.shared.snapshot(),
        arrived.point(),
        &mut *worker.rng.borrow_mut(),
    );
    let cluster = match planned.action {
        TcpAction::Forward(cluster) => cluster,
        TcpAction::Passthrough => return carriage.refuse(stream, Reason::RouteNotFound, ""),
        TcpAction::Refuse(reason) => return carriage.refuse(stream, reason, ""),
    };
    let target = Target {
        host: cluster.id.host.clone(),
        port: cluster.id.port,
        original: None,
    };
    let target = match outbound::asked(&target, &cluster, arrived.sni()) {
        Ok(target) => target,
        Err(reason) => return carriage.refuse(stream, reason, ""),
    };
    let client = (Some(arrived.remote), Some(arrived.local));
    match Box::pin(outbound::endpoint(worker, &target, &cluster, client)).await {
        Ok(reached) => {
            let cut = Box::pin(async {
                let (reason, by) = denied(&arrived, &passed).await;
                if let Some(by) = by {
                    decision.set(Some(by));
                }
                reason
            });
            reached.carry(worker, stream, carriage, cut).await;
        }
        Err(unreachable) => carriage.refuse(stream, unreachable.reason, &unreachable.failure),
    }
}

/// The record of a connection that is not HTTP.
pub(super) fn carriage(arrived: &Arrived, stream: &Stream) -> Box<Carriage> {
    // Istio: gateways report as source.
    let mut carriage = Carriage::begin(&arrived.worker, Reporter::Source, stream);
    carriage.since(arrived.at);
    carriage.source = Arc::clone(&arrived.worker.own_labels);
    carriage.security = SecurityPolicy::Unknown;
    carriage.remote = Some(arrived.client);
    carriage.server_name = arrived.sni().unwrap_or_default().to_owned();
    carriage
}

fn asker(arrived: &Arrived) -> Asker<'_> {
    Asker {
        worker: &arrived.worker,
        side: Side::Gateway,
        caller: arrived.caller(),
        remote: arrived.client,
        scheme: "",
    }
}

// Resolves when a configuration denies what an older one allowed: also one that has come since the
// connection was let in.
async fn denied(arrived: &Arrived, passed: &Passed) -> (Reason, Option<Box<Decision>>) {
    let mut epoch = arrived.worker.shared.epoch();
    loop {
        let verdict = Box::pin(asker(arrived).check_tcp(passed)).await;
        if let Err(reason) = verdict.allowed() {
            return (reason, verdict.counted(&arrived.worker, passed));
        }
        if arrived.must_prove_more() {
            return (Reason::TlsSettingsChanged, None);
        }
        if epoch.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
