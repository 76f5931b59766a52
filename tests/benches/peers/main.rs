//! What a request costs through a pair of sidecars, ours and others'.
//!
//! `cargo bench -p mesh-tests --bench peers -- --help`
//!
//! The same load goes through a pair of our sidecars, a pair of Envoys, a pair of HAProxys and
//! no proxy at all, in turns. Between the two of a pair runs mutual TLS 1.3 with the same
//! certificates. Ours work as in the mesh: ten routes on the one side, ten rules of authorization
//! on the other, all metrics. Envoy has one route and one rule. CPU time is that of the two
//! proxies, from the kernel, so it holds on a busy machine; times to answer do not.

mod backend;
mod certificates;
mod child;
mod kind;
mod load;
mod measure;
mod options;
mod order;
mod peer;
mod process;
mod report;

use std::process::ExitCode;

use clap::Parser;

use options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.harness.is_wanted() {
        // `cargo test --benches`, or a test runner that asks for a list.
        return ExitCode::SUCCESS;
    }
    let done = match &options.order {
        Some(file) => order::write(&options, file),
        None => measure::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
