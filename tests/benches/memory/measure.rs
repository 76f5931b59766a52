//! The measurements.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::Request;
use mesh_tests::LaptopMesh;
use serde_json::Value;
use tempfile::TempDir;

use crate::certificates::{Certificates, Side};
use crate::child::{Running, free_port};
use crate::clients::{Application, open};
use crate::options::{Options, What};
use crate::process::resident;
use crate::resources;

const MINUTE: Duration = Duration::from_secs(65);

/// After that idle connections are closed, and what was learned of their servers is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(130);

/// After that a proxy has unmapped what only its start needed, and given back what it freed.
const SETTLED: Duration = Duration::from_secs(6);

const KIB: f64 = 1024.0;

/// Services in use, of many.
const USED: usize = 10;

/// Services to which many routes lead.
const SHARED: usize = 100;

struct Bench {
    binary: PathBuf,
    directory: TempDir,
    certificates: Certificates,
}

/// Measures everything.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    mesh_proxy::net::raise_descriptor_limit();
    let binary = options.proxy.clone();
    let directory = tempfile::Builder::new().prefix("mesh-memory-").tempdir()?;
    let bench = Bench {
        binary: binary.unwrap_or_else(mesh_tests::binary::mesh_proxy),
        certificates: Certificates::make(directory.path())?,
        directory,
    };
    for what in &options.what {
        match what {
            What::Idle => bench.idle().await?,
            What::Tcp => bench.tcp(options.connections).await?,
            What::Http1 => bench.http1(options.connections).await?,
            What::Routes => {
                bench.routes(options.routes, SHARED).await?;
                bench.routes(options.routes, options.routes).await?;
            }
            What::Services => services(options.services).await?,
        }
    }
    Ok(())
}

async fn settled(process: &Running) -> anyhow::Result<f64> {
    tokio::time::sleep(SETTLED).await;
    resident(&[process.id()])
}

// === impl Bench ===

