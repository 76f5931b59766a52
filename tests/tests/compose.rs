//! The whole mesh under docker-compose, from the images that `deploy/images/build.sh` makes, and
//! the tour in it. Needs docker, and `docker compose` or `docker-compose`.
//!
//! ```sh
//! deploy/images/build.sh && cargo test -p mesh-tests --features compose --test compose
//! ```
//!
//! `MESH_TEST_HUB` and `MESH_TEST_TAG` name other images, `MESH_TEST_MESHCTL` another `meshctl`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use mesh_tests::Running;
use mesh_tests::laptop::{exchange, free_address};
use tokio::net::TcpStream;

const UP: Duration = Duration::from_secs(10 * 60);
const DOWN: Duration = Duration::from_secs(3 * 60);
const PAGE: Duration = Duration::from_secs(120);
const TOUR: Duration = Duration::from_secs(20 * 60);

/// A copy of `deploy/compose`, so that another mesh from the original is not touched: the tour
/// knows a project by its directory, and writes into `config` there.
struct Project {
    directory: tempfile::TempDir,
    name: String,
    gateway: SocketAddr,
    compose: Vec<String>,
}

#[test]
fn the_tour_passes_under_docker_compose() -> anyhow::Result<()> {
    let project = Project::lay_out()?;
    project.check_images()?;
    let outcome = project.tour();
    if outcome.is_err() {
        let logs = project.run(&["logs", "--no-color", "--tail=40"], DOWN);
        eprintln!(
            "{}",
            logs.map_or_else(|error| error.to_string(), |(_, printed)| printed)
        );
    }
    // Dropping it takes it down again.
    outcome
}

// === impl Project ===

impl Project {
    fn lay_out() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("mesh-compose").tempdir()?;
        // As in the source, since the file names what is beside it.
        for path in [
            "deploy/compose",
            "deploy/observability",
            "samples/bookinfo/config",
        ] {
            copy(&source(path), &directory.path().join(path))
                .with_context(|| format!("cannot copy {path}"))?;
        }
        let name = format!("meshtest{}", std::process::id());
        Ok(Self {
            directory,
            name,
            gateway: free_address()?,
            compose: compose()?,
        })
    }

    fn dir(&self) -> PathBuf {
        self.directory.path().join("deploy/compose")
    }

    fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let (program, first) = self.compose.split_first().context("a command")?;
        let mut command = Command::new(program);
        command
            .args(first)
            .args(["-p", &self.name, "-f", "docker-compose.yml"])
            .args(arguments)
            .current_dir(self.dir())
            .env("MESH_HUB", hub())
            .env("MESH_TAG", tag())
            .env("MESH_GATEWAY", self.gateway.to_string());
        Ok(command)
    }

    fn run(&self, arguments: &[&str], limit: Duration) -> anyhow::Result<(bool, String)> {
        run(&mut self.command(arguments)?, limit)
    }

    fn check_images(&self) -> anyhow::Result<()> {
        let (read, printed) = self.run(&["config"], DOWN)?;
        ensure!(read, "docker-compose cannot read the file:\n{printed}");
        let ours = format!("{}/", hub());
        let images = printed
            .lines()
            .filter_map(|line| line.trim().strip_prefix("image: "))
            .filter(|image| image.starts_with(&ours));
        let mut images = images.map(str::to_owned).collect::<Vec<_>>();
        // What the tour sends requests with.
        images.push(format!("{}/meshctl:{}", hub(), tag()));
        images.sort();
        images.dedup();
        ensure!(images.len() > 3, "the file names only {images:?}");
        for image in images {
            let (there, printed) = run(
                Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", &image]),
                DOWN,
            )?;
            ensure!(
                there,
                "there is no image {image}: build all with `deploy/images/build.sh --hub {} --tag {}`, \
                 or name others with MESH_TEST_HUB and MESH_TEST_TAG\n{printed}",
                hub(),
                tag()
            );
        }
        Ok(())
    }

    fn tour(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let (up, printed) = self.run(&["up", "-d"], UP)?;
        ensure!(up, "docker-compose does not bring it up:\n{printed}");
        let asked = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(page(self.gateway))?;
        println!(
            "compose: up after {} s, the page after {asked} requests",
            began.elapsed().as_secs()
        );
        let mut meshctl = match std::env::var_os("MESH_TEST_MESHCTL") {
            Some(path) => Command::new(path),
            None => Command::new(mesh_tests::meshctl()),
        };
        meshctl
            .args(["demo", "--check", "--compose"])
            .arg(self.dir());
        let (passed, printed) = run(&mut meshctl, TOUR)?;
        let steps = printed.lines().filter(|line| line.trim() == "PASS").count();
        println!("{printed}\ncompose: {steps} steps passed");
        ensure!(passed, "the tour has failed:\n{printed}");
        ensure!(!printed.contains("FAIL"), "a step has failed:\n{printed}");
        Ok(())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        match self.run(&["down", "-v", "--remove-orphans"], DOWN) {
            Ok((true, _)) => {}
            Ok((false, printed)) => eprintln!("project {} is still there:\n{printed}", self.name),
            Err(error) => eprintln!("project {} is still there: {error:#}", self.name),
        }
    }
}

/// Asks for the page until it is there, and gives how often that was.
async fn page(gateway: SocketAddr) -> anyhow::Result<u64> {
    let mut asked = 0;
    let mut again = tokio::time::interval(Duration::from_millis(200));
    let mut last = String::from("nothing");
    let asking = async {
        loop {
            again.tick().await;
            asked += 1;
            match one(gateway).await {
                Ok(StatusCode::OK) => return,
                Ok(status) => last = status.to_string(),
                Err(error) => last = format!("{error:#}"),
            }
        }
    };
    let come = tokio::time::timeout(PAGE, asking).await;
    if come.is_err() {
        bail!("no page at {gateway} after {PAGE:?} and {asked} requests, but {last}");
    }
    Ok(asked)
}

async fn one(gateway: SocketAddr) -> anyhow::Result<StatusCode> {
    let stream = TcpStream::connect(gateway).await?;
    let request = Request::get("/productpage")
        .header(http::header::HOST, "bookinfo.example")
        .body(Bytes::new())?;
    Ok(exchange(stream, request).await?.status)
}

/// Compose of either version, as a command.
fn compose() -> anyhow::Result<Vec<String>> {
    for command in [&["docker", "compose"][..], &["docker-compose"]] {
        let (program, arguments) = command.split_first().context("a command")?;
        let version = Command::new(program)
            .args(arguments)
            .arg("version")
            .output();
        if version.is_ok_and(|output| output.status.success()) {
            return Ok(command.iter().map(ToString::to_string).collect());
        }
    }
    bail!("neither `docker compose` nor `docker-compose` can be run: install one of them")
}

fn hub() -> String {
    std::env::var("MESH_TEST_HUB").unwrap_or_else(|_| "mesh.local".to_owned())
}

fn tag() -> String {
    std::env::var("MESH_TEST_TAG").unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned())
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn run(command: &mut Command, limit: Duration) -> anyhow::Result<(bool, String)> {
    let mut running = Running::spawn(command).with_context(|| format!("{command:?}"))?;
    let (status, printed) = running.wait(limit).map_err(anyhow::Error::msg)?;
    Ok((status.success(), printed))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
