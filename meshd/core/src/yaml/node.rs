//! Untyped YAML nodes that know where they stand.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DefaultMessageFormatter, MessageFormatter, Spanned};

use super::Place;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A YAML value, typed by YAML's core schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// One part of a file between `---` lines.
pub(crate) struct Document<'a> {
    /// Its text, with the `---` line that opens it.
    pub(crate) text: &'a str,
    /// Its roots, or why there are none.
    pub(crate) roots: Result<Vec<Node>, Malformed>,
}

/// Why a document is no YAML.
pub(crate) struct Malformed {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Takes a file apart. Documents are parsed one by one, so that a broken one does not hide its
/// neighbours: YAML forbids `---` at the start of a line inside of a document (YAML 1.2.2,
/// production `c-forbidden`).
pub(crate) fn parse(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let mut start = 0;
    let mut first_line = 0;
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let opens = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if opens && at > start {
            documents.extend(document(
                text.get(start..at).unwrap_or_default(),
                first_line,
            ));
            start = at;
            first_line = index;
        }
        at += line.len();
    }
    documents.extend(document(text.get(start..).unwrap_or_default(), first_line));
    documents
}

fn document(text: &str, first_line: usize) -> Option<Document<'_>> {
    let says_something = |line: &str| {
        let line = line.trim();
        !line.is_empty()
            && !line.starts_with('#')
            && !line.starts_with('%')
            && line != "---"
            && line != "..."
    };
    if !text.lines().any(says_something) {
        return None;
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        // YAML 1.2: `no` and `y` are strings, only `true` and `false` are not.
        strict_booleans: true,
    };
    let offset = u32::try_from(first_line).unwrap_or(u32::MAX);
    let roots = match serde_saphyr::from_multiple_with_options::<Node>(text, options) {
        Ok(mut roots) => {
            roots.iter_mut().for_each(|root| root.shift(offset));
            Ok(roots)
        }
        Err(error) => {
            let place = error.location().map_or(Place { line: 1, column: 1 }, place);
            let message = DefaultMessageFormatter
                .format_message(error.without_snippet())
                .into_owned();
            Err(Malformed {
                place: place.shift(offset),
                message: message.replace('\n', " "),
            })
        }
    };
    Some(Document { text, roots })
}

fn place(location: serde_saphyr::Location) -> Place {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: number(location.line()),
        column: number(location.column()),
    }
}

// === impl Node ===

impl Node {
    /// What the value is, for messages.
    pub(crate) fn kind(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::Text(_) => "a string".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// The entry of a map.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|(key, _)| key.name == name)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The node at a path of keys.
    pub(crate) fn find(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The number of a port.
    pub(crate) fn port(&self) -> Option<u16> {
        match self.value {
            Value::Int(number) => u16::try_from(number).ok().filter(|port| *port > 0),
            _ => None,
        }
    }

    fn shift(&mut self, lines: u32) {
        self.place = self.place.shift(lines);
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.shift(lines)),
            Value::Map(entries) => {
                for (key, node) in entries {
                    key.place = key.place.shift(lines);
                    node.shift(lines);
                }
            }
            _ => {}
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            value: spanned.value,
            place: place(spanned.referenced),
        })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self {
            name: spanned.value,
            place: place(spanned.referenced),
        })
    }
}

// === impl Value ===

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        // No field of the mesh takes such a number; others may.
        #[expect(clippy::cast_precision_loss, reason = "it is too large for any use")]
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_places_in_every_document() {
        let text = "# a comment\n---\na: 1\n--- # second\nb:\n- x: 'y'\n  8080: true\n---\n# nothing\n---\nc: [\n---\nd: ~\n";
        let documents = parse(text);
        assert_eq!(documents.len(), 4);
        let second = &documents[1].roots.as_ref().ok().unwrap()[0];
        let Value::Map(entries) = &second.value else {
            panic!("{second:?}")
        };
        assert_eq!(entries[0].0.place, Place { line: 5, column: 1 });
        let Value::List(items) = &entries[0].1.value else {
            panic!("{second:?}")
        };
        assert_eq!(
            items[0].get("x").unwrap().place,
            Place { line: 6, column: 6 }
        );
        assert_eq!(items[0].get("8080").unwrap().value, Value::Bool(true));
        let broken = documents[2].roots.as_ref().err().unwrap();
        assert!(
            (10..=12).contains(&broken.place.line),
            "{:?}: {}",
            broken.place,
            broken.message
        );
        assert_eq!(
            documents[3].roots.as_ref().ok().unwrap()[0]
                .get("d")
                .unwrap()
                .value,
            Value::Null
        );
    }

    #[test]
    fn refuses_duplicate_keys() {
        let documents = parse("a: 1\na: 2\n");
        let malformed = documents[0].roots.as_ref().err().unwrap();
        assert_eq!(malformed.place.line, 2);
    }
}
