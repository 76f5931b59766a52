//! What the status of an object should say.

use mesh_api::v1::{Problem, Severity};
use meshd_core::code::istio_level;
use serde_json::{Value, json};

/// The condition that we write.
pub(crate) const ACCEPTED: &str = "Accepted";
/// Longest message of a condition (Kubernetes: 32 KiB; readable: less).
const LONGEST: usize = 4096;
/// Where Istio explains the codes of its analysis.
const EXPLANATIONS: &str = "https://istio.io/latest/docs/reference/config/analysis";

/// What is to be said of an object, without times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Of the version that it is about.
    pub(crate) generation: i64,
    /// In force, and not in quarantine.
    pub(crate) accepted: bool,
    pub(crate) message: String,
    /// Code and level of each finding.
    findings: Vec<(String, &'static str)>,
}

/// What the status of an object says now, as far as it is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Written {
    generation: Option<i64>,
    condition: Option<Value>,
    messages: Value,
    /// When `accepted` last changed.
    since: Option<String>,
}

// === impl Verdict ===

impl Verdict {
    /// From what is wrong with the object.
    pub(crate) fn new(generation: i64, problems: &[&Problem]) -> Self {
        let accepted = !problems
            .iter()
            .any(|problem| problem.severity() == Severity::Error);
        let mut message = match (accepted, problems.is_empty()) {
            (true, true) => "in force".to_owned(),
            (true, false) => "in force; ".to_owned(),
            (false, _) => "not in force, its last good version is if there was one: ".to_owned(),
        };
        let texts: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
        message.push_str(&texts.join("; "));
        shorten(&mut message);
        let mut findings: Vec<(String, &'static str)> = problems
            .iter()
            .map(|problem| (problem.code.clone(), level(problem)))
            .collect();
        findings.sort();
        findings.dedup();
        Self {
            generation,
            accepted,
            message,
            findings,
        }
    }

    /// The reason, in one word.
    pub(crate) fn reason(&self) -> &'static str {
        match (self.accepted, self.findings.is_empty()) {
            (true, true) => "Accepted",
            (true, false) => "AcceptedWithFindings",
            (false, _) => "Quarantined",
        }
    }

    /// Whether the status says so already.
    pub(crate) fn is_written(&self, written: &Written) -> bool {
        written.generation == Some(self.generation)
            && written.condition.as_ref() == Some(&self.condition())
            && written.messages == self.messages()
    }

    /// The status to apply, at this time (RFC 3339).
    pub(crate) fn status(&self, written: &Written, now: &str) -> Value {
        let mut condition = self.condition();
        let same = written.accepted() == Some(self.accepted);
        let since = written.since.as_deref().filter(|_| same).unwrap_or(now);
        if let Some(condition) = condition.as_object_mut() {
            condition.insert("lastTransitionTime".to_owned(), since.into());
        }
        let mut status = json!({
            "observedGeneration": self.generation,
            "conditions": [condition],
        });
        let messages = self.messages();
        if let Some(status) = status.as_object_mut()
            && messages != json!([])
        {
            status.insert("validationMessages".to_owned(), messages);
        }
        status
    }

    fn condition(&self) -> Value {
        json!({
            "type": ACCEPTED,
            "status": if self.accepted { "True" } else { "False" },
            "reason": self.reason(),
            "message": self.message,
            "observedGeneration": self.generation,
        })
    }

    /// Istio's form has no place for a text: that is in the condition.
    fn messages(&self) -> Value {
        let messages = self.findings.iter().map(|(code, level)| {
            let mut message = json!({ "type": { "code": code }, "level": level });
            if code.starts_with("IST")
                && let Some(message) = message.as_object_mut()
            {
                let page = format!("{EXPLANATIONS}/{}/", code.to_lowercase());
                message.insert("documentationUrl".to_owned(), page.into());
            }
            message
        });
        messages.collect()
    }
}

/// Istio's level where the code is Istio's, in whose form it is written: the condition says
/// whether the object is in force.
fn level(problem: &Problem) -> &'static str {
    match istio_level(&problem.code).unwrap_or(problem.severity()) {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
        Severity::Info => "INFO",
        Severity::Unspecified => "UNKNOWN",
    }
}

fn shorten(text: &mut String) {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
}

// === impl Written ===

