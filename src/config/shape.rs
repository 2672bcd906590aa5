//! Asks a struct that derives `Deserialize` what one of its keys takes, so that no list of types is kept beside the structs.

use serde::de::value::{Error, StrDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// What a key takes, as serde reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Whole,
    /// Any number.
    Number,
    /// Text.
    Text,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A list, of whatever.
    List,
    /// A table of keys that the user names.
    Table,
}

/// What the key at `path` (section, key) of `T` takes; `None` if there is no such key.
pub(super) fn shape_of<T: for<'de> Deserialize<'de>>(path: &[&'static str]) -> Option<Shape> {
    let mut shape = None;
    // The key's own type says what it wants. That is all that is needed: the answer is an error.
    drop(T::deserialize(Probe { path, shape: &mut shape }));
    shape
}

/// Walks down `path`, then notes what is asked of it.
struct Probe<'p> {
    path: &'p [&'static str],
    shape: &'p mut Option<Shape>,
}

impl Probe<'_> {
    fn note<V>(self, shape: Shape) -> Result<V, Error> {
        if self.path.is_empty() {
            *self.shape = Some(shape);
        }
        Err(Error::custom("the type is known"))
    }
}

macro_rules! note {
    ($shape:expr => $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
            self.note($shape)
        })*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    note! { Shape::Bool => deserialize_bool }
    note! { Shape::Whole => deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 }
    note! { Shape::Number => deserialize_f32 deserialize_f64 }
    note! { Shape::Text => deserialize_char deserialize_str deserialize_string }
    note! { Shape::List => deserialize_seq }
    note! { Shape::Table => deserialize_map }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("the type does not say what it takes"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(Shape::Choice(variants))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.path {
            [] => self.note(Shape::Table),
            [key, rest @ ..] => visitor.visit_map(OneKey { key, value: Some(Probe { path: rest, shape: self.shape }) }),
        }
    }

    forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// A table with one key.
struct OneKey<'p> {
    key: &'static str,
    value: Option<Probe<'p>>,
}

impl<'de> MapAccess<'de> for OneKey<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let key: StrDeserializer<'_, Error> = self.key.into_deserializer();
        if self.value.is_some() { seed.deserialize(key).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(Error::custom("a value without a key")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Deserialize, Default)]
    #[serde(default, deny_unknown_fields)]
    #[allow(dead_code, reason = "only asked for their types")]
    struct Outer {
        inner: Inner,
    }

    #[derive(serde::Deserialize, Default)]
    #[serde(default, deny_unknown_fields)]
    #[allow(dead_code, reason = "only asked for their types")]
    struct Inner {
        flag: bool,
        count: Option<u64>,
        ratio: f64,
        name: Option<String>,
        kind: Kind,
        names: Vec<String>,
        labels: BTreeMap<String, String>,
    }

    #[derive(serde::Deserialize, Default)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        FirstOne,
        Second,
    }

    #[test]
    fn every_type_says_what_it_takes() {
        let shape = |key| shape_of::<Outer>(&["inner", key]);
        assert_eq!(shape("flag"), Some(Shape::Bool));
        assert_eq!(shape("count"), Some(Shape::Whole));
        assert_eq!(shape("ratio"), Some(Shape::Number));
        assert_eq!(shape("name"), Some(Shape::Text));
        assert_eq!(shape("kind"), Some(Shape::Choice(&["first_one", "second"])));
        assert_eq!(shape("names"), Some(Shape::List));
        assert_eq!(shape("labels"), Some(Shape::Table));
        assert_eq!(shape("nothing"), None);
        assert_eq!(shape_of::<Outer>(&["nowhere", "flag"]), None);
        assert_eq!(shape_of::<Outer>(&["inner"]), Some(Shape::Table));
    }
}
