//! Steps in which something breaks and no request may.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use mesh_api::v1::{Problem, ProblemList, ProxySelf};
use meshd_core::ProblemLine;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::{
    AUTHZ_FILE, BROKEN_FILE, EVERYTHING, MTLS_FILE, PATIENCE, PAUSE, REVIEWS_FILE, Targets, Tour,
    in_force, told,
};

const BROKEN: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: broken
spec:
  hosts: [reviews
  http: []
";
/// Requests of the traffic that have to pass while something is broken.
const MEANWHILE: u64 = 60;
/// Until a killed process is out of the balance.
const FORGIVING: Targets = Targets {
    forgiving: true,
    ..EVERYTHING
};

pub(super) async fn steps(tour: &mut Tour) {
    tour.step(
        "a broken file is reported with its place",
        "a VirtualService with a bracket missing",
        broken_file,
    )
    .await;
    tour.step(
        "the control plane is killed",
        "SIGKILL, then a change of the configuration",
        control_plane,
    )
    .await;
    tour.step(
        "one of three reviews processes is killed",
        "SIGKILL for reviews-v2",
        reviews_process,
    )
    .await;
    tour.step(
        "every certificate is renewed",
        "a new certificate for each proxy",
        certificates,
    )
    .await;
}

async fn broken_file(tour: &Tour) -> anyhow::Result<String> {
    tour.live.write(BROKEN_FILE, Some(BROKEN))?;
    let problem = problem_of(tour, true)
        .await?
        .context("no problem was reported")?;
    tour.traffic.flow(MEANWHILE).await;
    let by = tour.reviewers(None, 10).await?;
    tour.live.write(BROKEN_FILE, None)?;
    problem_of(tour, false).await?;
    Ok(format!(
        "{}; meanwhile {}",
        ProblemLine(&problem),
        told(&by)
    ))
}

/// Waits until the broken file has a problem with a line, or none any more.
async fn problem_of(tour: &Tour, wanted: bool) -> anyhow::Result<Option<Problem>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list: ProblemList = tour.live.admin().get("/v1/problems").await?;
        let here = |problem: &Problem| {
            problem
                .origin
                .as_ref()
                .is_some_and(|origin| origin.source.ends_with(BROKEN_FILE) && origin.line > 0)
        };
        let found = list.problems.into_iter().find(here);
        if found.is_some() == wanted {
            return Ok(found);
        }
        let what = if wanted { "reported" } else { "gone" };
        ensure!(
            Instant::now() < deadline,
            "the problem of {BROKEN_FILE} is not {what} after {PATIENCE:?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

async fn control_plane(tour: &Tour) -> anyhow::Result<String> {
    let old = tour
        .record
        .borrow()
        .control_plane_pid
        .context("the control plane does not run")?;
    let before = tour.traffic.sent();
    end(old)?;
    tour.record_when("the restart of the control plane", |record| {
        record.control_plane_pid.is_some_and(|pid| pid != old)
    })
    .await?;
    let new = tour.record.borrow().control_plane_pid.unwrap_or_default();
    // A change after the restart shows that everybody listens to the new one.
    let status = tour.apply(&[(AUTHZ_FILE, None), (MTLS_FILE, None)]).await?;
    tour.traffic.flow(MEANWHILE).await;
    Ok(format!(
        "process {old} killed, {new} runs, {} requests sent meanwhile; {}",
        tour.traffic.sent() - before,
        in_force(&status)
    ))
}

async fn reviews_process(tour: &Tour) -> anyhow::Result<String> {
    // All three versions share the requests.
    tour.apply(&[(REVIEWS_FILE, None)]).await?;
    let old = tour
        .workload("reviews-v2")?
        .app_pid
        .context("reviews-v2 does not run")?;
    tour.traffic.switch(FORGIVING).await;
    end(old)?;
    tour.record_when("the end of reviews-v2", |record| {
        record
            .workload("reviews-v2")
            .is_ok_and(|reviews| reviews.app_pid != Some(old))
    })
    .await?;
    // The control plane tells everybody; the proxies eject it by themselves even before.
    tour.live.settle().await?;
    tour.traffic.switch(EVERYTHING).await;
    let by = tour.reviewers(None, 60).await?;
    tour.traffic.flow(MEANWHILE).await;
    tour.record_when("the restart of reviews-v2", |record| {
        record
            .workload("reviews-v2")
            .is_ok_and(|reviews| reviews.app_pid.is_some_and(|pid| pid != old))
    })
    .await?;
    let status = tour.live.settle().await?;
    Ok(format!(
        "process {old} killed, then {}; it runs again; {}",
        told(&by),
        in_force(&status)
    ))
}

async fn certificates(tour: &Tour) -> anyhow::Result<String> {
    let names = tour
        .record
        .borrow()
        .workloads
        .iter()
        .map(|workload| workload.name.clone())
        .collect::<Vec<_>>();
    let before = serials(tour, &names).await?;
    for name in &names {
        tour.proxy(name)?.order("/v1/rotate").await?;
    }
    tour.traffic.flow(MEANWHILE).await;
    let after = serials(tour, &names).await?;
    let renewed = names
        .iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .count();
    ensure!(
        renewed == names.len(),
        "{renewed} of {} certificates are new",
        names.len()
    );
    let by = tour.reviewers(None, 30).await?;
    Ok(format!(
        "{renewed} of {} certificates are new; {}",
        names.len(),
        told(&by)
    ))
}

async fn serials(tour: &Tour, names: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut serials = BTreeMap::new();
    for name in names {
        let status: ProxySelf = tour.proxy(name)?.get("/v1/status").await?;
        ensure!(
            !status.certificate_serial.is_empty(),
            "{name} has no certificate"
        );
        serials.insert(name.clone(), status.certificate_serial);
    }
    Ok(serials)
}

fn end(pid: u32) -> anyhow::Result<()> {
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)
        .with_context(|| format!("cannot kill process {pid}"))
}
