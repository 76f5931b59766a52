//! The charts' templates: the part of Helm's template language that they are written in.
//!
//! Helm is Go's `text/template` with the functions of Sprig. The charts keep to a small part of
//! it, so that this renderer stays small and both render the same; a test compares them.
//!
//! - Actions: `{{ pipeline }}`, `{{ $x := … }}`, `{{ $x = … }}`, `if`/`else if`/`else`,
//!   `with`/`else`, `range` (also `$i, $x :=`)/`else`, `define`, `end`, comments, and trimming by
//!   `{{-` and `-}}`.
//! - Operands: `.`, `.a.b`, `$`, `$x.a`, strings in `"` or `` ` ``, whole numbers, `true`, `false`,
//!   `nil`, `(pipeline)`.
//! - Functions: those of [`functions`].
//!
//! Anything else is an error that names the file and line.

mod eval;
mod functions;
mod lex;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use parse::Node;

/// Templates that may include each other.
#[derive(Debug, Default)]
pub struct Templates {
    files: BTreeMap<String, Vec<Node>>,
    defined: BTreeMap<String, Vec<Node>>,
}

/// A template that cannot be read or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct TemplateError {
    /// The template's file.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Where in which file something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    file: std::sync::Arc<str>,
    line: usize,
}

// === impl Place ===

impl Place {
    fn error(&self, message: impl Into<String>) -> TemplateError {
        TemplateError {
            file: self.file.to_string(),
            line: self.line,
            message: message.into(),
        }
    }
}

// === impl Templates ===

impl Templates {
    /// Adds a file. What it defines is there for all files.
    ///
    /// # Errors
    /// If it is outside of the language above.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), TemplateError> {
        let parsed = parse::parse(file, text)?;
        self.defined.extend(parsed.defined);
        self.files.insert(file.to_owned(), parsed.nodes);
        Ok(())
    }

    /// Renders a file with `data` as `.` and `$`.
    ///
    /// # Errors
    /// If a function or operand does not fit the data.
    pub fn render(&self, file: &str, data: &Value) -> Result<String, TemplateError> {
        let nodes = self.files.get(file).ok_or_else(|| TemplateError {
            file: file.to_owned(),
            line: 1,
            message: "there is no such template".to_owned(),
        })?;
        eval::render(self, nodes, data)
    }
}
