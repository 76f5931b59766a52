//! Tests of the compiler through its public interface.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cluster;
mod coverage;
mod credentials;
mod endpoints;
mod enforceable;
mod gateway_tls;
mod gateways;
mod golden;
mod hbone;
mod history;
mod host_names;
mod ingress;
mod mesh;
mod objects;
mod pods;
mod properties;
mod resilience;
mod session;
mod sidecars;
mod store;
mod traps_address;
mod traps_analysis;
mod traps_gateway_api;
mod traps_gateway_filters;
mod traps_gateway_listeners;
mod traps_gateway_status;
mod traps_http;
mod traps_inheritance;
mod traps_policy;
mod traps_routing;
mod traps_scope;
mod traps_security;
mod traps_service;
mod traps_telemetry;
mod traps_traffic;
mod traps_validation;
mod trust_domains;
