//! The load, and what its generator says.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::kind::Kind;
use crate::options::Options;

/// Where clients ask to go. Our sidecar knows it; the others take whatever comes.
pub(crate) const AUTHORITY: &str = "app.default.svc.cluster.local:80";
/// The method that gRPC calls: service and name.
pub(crate) const METHOD: &str = "echo.Echo/Say";
/// iperf3 refuses a client while it still closes the last one.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// What went through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Carried {
    /// Requests or Gbit in a second.
    pub(crate) rate: f64,
    /// Requests or GB.
    pub(crate) units: f64,
    /// Of requests.
    pub(crate) times: Option<Times>,
}

/// How long requests took, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Times {
    /// Half of them took no longer.
    pub(crate) p50: f64,
    /// 99 of 100 took no longer.
    pub(crate) p99: f64,
}

/// Runs the load against a port.
pub(crate) fn run(
    kind: Kind,
    port: u16,
    requests: u64,
    options: &Options,
    directory: &Path,
) -> anyhow::Result<Carried> {
    if kind == Kind::Tcp {
        return pump(port, options.pump);
    }
    let log = directory.join("h2load.tsv");
    // It appends.
    let _ = fs::remove_file(&log);
    let mut command = Command::new("h2load");
    command
        .args(["-t", "1", "-n", &requests.to_string()])
        .args(["-c", &options.connections.to_string()])
        .arg(format!("--log-file={}", log.display()))
        .arg(format!("--connect-to=127.0.0.1:{port}"));
    match kind {
        Kind::H1 => command.arg("--h1"),
        _ => command.args(["-m", &options.streams.to_string()]),
    };
    if kind == Kind::Grpc {
        let message = directory.join("message.bin");
        fs::write(&message, message_of(options.size))?;
        command
            .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
            .arg("-d")
            .arg(message);
    }
    let path = if kind == Kind::Grpc { METHOD } else { "" };
    let output = command
        .arg(format!("http://{AUTHORITY}/{path}"))
        .output()
        .context("cannot start h2load; see --help for what is needed")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = finished(&text, requests).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("not every request succeeded:\n{text}{errors}")
    })?;
    let mut times = times(&fs::read_to_string(&log)?);
    times.sort_unstable();
    Ok(Carried {
        rate,
        units: requests as f64,
        times: Some(Times {
            p50: quantile(&times, 0.50),
            p99: quantile(&times, 0.99),
        }),
    })
}

/// One gRPC message: not compressed, so many octets.
pub(crate) fn message_of(size: usize) -> Vec<u8> {
    let length = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    let mut message = vec![0];
    message.extend(length);
    message.resize(message.len() + size, b'x');
    message
}

/// Requests in a second, if all of them succeeded.
fn finished(text: &str, requests: u64) -> Option<f64> {
    let line = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
    let counts = line("requests: ")?;
    let succeeded = counts
        .split(", ")
        .find_map(|part| part.strip_suffix(" succeeded"))?;
    if succeeded.parse() != Ok(requests) {
        return None;
    }
    let codes = line("status codes: ")?;
    let good = codes.split(", ").find_map(|part| part.strip_suffix(" 2xx"));
    if good?.parse() != Ok(requests) {
        return None;
    }
    let rate = line("finished in ")?
        .split(", ")
        .find_map(|part| part.strip_suffix(" req/s"))?;
    rate.parse().ok()
}

/// Microseconds of each request: the third column.
fn times(log: &str) -> Vec<u64> {
    log.lines()
        .filter_map(|line| line.split('\t').nth(2)?.trim().parse().ok())
        .collect()
}

fn quantile(times: &[u64], share: f64) -> f64 {
    let rank = (share * times.len() as f64).ceil() as usize;
    let time = times.get(rank.saturating_sub(1)).or(times.last());
    time.map_or(0.0, |time| *time as f64)
}

fn pump(port: u16, time: Duration) -> anyhow::Result<Carried> {
    let mut last = String::new();
    for _ in 0..TRIES {
        let output = Command::new("iperf3")
            .args(["-c", "127.0.0.1", "-J", "-P", "1", "-p"])
            .arg(port.to_string())
            .args(["-t", &time.as_secs().max(1).to_string()])
            .output()
            .context("cannot start iperf3; see --help for what is needed")?;
        last = String::from_utf8_lossy(&output.stdout).into_owned();
        if let Some(carried) = received(&last) {
            ensure!(carried.units > 0.0, "nothing came through:\n{last}");
            return Ok(carried);
        }
        std::thread::sleep(PAUSE);
    }
    bail!("iperf3 did not come through:\n{last}")
}

fn received(text: &str) -> Option<Carried> {
    let said: Value = serde_json::from_str(text).ok()?;
    let sum = said.get("end")?.get("sum_received")?;
    Some(Carried {
        rate: sum.get("bits_per_second")?.as_f64()? / 1e9,
        units: sum.get("bytes")?.as_f64()? / 1e9,
        times: None,
    })
}
