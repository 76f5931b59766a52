//! What is spoken.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// HTTP/1.1 with keep-alive.
    H1,
    /// HTTP/2.
    H2,
    /// Unary calls of gRPC.
    Grpc,
    /// Bytes in one direction.
    Tcp,
}

// === impl Kind ===

impl Kind {
    /// Whether HTTP/2 is below.
    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Self::H2 | Self::Grpc)
    }

    /// Most of Envoy's CPU time that ours may take.
    pub(crate) fn budget(self) -> f64 {
        match self {
            Self::H1 | Self::H2 | Self::Grpc => 0.5,
            Self::Tcp => 0.8,
        }
    }

    /// What CPU time is told in.
    pub(crate) fn cpu_unit(self) -> &'static str {
        match self {
            Self::Tcp => "ms/GB",
            Self::H1 | Self::H2 | Self::Grpc => "µs/request",
        }
    }

    /// Parts of a second in that unit.
    pub(crate) fn cpu_parts(self) -> f64 {
        match self {
            Self::Tcp => 1e3,
            Self::H1 | Self::H2 | Self::Grpc => 1e6,
        }
    }

    /// What goes through in a second.
    pub(crate) fn rate(self) -> &'static str {
        match self {
            Self::Tcp => "Gbit/s",
            Self::H1 | Self::H2 | Self::Grpc => "req/s",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::H1, Self::H2, Self::Grpc, Self::Tcp]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| "one of h1, h2, grpc, tcp is expected".to_owned())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        })
    }
}
