//! Bookinfo under docker-compose. What is needed of its compose file, by names of services:
//! - `meshd`: the control plane, which reads the directory `config` beside the compose file;
//! - `<workload>`: each application, and `<workload>-proxy`: its sidecar, which owns the network
//!   that both are in, so that the application can be killed alone;
//! - `ingressgateway`: the gateway, whose port 8080 is published.
//!
//! Requests as a workload and to loopback ports go by a container of the image `meshctl`, of the
//! same registry and version as that of `meshd`, in the network of whom they are for.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use mesh_api::v1::ControlPlaneStatus;
use tokio::net::lookup_host;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::docker::{Container, docker, project};
use super::{Get, Ground, InForce, Killed, WORKLOADS, Words, broken};
use crate::call::{Admin, Answer, Caller, Inside, Via};
use crate::demo::{Entrance, traffic};
use crate::file;
use crate::target::ADMIN_PORT;

const CONTROL_PLANE: &str = "meshd";
const GATEWAY: &str = "ingressgateway";
const GATEWAY_PORT: &str = "8080/tcp";
/// Directory of the live configuration, beside the compose file.
const CONFIG: &str = "config";
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const OUTSIDE_PATIENCE: Duration = Duration::from_secs(15);
/// Capture leaves the proxy's own user (1337) alone, so requests come from another one.
const USER: &str = "65532:65532";
/// So many requests in a row pass once a killed application gets none.
const IN_A_ROW: usize = 30;

/// Bookinfo as containers.
#[derive(Debug)]
pub struct ComposeGround {
    dir: PathBuf,
    containers: BTreeMap<String, Container>,
    gateway: Entrance,
    /// `registry/meshctl:tag`.
    image: String,
    /// Helper containers, by the service whose network they are in.
    helpers: Mutex<BTreeMap<String, Inside>>,
    /// Files that the tour has written.
    written: Mutex<Vec<PathBuf>>,
}

// === impl ComposeGround ===

impl ComposeGround {
    /// The project whose compose file is in a directory; its gateway at `gateway`, or where it is
    /// published.
    ///
    /// # Errors
    /// If something of it is missing.
    pub async fn open(dir: &Path, gateway: Option<&str>) -> anyhow::Result<Self> {
        let containers = project(dir).await?;
        let mut needed = vec![CONTROL_PLANE.to_owned(), GATEWAY.to_owned()];
        for workload in WORKLOADS {
            needed.extend([workload.to_owned(), sidecar(workload)]);
        }
        let missing = needed
            .into_iter()
            .filter(|service| containers.get(service).is_none_or(|one| !one.state.running))
            .collect::<Vec<_>>();
        ensure!(
            missing.is_empty(),
            "these services do not run: {}; start them with `docker compose up -d` in {}",
            missing.join(", "),
            dir.display()
        );
        let gateway = match gateway {
            Some(given) => given.to_owned(),
            None => published(&containers)?,
        };
        let mut found = lookup_host(&gateway)
            .await
            .with_context(|| format!("`{gateway}` is no HOST:PORT of a gateway"))?;
        let gateway = Entrance::at(found.next().context("the gateway has no address")?);
        let image = containers
            .get(CONTROL_PLANE)
            .and_then(|meshd| sibling(&meshd.config.image))
            .context("the image of meshd is not called `meshd`, so that of meshctl is not known")?;
        Ok(Self {
            dir: dir.join(CONFIG),
            containers,
            gateway,
            image,
            helpers: Mutex::default(),
            written: Mutex::default(),
        })
    }

    /// A helper in the network of a service's container.
    async fn helper(&self, service: &str) -> anyhow::Result<Inside> {
        let mut helpers = self.helpers.lock().await;
        if let Some(helper) = helpers.get(service) {
            return Ok(helper.clone());
        }
        let id = &self.container(service)?.id;
        let helper = self.start_helper(service, &format!("container:{id}"))?;
        helpers.insert(service.to_owned(), helper.clone());
        Ok(helper)
    }

