//! The ground of `meshctl demo`: processes of this machine.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::time::timeout;

use super::broken;
use super::{Get, Ground, InForce, Killed, Words};
use crate::call::{Admin, Answer, Caller, Via, call};
use crate::demo::{Entrance, LiveConfig};
use crate::state::{MeshRecord, WorkloadRecord};

const PATIENCE: Duration = Duration::from_secs(15);
const OUTSIDE_PATIENCE: Duration = Duration::from_secs(10);

/// Bookinfo as processes of this machine.
#[derive(Debug)]
pub struct LaptopGround {
    gateway: Entrance,
    live: LiveConfig,
    record: watch::Receiver<MeshRecord>,
}

// === impl LaptopGround ===

impl LaptopGround {
    /// The sample behind this gateway, whose configuration is this directory.
    pub fn new(gateway: SocketAddr, live: LiveConfig, record: watch::Receiver<MeshRecord>) -> Self {
        Self {
            gateway: Entrance::at(gateway),
            live,
            record,
        }
    }

    fn workload(&self, name: &str) -> anyhow::Result<WorkloadRecord> {
        Ok(self.record.borrow().workload(name)?.clone())
    }

    /// Waits until the record of the mesh is as wished.
    async fn record_when(
        &self,
        what: &str,
        wish: impl Fn(&MeshRecord) -> bool,
    ) -> anyhow::Result<()> {
        let mut record = self.record.clone();
        match timeout(PATIENCE, record.wait_for(|record| wish(record))).await {
            Ok(changed) => changed.map(|_| ()).context("the mesh has stopped"),
            Err(_) => bail!("{what} did not happen within {PATIENCE:?}"),
        }
    }
}

impl Ground for LaptopGround {
    fn words(&self) -> Words {
        Words {
            mistake: (
                "a broken file is reported with its place",
                "a VirtualService with a bracket missing",
            ),
            control_plane: "SIGKILL, then a change of the configuration",
            workload: (
                "one of three reviews processes is killed",
                "SIGKILL for reviews-v2",
            ),
            patience: PATIENCE,
            step: Duration::from_secs(90),
        }
    }

    fn gateway(&self) -> &Entrance {
        &self.gateway
    }

    async fn apply(&self, changes: &[(&str, Option<&str>)]) -> anyhow::Result<InForce> {
        Ok((&self.live.apply(changes).await?).into())
    }

    async fn settle(&self) -> anyhow::Result<InForce> {
        Ok((&self.live.settle().await?).into())
    }

    async fn get_as(&self, workload: &str, request: &Get<'_>) -> anyhow::Result<Answer> {
        let workload = self.workload(workload)?;
        let record = self.record.borrow().clone();
        let caller = Caller::new(&record, &workload)?;
        let answer = caller.get(request.url, request.headers, request.timeout);
        Ok(answer.await?)
    }

    async fn get_outside(&self, workload: &str, port: u16, path: &str) -> anyhow::Result<Answer> {
        let record = self.workload(workload)?;
        let app = record.labels.get("app").cloned().unwrap_or_default();
        let request =
            Request::get(format!("http://{app}:{port}{path}")).body(Full::<Bytes>::default())?;
        let via = Via::Address(SocketAddr::new(record.address, port));
        Ok(call(&via, request, OUTSIDE_PATIENCE).await?)
    }

    async fn proxies_of(&self, workload: &str) -> anyhow::Result<Vec<Admin>> {
        Ok(vec![admin(&self.workload(workload)?)])
    }

    async fn proxies(&self) -> anyhow::Result<Vec<(String, Admin)>> {
        let record = self.record.borrow();
        let all = record.workloads.iter();
        Ok(all
            .map(|workload| (workload.name.clone(), admin(workload)))
            .collect())
    }

    async fn make_mistake(&self) -> anyhow::Result<String> {
        self.live.write(broken::FILE, Some(broken::TEXT))?;
        broken::reported(self.live.admin(), PATIENCE).await
    }

    async fn take_back(&self) -> anyhow::Result<()> {
        self.live.write(broken::FILE, None)?;
        broken::forgotten(self.live.admin(), PATIENCE).await
    }

    async fn kill_control_plane(&self) -> anyhow::Result<String> {
        let old = self
            .record
            .borrow()
            .control_plane_pid
            .context("the control plane does not run")?;
        end(old)?;
        self.record_when("the restart of the control plane", |record| {
            record.control_plane_pid.is_some_and(|pid| pid != old)
        })
        .await?;
        let new = self.record.borrow().control_plane_pid.unwrap_or_default();
        Ok(format!("process {old} killed, {new} runs"))
    }

    async fn kill_workload(&self, workload: &str) -> anyhow::Result<Killed> {
        let old = self
            .workload(workload)?
            .app_pid
            .with_context(|| format!("{workload} does not run"))?;
        end(old)?;
        self.record_when(&format!("the end of {workload}"), |record| {
            record
                .workload(workload)
                .is_ok_and(|record| record.app_pid != Some(old))
        })
        .await?;
        // The control plane tells everybody; the proxies eject it by themselves even before.
        self.live.settle().await?;
        Ok(Killed {
            workload: workload.to_owned(),
            id: old.to_string(),
            told: format!("process {old} killed"),
        })
    }

    async fn returned(&self, killed: &Killed) -> anyhow::Result<()> {
        let what = format!("the restart of {}", killed.workload);
        self.record_when(&what, |record| {
            record.workload(&killed.workload).is_ok_and(|record| {
                record
                    .app_pid
                    .is_some_and(|pid| pid.to_string() != killed.id)
            })
        })
        .await
    }

    async fn clean_up(&self) -> anyhow::Result<()> {
        // The whole mesh goes with the demo.
        Ok(())
    }
}

fn admin(workload: &WorkloadRecord) -> Admin {
    Admin::new(format!("the proxy of {}", workload.name), &workload.admin)
}

fn end(pid: u32) -> anyhow::Result<()> {
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)
        .with_context(|| format!("cannot kill process {pid}"))
}
