//! What `bookinfo call` prints: a line of JSON with the status, header and body of an answer and
//! the time it took, or with an error.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use crate::call::Answer;
use crate::cluster::Executed;

#[derive(Deserialize)]
#[serde(untagged)]
enum Printed {
    Answer {
        status: u16,
        headers: BTreeMap<String, String>,
        body: String,
        ms: f64,
    },
    Error {
        error: String,
    },
}

/// The answer that the client has got.
///
/// # Errors
/// If it has none, or could not be run.
pub(super) fn read(executed: &Executed) -> anyhow::Result<Answer> {
    let told = executed.stderr.trim();
    if matches!(executed.code, 126 | 127) {
        bail!("cannot run the sample's client in its container: {told}");
    }
    let printed: Printed = serde_json::from_slice(&executed.stdout).with_context(|| {
        format!("the sample's client prints something else than expected: {told}")
    })?;
    match printed {
        Printed::Error { error } => bail!("{error}"),
        Printed::Answer {
            status,
            headers,
            body,
            ms,
        } => Ok(Answer {
            status: StatusCode::from_u16(status)?,
            headers: header_map(&headers),
            body: body.into(),
            took: Duration::try_from_secs_f64(ms / 1000.0)?,
        }),
    }
}

/// What no header may be is left out.
fn header_map(fields: &BTreeMap<String, String>) -> HeaderMap {
    let parsed = fields.iter().filter_map(|(name, value)| {
        let name: HeaderName = name.parse().ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executed(code: u8, stdout: &str, stderr: &str) -> Executed {
        Executed {
            code,
            stdout: stdout.as_bytes().to_vec(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn reads_answers_and_failures() {
        let printed = r#"{"status": 403, "headers": {"x-a": "1"}, "body": "no", "ms": 7000.5}"#;
        let answer = read(&executed(0, printed, "")).unwrap();
        assert_eq!(answer.status, 403);
        assert_eq!(answer.header("x-a"), "1");
        assert_eq!(answer.text(), "no");
        assert_eq!(answer.took, Duration::from_micros(7_000_500));
        for (code, stdout, stderr, part) in [
            (
                1,
                r#"{"error": "the connection failed"}"#,
                "",
                "the connection failed",
            ),
            (127, "", "no such file", "cannot run"),
            (1, "", "oops", "oops"),
        ] {
            let error = read(&executed(code, stdout, stderr)).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
