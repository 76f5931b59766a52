//! Arguments of `ca`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::selection::{MeshArg, OutputArg};
use super::value::parse_duration;

/// What to do with a certificate authority.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Show the authority of a mesh: its roots, and how far a rotation is
    Status(CaStatusArgs),
    /// Replace the root of a mesh by a new one, without a failed request
    Rotate(CaRotateArgs),
    /// Put a certificate on the revocation list
    Revoke(CaRevokeArgs),
    /// An authority by itself.
    #[command(flatten)]
    Own(mesh_ca::Command),
}

/// `ca status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl ca status\n  \
    meshctl ca status -o json | jq '.rotation.blockers[].name'")]
pub struct CaStatusArgs {
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `ca rotate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl ca rotate --dry-run             what would be done, and who is not reachable\n  \
    meshctl ca rotate                       begin, or watch the one that is under way, to its end\n  \
    meshctl ca rotate --abort               back to the old root, until that is being retired\n  \
    meshctl ca rotate --forget default/vm1  wait no longer for a proxy that will not come back\n\n\
    Steps: tell all proxies to trust the new root; sign by the new one; tell all to trust the old\n\
    one no more. Each begins when every live proxy has acknowledged the one before; one that cannot\n\
    be reached is waited for until its certificate expires, and is named. The control plane does\n\
    this by itself: Ctrl-C only ends the watching.")]
pub struct CaRotateArgs {
    /// Only say what would be done
    #[arg(long, conflicts_with_all = ["abort", "forget"])]
    pub dry_run: bool,
    /// Take the rotation back
    #[arg(long, conflicts_with = "forget")]
    pub abort: bool,
    /// Wait no longer for this one, as `ca status` names it; it must not come back
    #[arg(long, value_name = "NAME")]
    pub forget: Option<String>,
    /// How long to watch at most [default: to the end]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `ca revoke`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl ca revoke 4f1c66a09b6e4f0d8a7e5b3c2d1e0f99\n\n\
    Proxies take a revoked certificate no more from their next handshake on, and the authority\n\
    renews none by it. `audit.jsonl` in the authority's directory has the serial numbers.")]
pub struct CaRevokeArgs {
    /// Serial number, hexadecimal
    pub serial: String,
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
}
