//! The proxy's own log, on standard error.

use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, reload};

/// Changes what is logged while the proxy runs. Cheap to clone.
#[derive(Clone)]
pub struct LogLevel {
    set: Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

/// Why the log's level cannot be changed.
#[derive(Debug, thiserror::Error)]
#[error("`{directives}` is no log level: {why}")]
pub struct InvalidLevel {
    directives: String,
    why: String,
}

/// Installs the process-wide log with these directives, for example `info` or
/// `warn,mesh_proxy=debug`. For programs only; a library leaves the log to its host.
///
/// # Errors
/// If the directives cannot be parsed, or a log is installed already.
pub fn install(directives: &str, json: bool) -> Result<LogLevel, InvalidLevel> {
    let failed = |why: String| InvalidLevel {
        directives: directives.to_owned(),
        why,
    };
    let filter = EnvFilter::try_new(directives).map_err(|error| failed(error.to_string()))?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let installed = if json {
        registry
            .with(fmt::layer().json().with_writer(std::io::stderr))
            .try_init()
    } else {
        registry
            .with(fmt::layer().with_writer(std::io::stderr).with_ansi(false))
            .try_init()
    };
    installed.map_err(|error| failed(error.to_string()))?;
    Ok(LogLevel {
        set: Arc::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())),
    })
}

// === impl LogLevel ===

impl LogLevel {
    /// Sets the directives.
    ///
    /// # Errors
    /// If they cannot be parsed.
    pub fn set(&self, directives: &str) -> Result<(), InvalidLevel> {
        let failed = |why: String| InvalidLevel {
            directives: directives.to_owned(),
            why,
        };
        let filter = EnvFilter::try_new(directives).map_err(|error| failed(error.to_string()))?;
        (self.set)(filter).map_err(failed)
    }
}
