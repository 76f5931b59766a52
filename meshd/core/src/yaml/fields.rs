//! Typed access to the fields of a map. What nobody asked for is an unknown field.

use std::collections::BTreeMap;

use mesh_api::v1::Severity;

use super::node::Key;
use super::{Node, Place, Report, Value, nearest, units};

/// Labels, annotations, selectors.
pub(crate) type Labels = BTreeMap<String, String>;

/// A string and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// The fields of one map while it is read.
pub(crate) struct Fields<'n> {
    entries: &'n [(Key, Node)],
    place: Place,
    path: String,
    known: Vec<&'static str>,
    used: Vec<bool>,
}

// === impl Fields ===

impl<'n> Fields<'n> {
    /// Opens a map. Anything else is an error.
    pub(crate) fn open(node: &'n Node, path: &str, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                let used = vec![false; entries.len()];
                Some(Self {
                    entries,
                    place: node.place,
                    path: path.to_owned(),
                    known: Vec::new(),
                    used,
                })
            }
            _ => {
                let what = if path.is_empty() {
                    "this is no Kubernetes object"
                } else {
                    path
                };
                report.error(
                    node.place,
                    format!("{what}: expected a map, found {}", node.kind()),
                );
                None
            }
        }
    }

    /// Place of the map.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Path of a field, for messages.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The value of a field; null is as good as absent. Istio's JSON takes `fixedDelay` and
    /// `fixed_delay` for the same field (protobuf's JSON mapping), so this does.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.push(name);
        let mut found = None;
        for ((key, node), used) in self.entries.iter().zip(&mut self.used) {
            if key.name == name || is_snake_of(&key.name, name) {
                *used = true;
                found = Some(node);
            }
        }
        found.filter(|node| node.value != Value::Null)
    }

    /// The text of a field that is still to be read.
    pub(crate) fn peek(&self, name: &str) -> Option<&'n str> {
        let found = self.entries.iter().find(|(key, _)| key.name == name);
        found.and_then(|(_, node)| node.text())
    }

    /// Whether a field is there, even if null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries
            .iter()
            .any(|(key, _)| key.name == name || is_snake_of(&key.name, name))
    }

    fn typed<T>(
        &mut self,
        name: &'static str,
        want: &str,
        r: &mut Report,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<(T, Place)> {
        let node = self.get(name)?;
        let value = read(&node.value);
        if value.is_none() {
            let path = self.path(name);
            let scalar = matches!(node.value, Value::Bool(_) | Value::Int(_) | Value::Float(_));
            let hint = if scalar && want == "a string" {
                "; put it in quotes"
            } else {
                ""
            };
            r.error(
                node.place,
                format!("{path}: expected {want}, found {}{hint}", node.kind()),
            );
        }
        value.map(|value| (value, node.place))
    }

    pub(crate) fn word(&mut self, name: &'static str, r: &mut Report) -> Option<Word> {
        self.typed(name, "a string", r, |value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
        .map(|(text, place)| Word { text, place })
    }

    /// The text of a string; empty if it is not there.
    pub(crate) fn text(&mut self, name: &'static str, r: &mut Report) -> String {
        self.word(name, r).map(|word| word.text).unwrap_or_default()
    }

    pub(crate) fn boolean(&mut self, name: &'static str, r: &mut Report) -> Option<bool> {
        self.typed(name, "true or false", r, |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
        .map(|(value, _)| value)
    }

    /// A number from 0 to 2^32 - 1.
    pub(crate) fn number(&mut self, name: &'static str, r: &mut Report) -> Option<(u32, Place)> {
        self.typed(
            name,
            "a number from 0 to 4294967295",
            r,
            |value| match value {
                Value::Int(value) => u32::try_from(*value).ok(),
                _ => None,
            },
        )
    }

    /// A number with a fraction.
    pub(crate) fn fraction(&mut self, name: &'static str, r: &mut Report) -> Option<(f64, Place)> {
        self.typed(name, "a number", r, |value| match value {
            #[expect(clippy::cast_precision_loss, reason = "percentages are small")]
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        })
    }

    /// A port number.
    pub(crate) fn port(&mut self, name: &'static str, r: &mut Report) -> Option<u16> {
        let (value, place) = self.typed(name, "a number", r, |value| match value {
            Value::Int(value) => Some(*value),
            _ => None,
        })?;
        match u16::try_from(value) {
            Ok(port) if port > 0 => Some(port),
            _ => {
                r.error(
                    place,
                    format!(
                        "{}: port number {value} must be in the range 1..65535",
                        self.path(name)
                    ),
                );
                None
            }
        }
    }

    /// A duration in milliseconds.
    pub(crate) fn duration(&mut self, name: &'static str, r: &mut Report) -> Option<(u64, Place)> {
        let word = self.word(name, r)?;
        match units::duration_ms(&word.text) {
            Ok(ms) => Some((ms, word.place)),
            Err(why) => {
                r.error(
                    word.place,
                    format!("{}: `{}`: {why}", self.path(name), word.text),
                );
                None
            }
        }
    }

    /// A duration that must not be shorter than a millisecond (Istio: ValidateDuration).
    pub(crate) fn positive_duration(&mut self, name: &'static str, r: &mut Report) -> Option<u64> {
        let (ms, place) = self.duration(name, r)?;
        if ms == 0 {
            r.error(
                place,
                format!("{}: duration must be greater than 1ms", self.path(name)),
            );
            return None;
        }
        Some(ms)
    }

    /// One of several words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
        r: &mut Report,
    ) -> Option<(T, Place)> {
        let word = self.word(name, r)?;
        if let Some((_, value)) = choices.iter().find(|(text, _)| *text == word.text) {
            return Some((*value, word.place));
        }
        let names: Vec<&str> = choices.iter().map(|(text, _)| *text).collect();
        let hint = nearest(&word.text, names.iter().copied())
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        r.error(
            word.place,
            format!(
                "{}: `{}` is none of {}{hint}",
                self.path(name),
                word.text,
                names.join(", ")
            ),
        );
        None
    }

    /// The items of a list; none if it is not there.
    pub(crate) fn list(&mut self, name: &'static str, r: &mut Report) -> &'n [Node] {
        match self.get(name) {
            None => &[],
            Some(Node {
                value: Value::List(items),
                ..
            }) => items,
            Some(node) => {
                r.error(
                    node.place,
                    format!(
                        "{}: expected a list, found {}",
                        self.path(name),
                        node.kind()
                    ),
                );
                &[]
            }
        }
    }

    /// A list of strings.
    pub(crate) fn words(&mut self, name: &'static str, r: &mut Report) -> Vec<Word> {
        let path = self.path(name);
        let mut words = Vec::new();
        for (index, item) in self.list(name, r).iter().enumerate() {
            match &item.value {
                Value::Text(text) => words.push(Word {
                    text: text.clone(),
                    place: item.place,
                }),
                _ => r.error(
                    item.place,
                    format!("{path}[{index}]: expected a string, found {}", item.kind()),
                ),
            }
        }
        words
    }

    /// A list of strings without their places.
    pub(crate) fn texts(&mut self, name: &'static str, r: &mut Report) -> Vec<String> {
        self.words(name, r)
            .into_iter()
            .map(|word| word.text)
            .collect()
    }

    /// Maps in a list, each opened.
    pub(crate) fn children(&mut self, name: &'static str, r: &mut Report) -> Vec<Fields<'n>> {
        let path = self.path(name);
        let items = self.list(name, r);
        items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| Fields::open(item, &format!("{path}[{index}]"), r))
            .collect()
    }

    /// A map in this map, opened.
    pub(crate) fn child(&mut self, name: &'static str, r: &mut Report) -> Option<Fields<'n>> {
        let node = self.get(name)?;
        Fields::open(node, &self.path(name), r)
    }

    /// Strings by name.
    pub(crate) fn labels(&mut self, name: &'static str, r: &mut Report) -> Option<Labels> {
        let path = self.path(name);
        let map = self.child(name, r)?;
        let mut labels = Labels::new();
        for (key, node) in map.entries {
            match &node.value {
                Value::Text(text) => {
                    labels.insert(key.name.clone(), text.clone());
                }
                _ => r.error(
                    node.place,
                    format!(
                        "{path}.{}: expected a string, found {}; put it in quotes",
                        key.name,
                        node.kind()
                    ),
                ),
            }
        }
        Some(labels)
    }

    /// The entries of a map whose keys are free.
    pub(crate) fn entries(&mut self, name: &'static str, r: &mut Report) -> Vec<(Word, &'n Node)> {
        let Some(map) = self.child(name, r) else {
            return Vec::new();
        };
        map.entries
            .iter()
            .map(|(key, node)| {
                (
                    Word {
                        text: key.name.clone(),
                        place: key.place,
                    },
                    node,
                )
            })
            .collect()
    }

    /// Fields that mean nothing to the mesh.
    pub(crate) fn ignore(&mut self, names: &[&'static str]) {
        for name in names {
            self.get(name);
        }
    }

    /// A field that Istio knows and the mesh does not do yet, named with its place. It is an
    /// error where leaving it out would let through or send elsewhere what it governs.
    pub(crate) fn unsupported(
        &mut self,
        name: &'static str,
        severity: Severity,
        consequence: &str,
        r: &mut Report,
    ) {
        if let Some(node) = self.get(name) {
            let message = format!(
                "{}: `{name}` is not supported yet; {consequence}",
                self.path(name)
            );
            r.push(severity, node.place, message, "unsupported");
        }
    }

    /// Reports what nobody asked for.
    pub(crate) fn close(self, r: &mut Report) {
        if r.is_lenient() {
            return;
        }
        for ((key, _), used) in self.entries.iter().zip(&self.used) {
            if !used {
                let hint = nearest(&key.name, self.known.iter().copied())
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                r.error(
                    key.place,
                    format!("unknown field `{}`{hint}", self.path(&key.name)),
                );
            }
        }
    }
}

/// Whether `snake` is the underscored spelling of a camel-case name.
fn is_snake_of(snake: &str, camel: &str) -> bool {
    if !snake.contains('_') {
        return false;
    }
    let mut letters = snake.chars();
    for c in camel.chars() {
        if c.is_ascii_uppercase() && letters.next() != Some('_') {
            return false;
        }
        if letters.next() != Some(c.to_ascii_lowercase()) {
            return false;
        }
    }
    letters.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_both_spellings() {
        for (snake, camel, want) in [
            ("fixed_delay", "fixedDelay", true),
            ("per_try_timeout", "perTryTimeout", true),
            ("fixedDelay", "fixedDelay", false),
            ("fixed_delays", "fixedDelay", false),
            ("fixed_", "fixed", false),
        ] {
            assert_eq!(is_snake_of(snake, camel), want, "{snake}");
        }
    }
}
