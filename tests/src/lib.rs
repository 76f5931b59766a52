//! What the whole-mesh tests share. Nothing depends on this crate.
//!
//! - [`meshctl`]: the binary under test, built if it is not there.
//! - [`LaptopMesh`]: a mesh under `meshctl up`.
//! - [`fuzz`]: bodies of the fuzz targets.
//! - [`echo`]: an HTTP server that answers what it was asked.
//! - [`Traffic`]: requests of which none may fail.
//! - [`harness`]: what cargo tells a benchmark.

pub mod binary;
pub mod echo;
pub mod fuzz;
pub mod harness;
pub mod laptop;
pub mod memory;
pub mod traffic;

pub use binary::{Running, meshctl};
pub use laptop::LaptopMesh;
pub use traffic::Traffic;
