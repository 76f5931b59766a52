//! The product page's calls to the other services.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use tracing::warn;

use crate::{
    app::{App, POD_HEADER, VERSION_HEADER},
    client::{Answer, CallError},
    settings::Target,
};

/// The mesh's name for why it refused or failed a request.
const REASON_HEADER: &str = "x-mesh-reason";
/// How much of an error's text is shown, in characters.
const MAX_TEXT: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    Details,
    Reviews,
    Ratings,
}

#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) json: Value,
    /// The workload that answered, as its headers say.
    pub(super) pod: Option<String>,
    pub(super) version: Option<String>,
}

/// Why there is nothing to show.
#[derive(Debug)]
pub(super) struct Failure {
    /// The service's status, or 500 when it did not answer.
    pub(super) status: StatusCode,
    /// The original's text.
    pub(super) message: &'static str,
    /// What happened at the last try.
    pub(super) cause: String,
    /// The mesh's reason, from the answer's header.
    pub(super) reason: Option<String>,
    /// How often the service was asked.
    pub(super) tries: u32,
    /// How long one try may take.
    pub(super) limit: Duration,
}

/// A try that failed.
#[derive(Debug, thiserror::Error)]
enum Try {
    #[error("{to}: {source}")]
    Call { to: Target, source: CallError },
    #[error("{to} answered {status}{}", quoted(text.as_deref()))]
    Status {
        to: Target,
        status: StatusCode,
        text: Option<String>,
        reason: Option<String>,
    },
    #[error("{to} did not answer JSON: {source}")]
    Json {
        to: Target,
        source: serde_json::Error,
    },
}

// === impl Backend ===

impl Backend {
    fn path(self, id: u64) -> String {
        let name = match self {
            Self::Details => "details",
            Self::Reviews => "reviews",
            Self::Ratings => "ratings",
        };
        format!("/{name}/{id}")
    }

    fn target(self, app: &App) -> &Target {
        let upstreams = &app.settings.upstreams;
        match self {
            Self::Details => &upstreams.details,
            Self::Reviews => &upstreams.reviews,
            Self::Ratings => &upstreams.ratings,
        }
    }

    /// The original asks `reviews` twice: together with the timeout that is the flaw which
    /// Istio's fault injection task finds.
    fn tries(self) -> u32 {
        if self == Self::Reviews { 2 } else { 1 }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Details => "Sorry, product details are currently unavailable for this book.",
            Self::Reviews => "Sorry, product reviews are currently unavailable for this book.",
            Self::Ratings => "Sorry, product ratings are currently unavailable for this book.",
        }
    }
}

pub(super) async fn fetch(
    app: &App,
    backend: Backend,
    id: u64,
    headers: HeaderMap,
) -> Result<Fetched, Failure> {
    let tries = backend.tries();
    let mut tried = 1;
    let failed = loop {
        match fetch_once(app, backend, id, headers.clone()).await {
            Ok(fetched) => return Ok(fetched),
            Err(failed) => {
                warn!("try {tried} of {tries}: {failed}");
                if tried == tries {
                    break failed;
                }
                tried += 1;
            }
        }
    };
    let cause = failed.to_string();
    let (status, reason) = match failed {
        Try::Status { status, reason, .. } => (status, reason),
        Try::Call { .. } | Try::Json { .. } => (StatusCode::INTERNAL_SERVER_ERROR, None),
    };
    let limit = app.settings.timeouts.page;
    Err(Failure {
        status,
        message: backend.message(),
        cause,
        reason,
        tries,
        limit,
    })
}

async fn fetch_once(
    app: &App,
    backend: Backend,
    id: u64,
    headers: HeaderMap,
) -> Result<Fetched, Try> {
    let to = backend.target(app);
    let limit = app.settings.timeouts.page;
    let answer = app
        .client
        .get(to, &backend.path(id), headers, limit)
        .await
        .map_err(|source| Try::Call {
            to: to.clone(),
            source,
        })?;
    if answer.status != StatusCode::OK {
        let reason = answer.header(REASON_HEADER).map(shortened);
        let text = error_text(&answer);
        return Err(Try::Status {
            to: to.clone(),
            status: answer.status,
            text,
            reason,
        });
    }
    let json = serde_json::from_slice(&answer.body).map_err(|source| Try::Json {
        to: to.clone(),
        source,
    })?;
    Ok(Fetched {
        json,
        pod: answer.header(POD_HEADER).map(str::to_owned),
        version: answer.header(VERSION_HEADER).map(str::to_owned),
    })
}

/// What an error answer says, when that is readable.
fn error_text(answer: &Answer) -> Option<String> {
    let kind = answer
        .header(header::CONTENT_TYPE.as_str())
        .unwrap_or("text/plain");
    let text = if kind.starts_with("application/json") {
        let json: Value = serde_json::from_slice(&answer.body).ok()?;
        json.get("error")?.as_str()?.to_owned()
    } else if kind.starts_with("text/plain") {
        String::from_utf8(answer.body.to_vec()).ok()?
    } else {
        return None;
    };
    let text = text.trim();
    (!text.is_empty()).then(|| shortened(text))
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_TEXT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn quoted(text: Option<&str>) -> String {
    text.map(|text| format!(": \u{201c}{text}\u{201d}"))
        .unwrap_or_default()
}
