//! Logging, and its level while it runs.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Changes what is logged while the program runs. Cheap to clone.
#[derive(Clone)]
pub struct LogControl(Arc<SetFilter>);

type SetFilter = dyn Fn(&str) -> Result<(), InvalidFilter> + Send + Sync;

/// Why a filter is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{filter}` is no log filter: {why}; write error, warn, info, debug, trace, or module=level"
)]
pub struct InvalidFilter {
    filter: String,
    why: String,
}

// === impl LogControl ===

impl LogControl {
    /// Calls back with a filter (in the syntax of `tracing_subscriber::EnvFilter`) when the
    /// operator asks for another level.
    pub fn new(set: impl Fn(&str) -> Result<(), InvalidFilter> + Send + Sync + 'static) -> Self {
        Self(Arc::new(set))
    }

    /// Starts to log this program on stderr. Once per process.
    ///
    /// # Errors
    /// If the filter cannot be read.
    pub fn start(filter: &str, format: LogFormat) -> Result<Self, InvalidFilter> {
        let builder = Subscriber::builder()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        match format {
            LogFormat::Text => {
                let builder = builder
                    .with_env_filter(parse(filter)?)
                    .with_filter_reloading();
                let handle = builder.reload_handle();
                builder.init();
                Ok(Self::new(move |filter| {
                    handle
                        .reload(parse(filter)?)
                        .map_err(|error| invalid(filter, &error))
                }))
            }
            LogFormat::Json => {
                let builder = builder
                    .json()
                    .with_env_filter(parse(filter)?)
                    .with_filter_reloading();
                let handle = builder.reload_handle();
                builder.init();
                Ok(Self::new(move |filter| {
                    handle
                        .reload(parse(filter)?)
                        .map_err(|error| invalid(filter, &error))
                }))
            }
        }
    }

    /// Sets the filter.
    ///
    /// # Errors
    /// If it cannot be read; the old one stays.
    pub fn set(&self, filter: &str) -> Result<(), InvalidFilter> {
        (self.0)(filter)
    }
}

fn parse(filter: &str) -> Result<EnvFilter, InvalidFilter> {
    EnvFilter::try_new(filter).map_err(|error| invalid(filter, &error))
}

fn invalid(filter: &str, why: &dyn fmt::Display) -> InvalidFilter {
    InvalidFilter {
        filter: filter.chars().take(128).collect(),
        why: why.to_string(),
    }
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogControl")
    }
}
