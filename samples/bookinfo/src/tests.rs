//! The services as a client sees them, each on a port of the system's choice.

mod call;
mod calls;
mod config;
mod harness;
mod manifest;
mod pages;
mod shutdown;
