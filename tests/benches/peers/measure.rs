//! The measurement: rounds, and in each one peer after the other.

use std::path::Path;

use crate::backend::Backend;
use crate::certificates::Certificates;
use crate::kind::Kind;
use crate::load::{self, Carried};
use crate::options::Options;
use crate::peer::{Pair, Peer, Place};
use crate::process;
use crate::report::{Report, Sample, Table};

/// Measures everything.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let peers = options.peers()?;
    let root = tempfile::Builder::new().prefix("mesh-peers-").tempdir()?;
    let certificates = Certificates::make(root.path())?;
    let mut report = Report::begin(options);
    let mut result = Ok(());
    for kind in &options.kind {
        match table(options, *kind, &peers, &certificates, root.path()) {
            Ok(table) => report.add(table),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    if options.keep {
        eprintln!("files and logs are in {}", root.keep().display());
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    result
}

fn table(
    options: &Options,
    kind: Kind,
    peers: &[Peer],
    certificates: &Certificates,
    root: &Path,
) -> anyhow::Result<Table> {
    let mut table = Table::new(kind, peers.iter().map(Peer::name));
    let mut backend = None;
    for round in 0..options.rounds {
        for peer in peers {
            // iperf3 serves one client at a time and can stick to it: a fresh one for each.
            let backend = match backend.take() {
                Some(running) if kind != Kind::Tcp => backend.insert(running),
                old => {
                    drop(old);
                    backend.insert(Backend::start(kind, options.size, root)?)
                }
            };
            let directory = root.join(format!("{kind}-{round}-{}", peer.name()));
            std::fs::create_dir_all(&directory)?;
            let place = Place {
                kind,
                directory: &directory,
                certificates,
                application: backend.port,
                access_log: options.access_log,
            };
            table.push(peer.name(), sample(options, peer, &place)?);
        }
    }
    Ok(table)
}

fn sample(options: &Options, peer: &Peer, place: &Place<'_>) -> anyhow::Result<Sample> {
    let Place {
        kind, directory, ..
    } = *place;
    let Pair { running, port } = peer.start(place)?;
    let processes: Vec<u32> = running.iter().map(crate::child::Running::id).collect();
    let idle = process::settled(&processes)?;
    process::forget_peak(&processes)?;
    let run = |requests| load::run(kind, port, requests, options, directory);
    if kind != Kind::Tcp {
        run((options.requests / 10).max(1_000))?;
    }
    let before = process::cpu(&processes)?;
    let Carried { rate, units, times } = run(options.requests)?;
    let cpu = process::cpu(&processes)?.saturating_sub(before);
    Ok(Sample {
        rate,
        times,
        cpu: cpu.as_secs_f64() * kind.cpu_parts() / units,
        idle,
        peak: process::peak(&processes)?,
    })
}
