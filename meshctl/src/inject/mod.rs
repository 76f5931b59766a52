//! Sidecar injection into files: the very function of the admission webhook.
//!
//! Documents in which nothing is injected stay as they are, letter by letter; the others are
//! written anew, in their place.

mod documents;
mod proxy_configs;

use std::fmt;

use meshd_core::inject::{Decision, InjectContext, InjectSettings, Injection, SkipReason, inject};
use serde_json::{Value, json};

use crate::install::yaml;
use documents::Chunk;

pub use proxy_configs::FileConfigs;

/// What became of a file.
#[derive(Debug, Default)]
pub struct InjectedFile {
    documents: Vec<Document>,
    /// What became of each object.
    pub outcomes: Vec<Injection>,
}

#[derive(Debug)]
struct Document {
    /// As it was read.
    text: String,
    /// As it is now; absent if it holds no object.
    object: Option<Value>,
    changed: bool,
}

/// Why a file cannot be injected.
#[derive(Debug, thiserror::Error)]
#[error("{file}: document {document} (from line {line}): {reason}")]
pub struct InjectFileError {
    /// The file.
    pub file: String,
    /// Number of the document in it, from 1.
    pub document: usize,
    /// Where the document begins.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Injects proxies into all objects of a text of YAML or JSON. `file` names it in errors.
///
/// # Errors
/// At the first document that is no YAML or cannot be injected.
pub fn inject_text(
    file: &str,
    text: &str,
    settings: &InjectSettings,
    context: &InjectContext<'_>,
) -> Result<InjectedFile, InjectFileError> {
    let mut injected = InjectedFile::default();
    for (index, chunk) in documents::split(text).into_iter().enumerate() {
        let failed = |reason: String| InjectFileError {
            file: file.to_owned(),
            document: index + 1,
            line: chunk.line,
            reason,
        };
        let mut object = parse(&chunk).map_err(failed)?;
        let outcomes = match &mut object {
            Some(object) => {
                inject(object, settings, context).map_err(|error| failed(error.to_string()))?
            }
            None => Vec::new(),
        };
        let is_injected = |outcome: &Injection| matches!(outcome.decision, Decision::Inject(_));
        injected.documents.push(Document {
            text: chunk.text.to_owned(),
            object,
            changed: outcomes.iter().any(is_injected),
        });
        injected.outcomes.extend(outcomes);
    }
    Ok(injected)
}

fn parse(chunk: &Chunk<'_>) -> Result<Option<Value>, String> {
    if chunk.is_empty() {
        return Ok(None);
    }
    // As kubectl reads: `0644` is a number of YAML 1.1, a file's mode.
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    match serde_saphyr::from_str_with_options::<Value>(chunk.text, options) {
        Ok(Value::Null) => Ok(None),
        Ok(object @ Value::Object(_)) => Ok(Some(object)),
        Ok(_) => Err("this is no Kubernetes object".to_owned()),
        Err(error) => Err(format!("this is no YAML: {error}")),
    }
}

// === impl InjectedFile ===

impl InjectedFile {
    /// Appends what was read after this.
    pub fn append(&mut self, other: Self) {
        self.documents.extend(other.documents);
        self.outcomes.extend(other.outcomes);
    }

    /// All documents as YAML.
    pub fn to_yaml(&self) -> String {
        let texts: Vec<String> = self
            .documents
            .iter()
            .map(|document| match &document.object {
                Some(object) if document.changed => yaml::text(object),
                _ => {
                    let text = document.text.trim_matches('\n');
                    if text.is_empty() {
                        String::new()
                    } else {
                        format!("{text}\n")
                    }
                }
            })
            .filter(|text| !text.is_empty())
            .collect();
        texts.join("---\n")
    }

    /// All objects as JSON: the object, or a List of them.
    ///
    /// # Errors
    /// If a value has no JSON form.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let objects: Vec<&Value> = self
            .documents
            .iter()
            .filter_map(|document| document.object.as_ref())
            .collect();
        match objects.as_slice() {
            [object] => serde_json::to_string_pretty(object),
            objects => serde_json::to_string_pretty(&json!({
                "apiVersion": "v1", "kind": "List", "items": objects,
            })),
        }
    }

    /// What the user should know, line by line: objects that make pods and were not injected, and
    /// warnings.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.outcomes.iter().flat_map(|outcome| {
            let skipped = match &outcome.decision {
                Decision::Inject(_) | Decision::Skip(SkipReason::NoPod) => None,
                Decision::Skip(_) => Some(outcome.to_string()),
            };
            let warnings = outcome
                .warnings
                .iter()
                .map(|warning| format!("{}: warning: {warning}", outcome.object));
            skipped.into_iter().chain(warnings)
        })
    }
}

impl fmt::Display for InjectedFile {
    /// As YAML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_yaml())
    }
}

#[cfg(test)]
mod tests;
