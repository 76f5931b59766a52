//! Configuration: the discovery stream, the snapshot in force and its copy on disk.

mod adjust;
mod cache;
mod client;
mod dial;
mod status;
mod store;

pub use adjust::Adjuster;
pub use cache::{Cache, CacheError};
pub use client::Client;
pub use dial::DialError;
pub use status::{ControlStatus, Status};
pub use store::{NeedError, Store};

pub(crate) use dial::dial;
pub(crate) use store::{Demands, Writer};