    fn start_helper(&self, place: &str, network: &str) -> anyhow::Result<Inside> {
        let mut command = std::process::Command::new("docker");
        command.args(["run", "--rm", "-i", "--user", USER, "--network", network]);
        command.args([self.image.as_str(), "internal", "caller"]);
        Ok(Inside::start(
            format!("in the network of {place}"),
            command,
        )?)
    }

    fn container(&self, service: &str) -> anyhow::Result<&Container> {
        self.containers
            .get(service)
            .with_context(|| format!("there is no service {service}"))
    }

    async fn admin(&self, service: &str, owner: String) -> anyhow::Result<Admin> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT));
        Ok(Admin::inside(owner, self.helper(service).await?, address))
    }

    async fn control_plane(&self) -> anyhow::Result<Admin> {
        let owner = "the control plane".to_owned();
        self.admin(CONTROL_PLANE, owner).await
    }

    async fn proxy(&self, workload: &str) -> anyhow::Result<Admin> {
        let service = if workload == GATEWAY {
            GATEWAY.to_owned()
        } else {
            sidecar(workload)
        };
        self.admin(&service, format!("the proxy of {workload}"))
            .await
    }

    async fn write(&self, name: &str, text: Option<&str>) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        let changed = match text {
            Some(text) => {
                self.written.lock().await.push(path.clone());
                file::replace(&path, text.as_bytes())
            }
            None => match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        changed.with_context(|| format!("cannot change {}", path.display()))
    }

    async fn pid(&self, service: &str) -> anyhow::Result<i64> {
        let id = &self.container(service)?.id;
        let told = docker(&["inspect", "--format", "{{.State.Pid}}", id]).await?;
        told.trim().parse().context("docker tells no process")
    }

    /// Kills a container and starts it again; Compose's restart policies do not count killing by
    /// hand as a failure. Gives both processes.
    async fn restart(&self, service: &str) -> anyhow::Result<(i64, i64)> {
        let id = self.container(service)?.id.clone();
        let old = self.pid(service).await?;
        docker(&["kill", &id]).await?;
        docker(&["start", &id]).await?;
        Ok((old, self.pid(service).await?))
    }
}

impl Ground for ComposeGround {
    fn words(&self) -> Words {
        Words {
            mistake: (
                "a broken file is reported with its place",
                "a VirtualService with a bracket missing",
            ),
            control_plane: "SIGKILL for the container of meshd, then a change of the configuration",
            workload: (
                "one of three reviews containers is killed",
                "SIGKILL for the container of reviews-v2",
            ),
            patience: PATIENCE,
            step: Duration::from_secs(180),
        }
    }

    fn gateway(&self) -> &Entrance {
        &self.gateway
    }

    async fn apply(&self, changes: &[(&str, Option<&str>)]) -> anyhow::Result<InForce> {
        for (name, text) in changes {
            self.write(name, *text).await?;
        }
        self.settle().await
    }

