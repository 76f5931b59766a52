//! What must not fail, under load: whole processes, real sockets.
//!
//! Each of these tests runs for some seconds. For minutes instead:
//!
//! `MESH_RELIABILITY_SECONDS=300 cargo test --release -p mesh-tests --test reliability`
//!
//! `MESH_RELIABILITY_SECONDS` is how long each of the tests that carry load goes on.

#![expect(
    unreachable_pub,
    reason = "one crate of modules, nothing of it is an API"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by failing"
)]

mod abuse;
mod backend;
mod certificates;
mod changes;
mod fed;
mod hand_over;
mod load;
mod metastable;
mod place;
mod proxy;
