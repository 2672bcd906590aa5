//! `JSON_VALUE`, `JSON_QUERY` and `JSON_EXISTS`: JSON by the SQL standard's paths, as Flink SQL has them.
//!
//! A path is a constant: `$`, then members (`.name`, `['name']`) and elements of arrays (`[0]`). What is not there, and what is no
//! JSON, is NULL; for `JSON_EXISTS` it is not there.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::refusal::refusal;

const REMEDY: &str = "write a constant path of members and elements, as '$.chat.words[0]' or '$[''a.b'']'";

/// The three functions.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    [Wanted::Value, Wanted::Query, Wanted::Exists].into_iter().map(|wanted| {
        let signature = Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Immutable);
        Arc::new(ScalarUDF::from(JsonPath { wanted, signature }))
    })
}

/// What is asked of the place that the path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wanted {
    /// The text of a string, a number or a truth value; NULL for an object or an array.
    Value,
    /// The JSON of an object or an array; NULL for anything else.
    Query,
    /// Whether it is there.
    Exists,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonPath {
    wanted: Wanted,
    signature: Signature,
}

impl JsonPath {
    fn steps(&self, path: &ScalarValue) -> Result<Vec<Step>> {
        let text = path.try_as_str().flatten().unwrap_or("NULL");
        let refused = || refusal(format!("{} was given {text:?}, which is no path", self.name()), REMEDY);
        steps(text).ok_or_else(refused)
    }
}

impl ScalarUDFImpl for JsonPath {
    fn name(&self) -> &str {
        match self.wanted {
            Wanted::Value => "json_value",
            Wanted::Query => "json_query",
            Wanted::Exists => "json_exists",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.wanted {
            Wanted::Value | Wanted::Query => DataType::Utf8,
            Wanted::Exists => DataType::Boolean,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<Arc<Field>> {
        match args.scalar_arguments.get(1) {
            Some(Some(path)) => drop(self.steps(path)?),
            _ => return Err(refusal(format!("the path of {} is no constant", self.name()), REMEDY)),
        }
        Ok(Arc::new(Field::new(self.name(), self.return_type(&[])?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [json, ColumnarValue::Scalar(path)] = args.args.as_slice() else {
            return internal_err!("{} was given a path that is no constant", self.name());
        };
        let path = self.steps(path)?;
        let json = json.to_array(args.number_rows)?;
        let rows = json.as_string::<i32>().iter().map(|row| row.map(|json| find(json, &path)));
        let result: ArrayRef = match self.wanted {
            Wanted::Value => Arc::new(rows.map(|found| value(found??)).collect::<StringArray>()),
            Wanted::Query => Arc::new(rows.map(|found| found?.filter(|raw| is_nested(raw))).collect::<StringArray>()),
            Wanted::Exists => Arc::new(rows.map(|found| found.map(|raw| raw.is_some())).collect::<BooleanArray>()),
        };
        Ok(ColumnarValue::Array(result))
    }
}

fn is_nested(raw: &str) -> bool {
    raw.starts_with(['{', '['])
}

/// A scalar's text: a string without its quotes and escapes.
fn value(raw: &str) -> Option<String> {
    if raw.starts_with('"') {
        return serde_json::from_str(raw).ok();
    }
    (!is_nested(raw) && raw != "null").then(|| raw.to_owned())
}

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

/// The steps of a path; none if it is none.
fn steps(path: &str) -> Option<Vec<Step>> {
    let path = path.trim();
    let mut rest = path.strip_prefix("lax ").unwrap_or(path).trim_start().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, after) = step(rest)?;
        steps.push(step);
        rest = after;
    }
    Some(steps)
}

/// The first step of a path, and what follows it.
fn step(path: &str) -> Option<(Step, &str)> {
    if let Some(member) = path.strip_prefix('.') {
        let end = member.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(member.len());
        let (name, after) = member.split_at(end);
        return (!name.is_empty()).then(|| (Step::Member(name.to_owned()), after));
    }
    let inside = path.strip_prefix('[')?;
    if let Some(quote) = inside.chars().next().filter(|c| ['\'', '"'].contains(c)) {
        let (name, after) = inside.get(1..)?.split_once(quote)?;
        return Some((Step::Member(name.to_owned()), after.strip_prefix(']')?));
    }
    let (index, after) = inside.split_once(']')?;
    let is_index = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
    is_index.then(|| index.parse().ok()).flatten().map(|i| (Step::Element(i), after))
}

/// The text of the JSON at the end of a path; of members of one name the last.
fn find<'j>(json: &'j str, path: &[Step]) -> Option<&'j str> {
    Seek(path).deserialize(&mut serde_json::Deserializer::from_str(json)).ok().flatten()
}

/// Follows a path through JSON; what is beside it is skipped and not built.
struct Seek<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<&'de str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0.split_first() {
            None => <&RawValue as serde::Deserialize>::deserialize(deserializer).map(|raw| Some(raw.get())),
            Some((step, rest)) => deserializer.deserialize_any(Within { step, rest }),
        }
    }
}

