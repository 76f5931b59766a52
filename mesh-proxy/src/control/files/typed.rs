//! From a node to a message: every fault names the field and its place.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::document::{Key, Node, Place, Value};

/// Why a node is no such message.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    // Innermost first.
    path: Vec<String>,
    place: Option<Place>,
    message: String,
}

/// Reads the node as a message.
///
/// # Errors
/// The first field that does not fit.
pub(super) fn read<T: de::DeserializeOwned>(node: &Node) -> Result<T, Fault> {
    T::deserialize(Typed(node)).map_err(|fault| fault.standing_at(node.place))
}

#[derive(Clone, Copy)]
struct Typed<'n>(&'n Node);

struct Entries<'n> {
    rest: std::slice::Iter<'n, (Key, Node)>,
    value: Option<(&'n Key, &'n Node)>,
}

struct Items<'n> {
    rest: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
}

// === impl Fault ===

impl Fault {
    fn standing_at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    fn within(mut self, part: String) -> Self {
        self.path.push(part);
        self
    }

    /// Where the field stands.
    pub(super) fn place(&self) -> Place {
        self.place.unwrap_or_default()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        for part in self.path.iter().rev() {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        match path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: Vec::new(),
            place: None,
            message: message.to_string(),
        }
    }
}

// === impl Typed ===

impl<'de> Deserializer<'de> for Typed<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items {
                rest: items.iter().enumerate(),
            }),
            Value::Map(entries) => visitor.visit_map(Entries {
                rest: entries.iter(),
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Typed<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        Ok((seed.deserialize(self)?, self))
    }
}

impl<'de> VariantAccess<'de> for Typed<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        Err(de::Error::custom("expected a word"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(de::Error::custom("expected a word"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(de::Error::custom("expected a word"))
    }
}

// === impl Entries ===

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        // Null is as good as absent (protobuf's JSON mapping).
        let Some((key, node)) = self
            .rest
            .find(|(_, node)| !matches!(node.value, Value::Null))
        else {
            return Ok(None);
        };
        self.value = Some((key, node));
        let name: de::value::BorrowedStrDeserializer<'_, Fault> =
            de::value::BorrowedStrDeserializer::new(&key.name);
        seed.deserialize(name)
            .map(Some)
            .map_err(|fault| fault.standing_at(key.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value without a key"));
        };
        seed.deserialize(Typed(node))
            .map_err(|fault| fault.standing_at(node.place).within(key.name.clone()))
    }
}

// === impl Items ===

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.rest.next() else {
            return Ok(None);
        };
        seed.deserialize(Typed(node))
            .map(Some)
            .map_err(|fault| fault.standing_at(node.place).within(format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        self.rest.size_hint().1
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Typed<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
