//! How tries end, in the view of the balancer.

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::reason::Reason;

/// How a try ended, in the view of the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint answered, whatever the application said.
    Success,
    /// It answered 502, 503 or 504.
    GatewayError,
    /// It answered another 5xx: the application's own affair, unless a DestinationRule counts it.
    ServerError,
    /// The connection could not be made, or TLS failed.
    ConnectFailure,
    /// The connection broke before the answer.
    Reset,
    /// No answer in time.
    Timeout,
    /// It said that it has too much to do: less for it, but it is not broken.
    Overloaded,
    /// The client went away: says nothing.
    Cancelled,
}

// === impl Outcome ===

impl Outcome {
    /// From the status of an answer.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            429 => Self::Overloaded,
            502..=504 => Self::GatewayError,
            500..=599 => Self::ServerError,
            _ => Self::Success,
        }
    }

    /// From the head of an answer: gRPC says in a field of its own how it went, if there is no
    /// message before (Envoy: `Grpc::Utility::grpcToHttpStatus`).
    pub fn of_response(status: StatusCode, headers: &HeaderMap) -> Self {
        let said = headers.get("grpc-status").map(HeaderValue::as_bytes);
        if Reason::overload_of(headers).is_some() {
            return Self::Overloaded;
        }
        match said {
            // UNAVAILABLE and DEADLINE_EXCEEDED.
            Some(b"14" | b"4") => Self::GatewayError,
            // RESOURCE_EXHAUSTED.
            Some(b"8") => Self::Overloaded,
            // UNKNOWN, UNIMPLEMENTED, INTERNAL and DATA_LOSS.
            Some(b"2" | b"12" | b"13" | b"15") => Self::ServerError,
            Some(_) if status == StatusCode::OK => Self::Success,
            _ => Self::of_status(status),
        }
    }

    /// The same where a DestinationRule says which statuses are errors (Istio:
    /// outlierDetectionHttpErrorCodes): these are, like an error 500, and no others.
    #[must_use]
    pub fn judged(self, status: StatusCode, errors: &[u16]) -> Self {
        match self {
            _ if errors.is_empty() => self,
            _ if errors.contains(&status.as_u16()) => Self::ServerError,
            Self::GatewayError | Self::ServerError => Self::Success,
            other => other,
        }
    }

    /// Whether the endpoint failed to do its work.
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::GatewayError | Self::ConnectFailure | Self::Reset | Self::Timeout
        )
    }
}
