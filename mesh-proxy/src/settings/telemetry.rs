//! Where records of requests go.

use super::parse::Reader;
use super::tracing::{DEFAULT_FRACTION, Sampling, Tracing};
use super::{AccessLog, LogFormat, LogSink, SettingsSource};

// === impl Reader ===

impl Reader {
    pub(super) fn access_log(&mut self, source: &SettingsSource) -> AccessLog {
        AccessLog {
            sink: self.or("access-log", source.access_log.as_deref(), LogSink::Off),
            format: self.or(
                "access-log-format",
                source.access_log_format.as_deref(),
                LogFormat::Text,
            ),
        }
    }

    pub(super) fn tracing(&mut self, source: &SettingsSource) -> Option<Tracing> {
        let sampling = self.or(
            "tracing-sampling",
            given(source.tracing_sampling.as_deref()),
            Sampling(DEFAULT_FRACTION * 100.0),
        );
        self.optional("tracing", given(source.tracing.as_deref()))
            .map(|endpoint| Tracing {
                endpoint,
                fraction: sampling.0 / 100.0,
            })
    }
}

/// A variable that is empty, as compose files pass on those that nobody sets, says nothing.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
