//! A mesh under `meshctl up`, driven from the outside.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::{Running, meshctl};

/// How long a state may take to come about.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A running mesh. Dropping it ends it.
pub struct LaptopMesh {
    running: Option<Running>,
    directory: tempfile::TempDir,
    record: Value,
    ready: String,
}

/// An answer of HTTP, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

// === impl LaptopMesh ===

impl LaptopMesh {
    /// Starts the mesh that `mesh` describes on the configuration files `(name, text)`.
    ///
    /// # Errors
    /// With everything printed, if it does not come up.
    pub fn start(mesh: &str, files: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::launch(Command::new(meshctl()), mesh, files)
    }

    /// Starts the mesh as [`LaptopMesh::start`] does, by a command that takes `meshctl`'s
    /// arguments.
    ///
    /// # Errors
    /// With everything printed, if it does not come up.
    pub fn launch(
        mut command: Command,
        mesh: &str,
        files: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("mesh").tempdir()?;
        fs::write(directory.path().join("mesh.yaml"), mesh)?;
        fs::create_dir(directory.path().join("config"))?;
        for (name, text) in files {
            fs::write(directory.path().join("config").join(name), text)?;
        }
        let path = |name: &str| directory.path().join(name).display().to_string();
        command.args([
            "up",
            &path("mesh.yaml"),
            "--config",
            &path("config"),
            "--state",
            &path("s"),
        ]);
        let mut running = Running::spawn(&mut command)?;
        let ready = running
            .wait_for("ready", LIMIT)
            .map_err(anyhow::Error::msg)?;
        let record = serde_json::from_slice(&fs::read(directory.path().join("s/mesh.json"))?)?;
        Ok(Self {
            running: Some(running),
            directory,
            record,
            ready,
        })
    }

    /// The line beginning with `ready`.
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// Process of `meshctl up`.
    ///
    /// # Errors
    /// If it has been stopped.
    pub fn id(&self) -> anyhow::Result<i32> {
        Ok(self.running.as_ref().context("it runs")?.id().try_into()?)
    }

    /// The mesh file.
    pub fn mesh_file(&self) -> PathBuf {
        self.directory.path().join("mesh.yaml")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    /// The configuration directory, watched.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// What `mesh.json` says of a workload.
    ///
    /// # Errors
    /// If there is no such workload.
    pub fn workload(&self, name: &str) -> anyhow::Result<&Value> {
        let workloads = self
            .record
            .get("workloads")
            .and_then(Value::as_array)
            .context("mesh.json has workloads")?;
        let found = workloads.iter().find(|workload| {
            workload
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(|full| full.rsplit('/').next() == Some(name))
        });
        found.with_context(|| format!("no workload {name}"))
    }

    /// The explicit proxy of a workload.
    ///
    /// # Errors
    /// If there is no such workload or it has none.
    pub fn explicit(&self, name: &str) -> anyhow::Result<SocketAddr> {
        let address = self
            .workload(name)?
            .get("explicitProxy")
            .and_then(Value::as_str)
            .context("an explicit proxy")?;
        Ok(address.parse()?)
    }

    /// Changes a file of the configuration (`None` deletes it) and waits until every proxy runs
    /// the revision that it makes.
    ///
    /// # Errors
    /// If that does not happen in time.
    pub async fn apply(&self, name: &str, text: Option<&str>) -> anyhow::Result<u64> {
        let before = self.revision().await?;
        let path = self.config().join(name);
        match text {
            Some(text) => fs::write(path, text)?,
            None => fs::remove_file(path)?,
        }
        let deadline = Instant::now() + LIMIT;
        let next = before + 1;
        loop {
            let answer = self
                .meshd(&format!("/v1/wait?revision={next}&timeout=10"))
                .await;
            match answer {
                Ok(status) => return Ok(revision_of(&status)),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context("the change never arrived"));
                }
                Err(_) => {}
            }
        }
    }

    /// Waits until every proxy runs the newest revision.
    ///
    /// # Errors
    /// If that does not happen in time.
    pub async fn settle(&self) -> anyhow::Result<u64> {
        Ok(revision_of(&self.meshd("/v1/wait?timeout=60").await?))
    }

    /// The newest revision.
    ///
    /// # Errors
    /// If the control plane does not answer.
    pub async fn revision(&self) -> anyhow::Result<u64> {
        Ok(revision_of(&self.meshd("/v1/status").await?))
    }

    /// Asks the control plane's admin endpoint.
    ///
    /// # Errors
    /// If it answers with an error or not with JSON.
    pub async fn meshd(&self, path: &str) -> anyhow::Result<Value> {
        ask(
            &self.state().join("meshd-admin.sock"),
            Method::GET,
            path,
            Bytes::new(),
        )
        .await
    }

    /// Asks the admin endpoint of a workload's proxy.
    ///
    /// # Errors
    /// If it answers with an error or not with JSON.
    pub async fn proxy(
        &self,
        name: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Value> {
        let socket = self
            .workload(name)?
            .get("admin")
            .and_then(Value::as_str)
            .context("an admin socket")?;
        ask(Path::new(socket), method, path, body).await
    }

    /// Sends a request as a workload, through its explicit proxy.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send(&self, from: &str, request: Request<Bytes>) -> anyhow::Result<Answer> {
        let stream = TcpStream::connect(self.explicit(from)?).await?;
        exchange(stream, request).await
    }

    /// Ends it, and tells what it printed.
    ///
    /// # Errors
    /// If it does not end by itself in time.
    pub fn stop(mut self) -> anyhow::Result<String> {
        let running = self.running.take().context("it runs")?;
        let (status, printed) = running.stop(LIMIT).map_err(anyhow::Error::msg)?;
        ensure!(status.success(), "it ended with {status}:\n{printed}");
        Ok(printed)
    }
}

/// An address on which a gateway can listen. No other process of this machine uses that address,
/// so the port is still free a moment later.
///
/// # Errors
/// If there is none.
pub fn free_address() -> std::io::Result<SocketAddr> {
    let [host, middle]: [u8; 2] = rand::random();
    // Meshes take their networks from 127.64.0.0/10.
    let ip = Ipv4Addr::new(127, 200, middle, host.clamp(1, 254));
    TcpListener::bind((ip, 0))?.local_addr()
}

fn revision_of(status: &Value) -> u64 {
    // 64-bit numbers are strings in the JSON of protobuf.
    match status.get("revision") {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(value) => value.as_u64().unwrap_or(0),
        None => 0,
    }
}

async fn ask(socket: &Path, method: Method, path: &str, body: Bytes) -> anyhow::Result<Value> {
    let stream = UnixStream::connect(socket)
        .await
        .with_context(|| socket.display().to_string())?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "localhost")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body)?;
    let answer = exchange(stream, request).await?;
    let text = String::from_utf8_lossy(&answer.body);
    if !answer.status.is_success() {
        bail!("{path}: {}: {text}", answer.status);
    }
    serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
}

/// Sends one request over a stream and reads the whole answer.
///
/// # Errors
/// If there is no answer within [`LIMIT`].
pub async fn exchange<S>(stream: S, request: Request<Bytes>) -> anyhow::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let run = async move {
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request.map(Full::new)).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        driver.abort();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    };
    tokio::time::timeout(LIMIT, run)
        .await
        .context("no answer in time")?
}
