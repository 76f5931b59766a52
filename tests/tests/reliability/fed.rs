//! A newer process takes over from a running one while a control plane feeds both.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mesh_tests::laptop::LIMIT;
use mesh_tests::{LaptopMesh, Running, meshctl};

use crate::changes::{MESH, SHAPE, SUBSETS, process, routes};
use crate::load::Load;
use crate::place::duration;
use crate::proxy::until;

fn sidecar(socket: &Path) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: caller}}\nspec:\n  workloadSelector: {{labels: {{app: caller}}}}\n  egress:\n  - port: {{number: 0, name: http, protocol: HTTP}}\n    bind: unix://{}\n    hosts: [\"./*\"]\n  - hosts: [\"./*\"]\n",
        socket.display()
    )
}

/// A process with the arguments of a workload's proxy, and a token of its own.
fn newer(mesh: &LaptopMesh, workload: &str) -> anyhow::Result<Running> {
    let running = process(
        mesh,
        &["--workload", &format!("default/{workload}"), "--on-ready"],
    )?;
    let line = fs::read_to_string(format!("/proc/{running}/cmdline"))?;
    let minted = Command::new(meshctl())
        .args(["token", workload, "--state"])
        .arg(mesh.state())
        .output()?;
    anyhow::ensure!(minted.status.success(), "{minted:?}");
    let token = mesh.state().join(format!("{workload}.token"));
    fs::write(&token, minted.stdout.trim_ascii())?;
    let mut command = Command::new(meshctl());
    let mut words = line.trim_end_matches('\0').split('\0').skip(1);
    while let Some(word) = words.next() {
        command.arg(word);
        if word == "--token" {
            words.next();
            command.arg(&token);
        }
    }
    let mut newer = Running::spawn(&mut command)?;
    newer
        .wait_for("ready ", LIMIT)
        .map_err(anyhow::Error::msg)?;
    Ok(newer)
}

/// Two replacements: the mesh's process by ours, then ours by the one that the mesh starts since
/// the first has ended. Configuration changes while there are two.
async fn twice(mesh: &LaptopMesh, workload: &str, version: &str) -> anyhow::Result<()> {
    let words = ["--workload", &format!("default/{workload}"), "--on-ready"];
    let old = process(mesh, &words)?;
    let mut newer = tokio::task::block_in_place(|| newer(mesh, workload))?;
    mesh.apply("routes.yaml", Some(&routes(&[(version, 100)])))
        .await?;
    let replaced = || process(mesh, &words).is_ok_and(|now| now != old);
    until("the older process is over and another one starts", replaced).await;
    let (status, printed) =
        tokio::task::block_in_place(|| newer.wait(LIMIT)).map_err(anyhow::Error::msg)?;
    anyhow::ensure!(
        status.success() && printed.contains("a newer process serves in this one's place"),
        "{status}: {printed}"
    );
    mesh.settle().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_fails_while_processes_take_over_from_each_other() {
    let mesh = tokio::task::block_in_place(|| LaptopMesh::start(MESH, &[])).unwrap();
    let socket = mesh.config().with_file_name("calls.sock");
    mesh.apply("sidecar.yaml", Some(&sidecar(&socket)))
        .await
        .unwrap();
    mesh.apply("subsets.yaml", Some(SUBSETS)).await.unwrap();
    until("the Sidecar's socket is there", || socket.exists()).await;
    let loads = [
        Load::ask(mesh.explicit("caller").unwrap(), "details:9080", SHAPE),
        Load::ask(socket.as_path(), "details:9080", SHAPE),
    ];
    let end = Instant::now() + duration(Duration::from_secs(1));
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        for (workload, version) in [("details-v1", "v1"), ("caller", "v2")] {
            for load in &loads {
                load.more(30).await;
            }
            twice(&mesh, workload, version).await.unwrap();
        }
        rounds += 1;
    }
    let mut requests = 0;
    for load in loads {
        load.more(30).await;
        requests += load.stop().await;
    }
    println!("{requests} requests, {rounds} rounds of four replacements");
    tokio::task::block_in_place(|| mesh.stop()).unwrap();
}
