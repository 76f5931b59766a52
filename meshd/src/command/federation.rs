//! Arguments for other trust domains.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mesh_ca::listen::ListenAddress;
use mesh_ca::parse_duration;

use crate::bundles::{BundleServing, WebCertificate};

/// Arguments of `run` for the bundle endpoint.
#[derive(Debug, Args)]
#[command(next_help_heading = "Federation")]
pub struct BundleArgs {
    /// Where to serve the bundle of this trust domain to others, over HTTPS and to anybody
    /// (SPIFFE Federation), for example 0.0.0.0:8443 [default: nowhere]
    #[arg(long, env = "MESHD_BUNDLE_ENDPOINT", value_name = "ADDRESS")]
    pub bundle_endpoint: Option<ListenAddress>,
    /// How often others are to look at it. A rotation of the root gives them three times as long
    /// to learn of the new one
    #[arg(long, env = "MESHD_BUNDLE_REFRESH_HINT", default_value = "5m", value_parser = parse_duration, value_name = "TIME")]
    pub bundle_refresh_hint: Duration,
    /// File with the certificate for it, PEM, for the profile https_web; followed when it changes
    /// [default: the identity of the control plane, for the profile https_spiffe]
    #[arg(
        long,
        requires = "bundle_endpoint",
        requires = "bundle_key",
        value_name = "FILE"
    )]
    pub bundle_certificate: Option<PathBuf>,
    /// File with its key, PEM
    #[arg(long, requires = "bundle_certificate", value_name = "FILE")]
    pub bundle_key: Option<PathBuf>,
}

impl From<BundleArgs> for Option<BundleServing> {
    fn from(args: BundleArgs) -> Self {
        let web = args.bundle_certificate.zip(args.bundle_key);
        args.bundle_endpoint.map(|listen| BundleServing {
            listen,
            refresh_hint: args.bundle_refresh_hint,
            web: web.map(|(chain, key)| WebCertificate { chain, key }),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Subcommand as _;

    #[test]
    fn no_two_arguments_are_called_alike() {
        let program = clap::Command::new("meshd");
        crate::Command::augment_subcommands(program).debug_assert();
    }
}
