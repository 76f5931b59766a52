//! Tests of the compiler through its public interface.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod golden;
mod mesh;
mod properties;
mod session;
mod store;
mod traps_http;
mod traps_policy;
mod traps_routing;
mod traps_service;
