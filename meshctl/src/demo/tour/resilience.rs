//! Steps in which something breaks and no request may.

use std::collections::BTreeMap;

use anyhow::ensure;
use mesh_api::v1::ProxySelf;

use super::{AUTHZ_FILE, EVERYTHING, Ground, MTLS_FILE, REVIEWS_FILE, Targets, Tour, told};
use crate::call::Admin;

/// Requests of the traffic that have to pass while something is broken.
const MEANWHILE: u64 = 60;
/// Until a killed process is out of the balance.
const FORGIVING: Targets = Targets {
    forgiving: true,
    ..EVERYTHING
};

pub(super) async fn steps<G: Ground>(tour: &mut Tour<G>) {
    let words = tour.ground.words();
    let (title, asked) = words.mistake;
    tour.step(title, asked, mistake).await;
    tour.step(
        "the control plane is killed",
        words.control_plane,
        control_plane,
    )
    .await;
    let (title, asked) = words.workload;
    tour.step(title, asked, reviews_process).await;
    tour.step(
        "every certificate is renewed",
        "a new certificate for each proxy",
        certificates,
    )
    .await;
}

async fn mistake<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let told_of_it = tour.ground.make_mistake().await?;
    tour.traffic.flow(MEANWHILE).await;
    let by = tour.reviewers(None, 10).await?;
    tour.ground.take_back().await?;
    Ok(format!("{told_of_it}; meanwhile {}", told(&by)))
}

async fn control_plane<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let before = tour.traffic.sent();
    let killed = tour.ground.kill_control_plane().await?;
    // A change after the restart shows that everybody listens to the new one.
    let status = tour.apply(&[(AUTHZ_FILE, None), (MTLS_FILE, None)]).await?;
    tour.traffic.flow(MEANWHILE).await;
    Ok(format!(
        "{killed}, {} requests sent meanwhile; {status}",
        tour.traffic.sent() - before
    ))
}

async fn reviews_process<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    // All three versions share the requests.
    tour.apply(&[(REVIEWS_FILE, None)]).await?;
    tour.traffic.switch(FORGIVING).await;
    let killed = tour.ground.kill_workload("reviews-v2").await?;
    tour.traffic.switch(EVERYTHING).await;
    let by = tour.reviewers(None, 60).await?;
    tour.traffic.flow(MEANWHILE).await;
    tour.ground.returned(&killed).await?;
    let status = tour.ground.settle().await?;
    Ok(format!(
        "{}, then {}; it runs again; {status}",
        killed.told,
        told(&by)
    ))
}

async fn certificates<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let proxies = tour.ground.proxies().await?;
    let before = serials(&proxies).await?;
    for (_, proxy) in &proxies {
        proxy.order("/v1/rotate").await?;
    }
    tour.traffic.flow(MEANWHILE).await;
    let after = serials(&proxies).await?;
    let renewed = before
        .iter()
        .filter(|(name, serial)| after.get(*name) != Some(serial))
        .count();
    ensure!(
        renewed == proxies.len(),
        "{renewed} of {} certificates are new",
        proxies.len()
    );
    let by = tour.reviewers(None, 30).await?;
    Ok(format!(
        "{renewed} of {} certificates are new; {}",
        proxies.len(),
        told(&by)
    ))
}

async fn serials(proxies: &[(String, Admin)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut serials = BTreeMap::new();
    for (name, proxy) in proxies {
        let status: ProxySelf = proxy.get("/v1/status").await?;
        ensure!(
            !status.certificate_serial.is_empty(),
            "{name} has no certificate"
        );
        serials.insert(name.clone(), status.certificate_serial);
    }
    Ok(serials)
}
