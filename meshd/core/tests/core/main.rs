//! Tests of the compiler through its public interface.

mod golden;
mod mesh;
mod properties;
mod session;
mod store;
mod traps_policy;
mod traps_routing;
