//! `AdmissionReview` of `admission.k8s.io/v1`. The object stays as the API server sent it: a patch
//! is against exactly that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The API server truncates longer warnings.
const LONGEST_WARNING: usize = 250;
const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// A question.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<Request>,
}

/// What is asked about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) uid: String,
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) operation: String,
    #[serde(default)]
    pub(super) object: Value,
    #[serde(default)]
    pub(super) old_object: Value,
}

/// What is answered.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// Why not; absent if it is allowed.
    pub(super) refusal: Option<String>,
    /// What the object's author should know.
    pub(super) warnings: Vec<String>,
    /// How to change the object.
    pub(super) patch: Option<json_patch::Patch>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Status<'a> {
    status: &'static str,
    message: &'a str,
    reason: &'static str,
    code: u16,
}

/// Reads a question.
///
/// # Errors
/// What is wrong with it, for whoever sent it.
pub(super) fn read(body: &[u8]) -> Result<Request, String> {
    let question: Question = serde_json::from_slice(body)
        .map_err(|error| format!("this is no AdmissionReview: {error}"))?;
    if question.kind != KIND || question.api_version != API_VERSION {
        return Err(format!(
            "`{}` of `{}` is not understood; send {KIND} of {API_VERSION}",
            question.kind, question.api_version
        ));
    }
    question
        .request
        .ok_or_else(|| "the AdmissionReview has no request".to_owned())
}

/// Writes the answer.
///
/// # Errors
/// If the patch has no JSON form.
pub(super) fn write(uid: &str, verdict: &Verdict) -> serde_json::Result<Vec<u8>> {
    let patch = match &verdict.patch {
        Some(patch) if verdict.refusal.is_none() && !patch.0.is_empty() => {
            Some(STANDARD.encode(serde_json::to_vec(patch)?))
        }
        _ => None,
    };
    let status = verdict.refusal.as_deref().map(|message| Status {
        status: "Failure",
        message,
        reason: "Invalid",
        code: 422,
    });
    serde_json::to_vec(&Answer {
        api_version: API_VERSION,
        kind: KIND,
        response: Response {
            uid,
            allowed: verdict.refusal.is_none(),
            status,
            patch_type: patch.is_some().then_some("JSONPatch"),
            patch,
            warnings: verdict.warnings.iter().map(|text| short(text)).collect(),
        },
    })
}

fn short(text: &str) -> String {
    if text.len() <= LONGEST_WARNING {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(LONGEST_WARNING - "…".len());
    format!("{}…", text.get(..end).unwrap_or_default())
}

// === impl Verdict ===

impl Verdict {
    /// It must not be.
    pub(super) fn refuse(why: impl Into<String>) -> Self {
        Self {
            refusal: Some(why.into()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_only_what_it_understands() {
        for (body, want) in [
            ("{", "no AdmissionReview"),
            ("{}", "not understood"),
            (
                r#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}"#,
                "v1beta1",
            ),
            (
                r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#,
                "no request",
            ),
        ] {
            let error = read(body.as_bytes()).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn writes_what_the_api_server_reads() {
        let refused = Verdict {
            warnings: vec!["é".repeat(200)],
            ..Verdict::refuse("no")
        };
        let answer: Value = serde_json::from_slice(&write("u", &refused).unwrap()).unwrap();
        assert_eq!(answer["response"]["allowed"], false);
        assert_eq!(answer["response"]["status"]["message"], "no");
        let warning = answer["response"]["warnings"][0].as_str().unwrap();
        assert!(warning.len() <= LONGEST_WARNING && warning.ends_with('…'));

        let patch = json_patch::diff(&json!({}), &json!({"a": 1}));
        let allowed = Verdict {
            patch: Some(patch),
            ..Verdict::default()
        };
        let answer: Value = serde_json::from_slice(&write("u", &allowed).unwrap()).unwrap();
        assert_eq!(answer["response"]["patchType"], "JSONPatch");
        assert_eq!(answer["response"].get("status"), None);
        let unchanged = Verdict {
            patch: Some(json_patch::Patch(Vec::new())),
            ..Verdict::default()
        };
        let answer: Value = serde_json::from_slice(&write("u", &unchanged).unwrap()).unwrap();
        assert_eq!(answer["response"], json!({"uid": "u", "allowed": true}));
    }
}
