//! What a mesh does with bad configuration, bad applications, bad clients and a hard end: a clear
//! error that names cause and place, nothing else disturbed, no process left behind.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by failing"
)]

mod clients;
mod configuration;
mod failing;
mod fixture;
mod identity;
mod leftovers;
mod mesh_file;
mod several;
