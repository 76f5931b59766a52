//! A control plane on the Kubernetes that KUBECONFIG names: what it reads, what it writes back,
//! and what it does when the API server is away. Run with `--features cluster`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails here has failed"
)]

mod access;
mod cluster;
mod leader;
mod scale;
mod source;
mod status;
