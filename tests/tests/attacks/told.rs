//! What the mesh tells of its refusals: metrics and logs of its proxies.

use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use mesh_tests::LaptopMesh;
use mesh_tests::laptop::{LIMIT, exchange};
use tokio::net::TcpStream;

/// The metrics of a workload's proxy.
async fn metrics(mesh: &LaptopMesh, workload: &str) -> String {
    let address = mesh.workload(workload).unwrap()["address"]
        .as_str()
        .unwrap()
        .to_owned();
    let stream = TcpStream::connect((address, 15090)).await.unwrap();
    let request = http::Request::get("/metrics")
        .header("host", "localhost")
        .body(Bytes::new());
    let answer = exchange(stream, request.unwrap()).await.unwrap();
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Sum of the series that begin like this.
pub(crate) async fn counted(mesh: &LaptopMesh, workload: &str, series: &str) -> u64 {
    let metrics = metrics(mesh, workload).await;
    let lines = metrics.lines().filter(|line| line.starts_with(series));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Waits until that many are counted.
pub(crate) async fn until_counted(mesh: &LaptopMesh, workload: &str, series: &str, wanted: u64) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let count = counted(mesh, workload, series).await;
        if count >= wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{series}: {count} of {wanted}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// How often a reason was counted.
pub(crate) fn of_reason(reason: &str) -> String {
    format!("mesh_reasons_total{{reason=\"{reason}\"}}")
}

/// Waits until the access log of a workload's proxy has a line with all of this.
pub(crate) async fn until_logged(mesh: &LaptopMesh, workload: &str, parts: &[&str]) -> String {
    let path: PathBuf = mesh.state().join(format!("proxies/{workload}/access.log"));
    let deadline = Instant::now() + LIMIT;
    loop {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut lines = text.lines();
        if let Some(line) = lines.find(|line| parts.iter().all(|part| line.contains(part))) {
            return line.to_owned();
        }
        assert!(Instant::now() < deadline, "{parts:?} in:\n{text}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