    async fn settle(&self) -> anyhow::Result<InForce> {
        let expected = u32::try_from(WORKLOADS.len() + 1)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let admin = self.control_plane().await?;
            // It looks at the files first, so that what was just written counts.
            let asked: Result<ControlPlaneStatus, _> = admin.get("/v1/wait?timeout=5").await;
            let told = match asked {
                Ok(status) if status.connected == expected => return Ok((&status).into()),
                Ok(status) => format!("{} proxies are connected", status.connected),
                Err(error) => error.to_string(),
            };
            ensure!(
                Instant::now() < deadline,
                "not in force in {expected} proxies after {PATIENCE:?}: {told}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn get_as(&self, workload: &str, request: &Get<'_>) -> anyhow::Result<Answer> {
        let inside = self.helper(&sidecar(workload)).await?;
        let caller = Caller::at(Via::Inside(inside));
        let answer = caller.get(request.url, request.headers, request.timeout);
        Ok(answer.await?)
    }

    async fn get_outside(&self, workload: &str, port: u16, path: &str) -> anyhow::Result<Answer> {
        let container = self.container(&sidecar(workload))?;
        let networks = &container.network_settings.networks;
        let (network, own) = networks.first_key_value().context("it has no network")?;
        let inside = self.start_helper("the project", network)?;
        let caller = Caller::at(Via::Inside(inside));
        let url = format!("http://{}:{port}{path}", own.address);
        Ok(caller.get(&url, &[], OUTSIDE_PATIENCE).await?)
    }

    async fn proxies_of(&self, workload: &str) -> anyhow::Result<Vec<Admin>> {
        Ok(vec![self.proxy(workload).await?])
    }

    async fn proxies(&self) -> anyhow::Result<Vec<(String, Admin)>> {
        let mut all = Vec::new();
        for workload in WORKLOADS.into_iter().chain([GATEWAY]) {
            all.push((workload.to_owned(), self.proxy(workload).await?));
        }
        Ok(all)
    }

    async fn make_mistake(&self) -> anyhow::Result<String> {
        self.write(broken::FILE, Some(broken::TEXT)).await?;
        broken::reported(&self.control_plane().await?, PATIENCE).await
    }

    async fn take_back(&self) -> anyhow::Result<()> {
        self.write(broken::FILE, None).await?;
        broken::forgotten(&self.control_plane().await?, PATIENCE).await
    }

    async fn kill_control_plane(&self) -> anyhow::Result<String> {
        let (old, new) = self.restart(CONTROL_PLANE).await?;
        // Its network is a new one.
        self.helpers.lock().await.remove(CONTROL_PLANE);
        Ok(format!("process {old} killed, {new} runs"))
    }

    async fn kill_workload(&self, workload: &str) -> anyhow::Result<Killed> {
        let old = self.pid(workload).await?;
        docker(&["kill", &self.container(workload)?.id]).await?;
        // Nobody tells the control plane; the proxies find out by themselves.
        let deadline = Instant::now() + PATIENCE;
        let mut passed = 0;
        while passed < IN_A_ROW {
            let path = "/api/v1/products/0/reviews";
            let answer = traffic::get(&self.gateway, path, None).await;
            passed = match answer {
                Ok(answer) if answer.status.is_success() => passed + 1,
                _ => 0,
            };
            ensure!(
                Instant::now() < deadline,
                "requests still fail {PATIENCE:?} after {workload} was killed"
            );
        }
        Ok(Killed {
            workload: workload.to_owned(),
            id: old.to_string(),
            told: format!("process {old} killed"),
        })
    }

    async fn returned(&self, killed: &Killed) -> anyhow::Result<()> {
        docker(&["start", &self.container(&killed.workload)?.id])
            .await
            .map(|_| ())
    }

    async fn clean_up(&self) -> anyhow::Result<()> {
        self.helpers.lock().await.clear();
        for path in self.written.lock().await.drain(..) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn sidecar(workload: &str) -> String {
    format!("{workload}-proxy")
}

/// Where this machine has the gateway's port.
fn published(containers: &BTreeMap<String, Container>) -> anyhow::Result<String> {
    let gateway = containers.get(GATEWAY);
    let ports = gateway.and_then(|one| one.network_settings.ports.get(GATEWAY_PORT)?.as_ref());
    let port = ports.and_then(|ports| ports.first());
    let port = port.with_context(|| {
        format!("port {GATEWAY_PORT} of {GATEWAY} is not published: give its address with --gateway HOST:PORT")
    })?;
    let ip = match port.ip.as_str() {
        "" | "0.0.0.0" | "::" => "127.0.0.1",
        ip => ip,
    };
    Ok(format!("{ip}:{}", port.port))
}

/// `registry/meshd:tag` → `registry/meshctl:tag`.
fn sibling(image: &str) -> Option<String> {
    let (path, tag) = match image.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (image, None),
    };
    let base = path.strip_suffix("meshd")?;
    Some(match tag {
        Some(tag) => format!("{base}meshctl:{tag}"),
        None => format!("{base}meshctl"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_meshctl_is_beside_that_of_meshd() {
        for (meshd, meshctl) in [
            ("mesh.local/meshd:0.1.0", Some("mesh.local/meshctl:0.1.0")),
            ("localhost:5000/a/meshd", Some("localhost:5000/a/meshctl")),
            ("meshd", Some("meshctl")),
            ("other:1", None),
        ] {
            assert_eq!(sibling(meshd).as_deref(), meshctl);
        }
    }
}
