//! What reading one object found.

use mesh_api::v1::{Origin, Problem, Severity};

use crate::problem::code;

/// A place in a file: line and column, both from 1. In an object that comes without lines, line
/// 0 and the number of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Collects what is wrong with one object. An object with an error does not come into force.
#[derive(Debug)]
pub(crate) struct Report {
    origin: Origin,
    problems: Vec<Problem>,
    failed: bool,
    lenient: bool,
}

// === impl Place ===

impl Place {
    /// The origin of a part of the object that has this origin.
    pub(crate) fn in_object(self, object: &Origin) -> Origin {
        Origin {
            line: self.line,
            column: if self.line == 0 { 0 } else { self.column },
            ..object.clone()
        }
    }

    pub(crate) fn shift(self, lines: u32) -> Self {
        if self.line == 0 {
            self
        } else {
            Self {
                line: self.line.saturating_add(lines),
                ..self
            }
        }
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            origin,
            problems: Vec::new(),
            failed: false,
            lenient: false,
        }
    }

    /// The object's origin, moved to a place inside of it.
    pub(crate) fn at(&self, place: Place) -> Origin {
        place.in_object(&self.origin)
    }

    /// From now on fields that nobody asked for are nothing to report.
    pub(crate) fn be_lenient(&mut self) {
        self.lenient = true;
    }

    pub(crate) fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// The object cannot be used (Istio: SchemaValidationError).
    pub(crate) fn error(&mut self, place: Place, message: impl Into<String>) {
        self.push(
            Severity::Error,
            place,
            message.into(),
            code::SCHEMA_VALIDATION_ERROR,
        );
    }

    /// The object can be used, but not all of it means what it seems to (Istio: SchemaWarning).
    pub(crate) fn warn(&mut self, place: Place, message: impl Into<String>) {
        self.push(
            Severity::Warning,
            place,
            message.into(),
            code::SCHEMA_WARNING,
        );
    }

    /// A finding with a code of its own.
    pub(crate) fn push(&mut self, severity: Severity, place: Place, message: String, code: &str) {
        self.failed |= severity == Severity::Error;
        // Without lines the column tells the field; whoever reads the object puts it in words.
        let origin = Some(Origin {
            line: place.line,
            column: place.column,
            ..self.origin.clone()
        });
        self.problems.push(Problem {
            severity: severity.into(),
            origin,
            message,
            code: code.to_owned(),
        });
    }

    /// Takes over a finding made elsewhere.
    pub(crate) fn adopt(&mut self, problem: Problem) {
        self.failed |= problem.severity() == Severity::Error;
        self.problems.push(problem);
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}