/// What a step may lead into.
struct Within<'p> {
    step: &'p Step,
    rest: &'p [Step],
}

impl<'de> Visitor<'de> for Within<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(IsMember(self.step))? {
            if is_it {
                found = map.next_value_seed(Seek(self.rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if let Step::Element(index) = self.step {
            for _ in 0..*index {
                if seq.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = seq.next_element_seed(Seek(self.rest))?.flatten();
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a member's name is that of a step.
struct IsMember<'p>(&'p Step);

impl<'de> DeserializeSeed<'de> for IsMember<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsMember<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(matches!(self.0, Step::Member(wanted) if wanted == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Option<Vec<Step>> {
        steps(path)
    }

    #[test]
    fn paths_are_members_and_elements() {
        let member = |name: &str| Step::Member(name.to_owned());
        assert_eq!(parsed("$").unwrap(), []);
        assert_eq!(
            parsed("$.a.b_c[0]['d.e'][\"f\"]").unwrap(),
            [member("a"), member("b_c"), Step::Element(0), member("d.e"), member("f")]
        );
        assert_eq!(parsed("lax $.a").unwrap(), [member("a")]);
        for wrong in ["", "a", "$a", "$.", "$..a", "$.*", "$[*]", "$[-1]", "$[", "$['a]", "$[1", "strict $.a", "$.a b"]
        {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn paths_lead_through_objects_and_arrays() {
        let json = r#" {"x": [1, {"y": "\u00e9", "a.b": null}], "n": {"y": [ ]}, "y": 7, "z": 1, "z": 2.50} "#;
        let at = |path| find(json, &parsed(path).unwrap());
        assert_eq!(at("$.x[1].y"), Some(r#""\u00e9""#));
        assert_eq!(at("$.x[0]"), Some("1"));
        assert_eq!(at("$.x[1]['a.b']"), Some("null"));
        assert_eq!(at("$.n"), Some(r#"{"y": [ ]}"#));
        assert_eq!(at("$.z"), Some("2.50"), "the last of one name, as written");
        assert_eq!(at("$").map(str::trim), Some(json.trim()));
        for nowhere in ["$.q", "$.x[2]", "$.x.y", "$.y.z", "$.y[0]", "$.n[0]", "$.x[1].y.q"] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
        for broken in ["", "{", r#"{"a": 1"#, "nonsense"] {
            assert_eq!(find(broken, &parsed("$.a").unwrap()), None, "{broken}");
        }
    }

    #[test]
    fn a_value_is_a_scalar_without_quotes_and_escapes() {
        let of = |raw| value(raw);
        assert_eq!(of(r#""a\nb""#).as_deref(), Some("a\nb"));
        assert_eq!(of("1.50").as_deref(), Some("1.50"));
        assert_eq!(of("true").as_deref(), Some("true"));
        assert_eq!((of("null"), of("{}"), of("[1]")), (None, None, None));
    }
}
