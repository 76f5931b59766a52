//! Transparent capture: the rules that redirect a workload's TCP connections to its sidecar.
//!
//! The chains and their order are Istio's (`tools/istio-iptables`), for nftables or iptables,
//! so that whoever reads one can read the other. Making the text is pure; [`run`] hands it to
//! `nft` or `iptables-restore`, which switch it on at once or not at all.

mod apply;
mod iptables;
mod loopback;
mod nft;
mod options;
mod own_container;

pub use apply::{CaptureError, run};
pub use options::{CaptureArgs, CaptureOptions, DnsCapture, InvalidCapture, Owner, Selection};
pub use own_container::{CaptureFirstError, capture_first};

/// What to do with the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Puts them in force, replacing those of an earlier call.
    Install,
    /// Takes them away. Nothing there is no error.
    Remove,
    /// Prints what `Install` would do.
    Print,
}

/// Which tool takes the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// nftables if it is there, otherwise iptables.
    Auto,
    /// nftables.
    Nft,
    /// iptables and ip6tables.
    Iptables,
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The program.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its standard input; may be empty.
    pub input: String,
    /// Whether its failure is expected: something to delete was not there.
    pub may_fail: bool,
}

/// The calls that put the rules in force or take them away.
pub fn plan(options: &CaptureOptions, backend: Backend, operation: Operation) -> Vec<Step> {
    match (backend, operation) {
        (Backend::Nft | Backend::Auto, Operation::Install | Operation::Print) => {
            vec![nft::install(options)]
        }
        (Backend::Nft | Backend::Auto, Operation::Remove) => vec![nft::remove()],
        (Backend::Iptables, Operation::Install | Operation::Print) => iptables::install(options),
        (Backend::Iptables, Operation::Remove) => iptables::remove(options),
    }
}

#[cfg(test)]
mod tests;
