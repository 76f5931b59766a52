//! What findings are called, how they are ordered and written.

pub mod code;

use std::fmt;

use mesh_api::v1::{Origin, Problem, Severity};

use crate::ingest::SOURCE;

/// Writes a finding in one line: `file:line:column: severity: message [CODE]`, or for an object
/// of an API server `Kind namespace/name: severity: message [CODE]`.
///
/// ```
/// use mesh_api::v1::{Origin, Problem, Severity};
/// use meshd_core::ProblemLine;
///
/// let origin = Origin { source: "a.yaml".into(), line: 3, column: 5, ..Origin::default() };
/// let mut problem = Problem { origin: Some(origin), message: "no such host".into(), ..Problem::default() };
/// problem.set_severity(Severity::Warning);
/// assert_eq!(ProblemLine(&problem).to_string(), "a.yaml:3:5: warning: no such host");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ProblemLine<'a>(pub &'a Problem);

impl fmt::Display for ProblemLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.0.origin {
            f.write_str(&place(origin))?;
            f.write_str(":")?;
            if origin.line > 0 {
                write!(f, "{}:{}:", origin.line, origin.column)?;
            }
            f.write_str(" ")?;
        }
        let severity = match self.0.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info | Severity::Unspecified => "info",
        };
        write!(f, "{severity}: {}", self.0.message)?;
        if self.0.code.is_empty() {
            Ok(())
        } else {
            write!(f, " [{}]", self.0.code)
        }
    }
}

/// What stands before the line: the file, or the object of an API server.
pub(crate) fn place(origin: &Origin) -> String {
    if origin.source != SOURCE || origin.kind.is_empty() {
        return origin.source.clone();
    }
    let (kind, namespace, name) = (&origin.kind, &origin.namespace, &origin.name);
    if name.is_empty() {
        kind.clone()
    } else if namespace.is_empty() {
        format!("{kind} {name}")
    } else {
        format!("{kind} {namespace}/{name}")
    }
}

/// ` (file:line)` of an object that has one.
pub(crate) fn in_file(origin: &Origin) -> String {
    if origin.line == 0 {
        String::new()
    } else {
        format!(" ({}:{})", origin.source, origin.line)
    }
}

/// Sorts by place and drops what is said twice.
pub(crate) fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by_cached_key(|problem| {
        let origin = problem.origin.clone().unwrap_or_default();
        (
            origin.source.clone(),
            origin.line,
            origin.column,
            place(&origin),
            -problem.severity,
            problem.code.clone(),
            problem.message.clone(),
        )
    });
    problems.dedup();
}
