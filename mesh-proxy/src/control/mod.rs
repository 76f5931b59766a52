//! Configuration: the discovery stream or a file, the snapshot in force and its copy on disk.

mod adjust;
mod announce;
mod cache;
mod client;
mod dial;
mod files;
mod status;
mod store;

pub use adjust::Adjuster;
pub use cache::{Cache, CacheError};
pub use client::Client;
pub use dial::DialError;
pub use files::{Problem, Problems, ResourcesError, parse_resources};
pub use status::{ControlStatus, Status};
pub use store::{NeedError, Store};

pub(crate) use dial::dial;
pub(crate) use files::{Follower, LOOK, Opened, Stamp};
pub(crate) use store::{Demands, Writer};