impl Bench {
    async fn idle(&self) -> anyhow::Result<()> {
        let unused = SocketAddr::from(([127, 0, 0, 1], 9));
        let (server, _) = self.server("PROTOCOL_HTTP", unused)?;
        let first = settled(&server).await?;
        tokio::time::sleep(MINUTE).await;
        let idle = settled(&server).await?;
        let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            line.map(|line| {
                line.split_whitespace()
                    .skip(1)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .unwrap_or_default()
        };
        println!(
            "idle: {idle:.1} MiB, {first:.1} seconds after the start (its own {}, of files {}; {} threads; the most {})",
            field("RssAnon:"),
            field("RssFile:"),
            field("Threads:"),
            field("VmHWM:")
        );
        Ok(())
    }

    async fn tcp(&self, connections: usize) -> anyhow::Result<()> {
        let application = Application::start(0).await?;
        let (server, inbound) = self.server("PROTOCOL_TCP", application.address)?;
        let port = free_port()?;
        let resources = resources::gateway(inbound, port);
        let arguments = ["--kind", "gateway", "--gateway-listen", "127.0.0.1"];
        let (mut client, _) = self.start(Side::Client, &resources, &arguments)?;
        client.serves(port)?;
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        let hello = |_| b"hello".to_vec();
        per_connection(
            "tcp",
            (&client, &server),
            connections,
            open(at, connections, hello),
        )
        .await
    }

    async fn http1(&self, connections: usize) -> anyhow::Result<()> {
        // All at a time, so that there are as many connections on every hop.
        let application = Application::start(connections).await?;
        let (server, inbound) = self.server("PROTOCOL_HTTP", application.address)?;
        let (client, at) = self.client(inbound, (1, 1))?;
        let asked = open(at, connections, |_| get(0));
        per_connection("http1", (&client, &server), connections, asked).await
    }

    async fn routes(&self, routes: usize, services: usize) -> anyhow::Result<()> {
        let application = Application::start(0).await?;
        let (server, inbound) = self.server("PROTOCOL_HTTP", application.address)?;
        let (client, at) = self.client(inbound, (routes, services))?;
        let before = settled(&client).await?;
        for number in 0..routes {
            open(at, 1, |_| get(number))
                .await
                .with_context(|| format!("route {number}"))?;
        }
        let after = settled(&client).await?;
        tokio::time::sleep(FORGOTTEN).await;
        let later = settled(&client).await?;
        println!(
            "routes: {after:.1} MiB with {routes} routes to {services} services in use, {before:.1} MiB before their use, {later:.1} MiB once nobody had called for {} s",
            FORGOTTEN.as_secs()
        );
        drop(server);
        Ok(())
    }

    fn server(
        &self,
        protocol: resources::Protocol,
        application: SocketAddr,
    ) -> anyhow::Result<(Running, SocketAddr)> {
        let inbound = format!("8080=127.0.0.1:0={application}");
        let resources = resources::server(protocol);
        let (running, said) = self.start(Side::Server, &resources, &["--inbound", &inbound])?;
        let address = said
            .pointer("/inbound/0/address")
            .and_then(Value::as_str)
            .with_context(|| format!("no inbound address in {said}"))?;
        Ok((running, address.parse()?))
    }

    fn client(
        &self,
        server: SocketAddr,
        (routes, services): (usize, usize),
    ) -> anyhow::Result<(Running, SocketAddr)> {
        let resources = resources::client(server, routes, services);
        let arguments = ["--explicit", "127.0.0.1:0"];
        let (running, said) = self.start(Side::Client, &resources, &arguments)?;
        let address = said
            .get("explicit")
            .and_then(Value::as_str)
            .with_context(|| format!("no explicit address in {said}"))?;
        Ok((running, address.parse()?))
    }

    fn start(
        &self,
        side: Side,
        resources: &str,
        more: &[&str],
    ) -> anyhow::Result<(Running, Value)> {
        let directory = self.directory.path();
        let file = directory.join(format!("{}.yaml", side.name()));
        fs::write(&file, resources)?;
        let mut command = Command::new(&self.binary);
        command
            .args(["run", "--log", "warn", "--on-ready"])
            .args(["--workload", &format!("default/{}", side.name())])
            .arg("--resources")
            .arg(file)
            .arg("--certificate")
            .arg(self.certificates.certificate(side))
            .arg("--private-key")
            .arg(self.certificates.key(side))
            .arg("--roots")
            .arg(self.certificates.roots())
            .arg("--admin-socket")
            .arg(directory.join(format!("{}.admin", side.name())))
            .args(more);
        let mut running = Running::start(side.name(), &mut command, directory)?;
        let said = serde_json::from_str(&running.says("ready ")?)?;
        Ok((running, said))
    }
}

fn get(number: usize) -> Vec<u8> {
    let host = resources::host(number);
    format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

async fn per_connection<T>(
    name: &str,
    (client, server): (&Running, &Running),
    connections: usize,
    opened: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<()> {
    let before = (settled(client).await?, settled(server).await?);
    let open = opened.await?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let each = |before: f64, after: f64| (after - before) * KIB / connections as f64;
    let measure = async |when: &str| {
        let after = (settled(client).await?, settled(server).await?);
        println!(
            "{name}: {connections} connections, idle for {when}, cost the client's proxy {:.1} KiB each ({:.1} -> {:.1} MiB), the server's {:.1} KiB ({:.1} -> {:.1} MiB)",
            each(before.0, after.0),
            before.0,
            after.0,
            each(before.1, after.1),
            before.1,
            after.1,
        );
        anyhow::Ok(())
    };
    measure("seconds").await?;
    // What their opening needed of the program is unmapped by then. Those of HTTP are closed.
    if name == "tcp" {
        tokio::time::sleep(MINUTE).await;
        measure("a minute").await?;
    }
    drop(open);
    Ok(())
}

const LAPTOP: &str = "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {name: memory}
spec:
  namespace: default
  workloads:
    - name: details-v1
      serviceAccount: details
      labels: {app: details, version: v1}
      ports: [{name: http, port: 9080}]
      command: [meshctl, sample, bookinfo, details, --version, v1]
    - name: caller
      serviceAccount: caller
      labels: {app: caller}
      ports: [{name: http, port: 9080}]
      command: [meshctl, sample, bookinfo, ratings, --version, v1]
";

/// The same calls of a workload in a mesh of ten services and in one of many.
async fn services(count: usize) -> anyhow::Result<()> {
    for of in [USED, count] {
        let ((idle, idle_own), (used, used_own)) = use_ten(of).await?;
        println!(
            "services: {used:.1} MiB with ten of {of} in use ({used_own:.1} its own, the rest pages of the program), {idle:.1} MiB with none ({idle_own:.1} its own)"
        );
    }
    Ok(())
}

async fn use_ten(count: usize) -> anyhow::Result<((f64, f64), (f64, f64))> {
    let mut files = Vec::new();
    for part in 0..count.div_ceil(1000) {
        let numbers = part * 1000..count.min((part + 1) * 1000);
        let text: Vec<String> = numbers.map(entry).collect();
        files.push((format!("services-{part}.yaml"), text.join("---\n")));
    }
    let borrowed: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let mesh = tokio::task::block_in_place(|| LaptopMesh::start(LAPTOP, &borrowed))?;
    mesh.settle().await?;
    let process = proxy_of(&mesh.state(), "default/caller")?;
    tokio::time::sleep(SETTLED).await;
    let idle = (resident(&[process])?, own(process)?);
    for number in 0..USED {
        let request = Request::get(format!("http://service-{number}.example:9080/details/0"))
            .header(http::header::HOST, format!("service-{number}.example:9080"))
            .body(Bytes::new())?;
        let answer = mesh.send("caller", request).await?;
        anyhow::ensure!(answer.status.is_success(), "{answer:?}");
    }
    tokio::time::sleep(SETTLED).await;
    let used = (resident(&[process])?, own(process)?);
    tokio::task::block_in_place(|| mesh.stop())?;
    Ok((idle, used))
}

/// Ten are those that are called; each of the others has an endpoint of its own.
fn entry(number: usize) -> String {
    let endpoints = if number < USED {
        "workloadSelector: {labels: {app: details}}".to_owned()
    } else {
        let [_, a, b, c] = u32::try_from(number).unwrap_or_default().to_be_bytes();
        format!("endpoints: [{{address: 10.{a}.{b}.{c}}}]")
    };
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: service-{number}}}\nspec:\n  hosts: [service-{number}.example]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  ports: [{{number: 9080, name: http, protocol: HTTP}}]\n  {endpoints}\n"
    )
}

/// Memory of a process that is no file's, in MiB.
fn own(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.context("the kernel tells it")?.parse::<f64>()? / KIB)
}

/// The process of a workload's proxy.
fn proxy_of(state: &Path, workload: &str) -> anyhow::Result<u32> {
    let state = state.display().to_string();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = fs::read_to_string(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let words: Vec<&str> = line.split('\0').collect();
        if words.contains(&workload)
            && words.contains(&"--on-ready")
            && words.iter().any(|word| word.contains(&state))
        {
            return Ok(number);
        }
    }
    anyhow::bail!("no proxy of {workload} runs")
}
