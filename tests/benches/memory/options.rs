//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use mesh_tests::harness::Harness;

/// Measures what a proxy needs of memory
#[derive(Debug, Parser)]
#[command(
    name = "cargo bench -p mesh-tests --bench memory --",
    after_help = "Examples:\n  \
        cargo bench -p mesh-tests --bench memory\n  \
        cargo bench -p mesh-tests --bench memory -- --what idle,tcp --proxy /tmp/mesh-proxy\n\n\
        Each of the connections takes two descriptors here: see `ulimit -Hn`."
)]
pub(crate) struct Options {
    /// What is measured
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "idle,tcp,http1,routes,services",
        value_name = "WHAT,…"
    )]
    pub(crate) what: Vec<What>,
    /// The proxy [default: this repository's, built for it]
    #[arg(long, value_name = "FILE")]
    pub(crate) proxy: Option<PathBuf>,
    /// Idle connections
    #[arg(long, default_value_t = 9_000, value_name = "N")]
    pub(crate) connections: usize,
    /// Routes in use
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    pub(crate) routes: usize,
    /// Services of the mesh of which ten are used
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    pub(crate) services: usize,
    #[command(flatten)]
    pub(crate) harness: Harness,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// A proxy that nobody calls.
    Idle,
    /// Idle connections of opaque bytes through a pair.
    Tcp,
    /// Idle connections of HTTP/1.1 through a pair.
    Http1,
    /// Routes, each of which was used.
    Routes,
    /// A mesh of many services: those of `meshctl up`.
    Services,
}
