//! The directory source: files of configuration, and their changes.

mod debounce;
mod scan;
mod watch;

use std::io;
use std::path::PathBuf;

pub(crate) use scan::Scanner;
pub(crate) use watch::{LookHandle, Watcher};

/// Why configuration cannot be read at the start.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A path that was given is not there.
    #[error("cannot read the configuration in {path}: {source}")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}
