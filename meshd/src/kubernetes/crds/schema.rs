//! Words to write structural schemas with.
//!
//! Objects let fields through that they do not name: the control plane is strict itself, and says
//! what is wrong with an unknown field; the API server would drop it without a word.

use serde_json::{Map, Value, json};

/// A part of a schema.
#[derive(Debug, Clone)]
pub(super) struct Schema(pub(super) Map<String, Value>);

impl Schema {
    fn new(value: Value) -> Self {
        match value {
            Value::Object(map) => Self(map),
            _ => Self(Map::new()),
        }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// What it is, for `kubectl explain`.
    pub(super) fn about(self, description: &str) -> Self {
        self.with("description", description)
    }

    /// Fields that must be there.
    pub(super) fn requires(self, names: &[&str]) -> Self {
        self.with("required", names.to_vec())
    }

    pub(super) fn between(self, least: u32, most: u32) -> Self {
        self.with("minimum", least).with("maximum", most)
    }

    /// At most this many characters.
    pub(super) fn no_longer_than(self, characters: u32) -> Self {
        self.with("maxLength", characters)
    }

    /// Null is as good as absent.
    pub(super) fn nullable(self) -> Self {
        self.with("nullable", true)
    }
}

impl From<Schema> for Value {
    fn from(schema: Schema) -> Self {
        Self::Object(schema.0)
    }
}

pub(super) fn text() -> Schema {
    Schema::new(json!({"type": "string"}))
}

pub(super) fn integer() -> Schema {
    Schema::new(json!({"type": "integer"}))
}

pub(super) fn number() -> Schema {
    Schema::new(json!({"type": "number"}))
}

pub(super) fn boolean() -> Schema {
    Schema::new(json!({"type": "boolean"}))
}

/// A duration such as `5s` or `1h30m`.
pub(super) fn duration() -> Schema {
    text().about("A duration, for example 5s or 1m30s")
}

pub(super) fn port() -> Schema {
    integer().between(0, 65535)
}

pub(super) fn percent() -> Schema {
    object([("value", number())]).about("A part of all requests, in percent from 0.0 to 100.0")
}

/// One of these words.
pub(super) fn one_of(words: &[&str]) -> Schema {
    text().with("enum", words.to_vec())
}

pub(super) fn list(item: Schema) -> Schema {
    Schema::new(json!({"type": "array"})).with("items", item)
}

pub(super) fn map(value: Schema) -> Schema {
    Schema::new(json!({"type": "object"})).with("additionalProperties", value)
}

pub(super) fn object<const N: usize>(fields: [(&str, Schema); N]) -> Schema {
    let properties: Map<String, Value> = fields
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema.into()))
        .collect();
    Schema::new(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))
        .with("properties", properties)
}

/// An object of which nothing is said.
pub(super) fn any() -> Schema {
    object([])
}

/// Labels that choose workloads.
pub(super) fn labels() -> Schema {
    map(text())
}

/// A number, or its decimal digits.
pub(super) fn integer_or_text() -> Schema {
    Schema::new(json!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
    }))
}

/// A list whose items are told apart by these fields: several controllers may own some each.
pub(super) fn list_by(keys: &[&str], item: Schema) -> Schema {
    list(item.requires(keys))
        .with("x-kubernetes-list-type", "map")
        .with("x-kubernetes-list-map-keys", keys.to_vec())
}