impl Written {
    /// From the `status` of an object.
    pub(crate) fn of(status: Option<&Value>) -> Self {
        let Some(status) = status else {
            return Self::default();
        };
        let conditions = status.get("conditions").and_then(Value::as_array);
        let mut condition = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition.get("type").and_then(Value::as_str) == Some(ACCEPTED))
            .cloned();
        let mut since = None;
        if let Some(Value::Object(condition)) = &mut condition {
            since = condition.remove("lastTransitionTime");
            condition.remove("lastProbeTime");
        }
        Self {
            generation: status.get("observedGeneration").and_then(integer),
            condition,
            messages: status
                .get("validationMessages")
                .cloned()
                .unwrap_or(json!([])),
            since: since.and_then(|since| since.as_str().map(str::to_owned)),
        }
    }

    /// What it says about being in force, if anything.
    pub(crate) fn accepted(&self) -> Option<bool> {
        let condition = self.condition.as_ref()?;
        Some(condition.get("status")?.as_str()? == "True")
    }
}

/// Istio writes 64-bit numbers as text, as JSON of protobuf is.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(severity: Severity, code: &str, message: &str) -> Problem {
        Problem {
            severity: severity.into(),
            message: message.to_owned(),
            code: code.to_owned(),
            ..Problem::default()
        }
    }

    #[test]
    fn says_what_is_wrong_and_is_content_with_its_own_words() {
        let bad = problem(Severity::Error, "IST0106", "spec.hosts: required");
        let odd = problem(Severity::Warning, "unsupported", "x is ignored");
        for (problems, accepted, reason) in [
            (vec![], true, "Accepted"),
            (vec![&odd], true, "AcceptedWithFindings"),
            (vec![&odd, &bad, &bad], false, "Quarantined"),
        ] {
            let verdict = Verdict::new(3, &problems);
            assert_eq!((verdict.accepted, verdict.reason()), (accepted, reason));
            let empty = Written::default();
            assert!(!verdict.is_written(&empty));
            let status = verdict.status(&empty, "2026-01-01T00:00:00Z");
            let written = Written::of(Some(&status));
            assert!(verdict.is_written(&written), "{status}");
            assert_eq!(written.accepted(), Some(accepted));
            assert!(!Verdict::new(4, &problems).is_written(&written));
        }
        let status = Verdict::new(1, &[&bad]).status(&Written::default(), "t");
        assert_eq!(
            status,
            json!({
                "observedGeneration": 1,
                "conditions": [{
                    "type": "Accepted", "status": "False", "reason": "Quarantined",
                    "message": "not in force, its last good version is if there was one: spec.hosts: required",
                    "observedGeneration": 1, "lastTransitionTime": "t",
                }],
                "validationMessages": [{
                    "type": {"code": "IST0106"}, "level": "ERROR",
                    "documentationUrl": "https://istio.io/latest/docs/reference/config/analysis/ist0106/",
                }],
            })
        );
    }

    #[test]
    fn trap_78_levels_are_istio_s_also_where_the_object_is_in_force() {
        for (severity, code, level) in [
            (Severity::Warning, "IST0101", "ERROR"),
            (Severity::Warning, "IST0133", "WARNING"),
            (Severity::Info, "IST0131", "INFO"),
            (Severity::Warning, "unsupported", "WARNING"),
        ] {
            let found = problem(severity, code, "x");
            let status = Verdict::new(1, &[&found]).status(&Written::default(), "t");
            assert_eq!(status["conditions"][0]["status"], "True", "{code}");
            assert_eq!(status["validationMessages"][0]["level"], level, "{code}");
        }
    }

    #[test]
    fn keeps_the_time_of_the_last_change() {
        let good = Verdict::new(1, &[]);
        let written = Written::of(Some(&good.status(&Written::default(), "one")));
        let again = Verdict::new(2, &[]).status(&written, "two");
        assert_eq!(again["conditions"][0]["lastTransitionTime"], "one");
        let bad = problem(Severity::Error, "yaml", "no");
        let flipped = Verdict::new(3, &[&bad]).status(&written, "three");
        assert_eq!(flipped["conditions"][0]["lastTransitionTime"], "three");
    }

    #[test]
    fn reads_what_others_have_written() {
        let status = json!({
            "observedGeneration": "7",
            "conditions": [
                {"type": "Healthy", "status": "True"},
                {"type": "Accepted", "status": "True", "lastProbeTime": "x"},
            ],
        });
        let written = Written::of(Some(&status));
        assert_eq!(written.generation, Some(7));
        assert_eq!(written.accepted(), Some(true));
        let long = problem(Severity::Info, "x", &"ä".repeat(LONGEST));
        assert!(Verdict::new(1, &[&long]).message.len() <= LONGEST + 3);
    }
}
