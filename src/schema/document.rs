//! What was typed: a JSON Schema as its file has it, any unknown keyword refused with its line.

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use crate::{Error, Result};

/// The top level of a schema file.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "$schema")]
    pub(super) dialect: String,
    #[serde(rename = "$id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "$comment")]
    _comment: Option<IgnoredAny>,
    #[serde(rename = "title")]
    _title: Option<IgnoredAny>,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "x-headcount")]
    pub(super) roles: RolesDef,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) required: Vec<String>,
    pub(super) properties: Entries<FieldDef>,
    #[serde(default, rename = "allOf")]
    pub(super) all_of: Vec<ConditionDef>,
    #[serde(rename = "additionalProperties")]
    pub(super) additional: Option<bool>,
}

/// `x-headcount`: the stream's name and the fields that play a role.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RolesDef {
    pub(super) stream: String,
    pub(super) id: String,
    pub(super) time: String,
    #[serde(rename = "type")]
    pub(super) event_type: String,
    pub(super) sent: Option<String>,
    pub(super) detail_types: Option<Entries<String>>,
}

/// One entry of `properties`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldDef {
    #[serde(rename = "type")]
    pub(super) kind: Value,
    pub(super) format: Option<String>,
    #[serde(rename = "minLength")]
    pub(super) min_length: Option<u64>,
    #[serde(rename = "enum")]
    pub(super) allowed: Option<Vec<String>>,
    #[serde(default)]
    pub(super) description: String,
    #[serde(rename = "title")]
    _title: Option<IgnoredAny>,
    #[serde(rename = "$comment")]
    _comment: Option<IgnoredAny>,
    #[serde(rename = "examples")]
    _examples: Option<IgnoredAny>,
}

/// One entry of `allOf`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionDef {
    #[serde(rename = "if")]
    pub(super) condition: IfDef,
    pub(super) then: ThenDef,
    #[serde(rename = "title")]
    _title: Option<IgnoredAny>,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "$comment")]
    _comment: Option<IgnoredAny>,
}

/// The `if` of a condition.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IfDef {
    pub(super) properties: Entries<PatternDef>,
    pub(super) required: Vec<String>,
}

/// The test of a condition.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatternDef {
    pub(super) pattern: String,
}

/// The `then` of a condition.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ThenDef {
    pub(super) required: Vec<String>,
}

/// An object in its own order; a key that comes twice is refused where it does.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Vec<(String, T)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries: Vec<(String, T)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if entries.iter().any(|(known, _)| *known == key) {
                        return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
                    }
                    entries.push((key, map.next_value()?));
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(EntriesVisitor(std::marker::PhantomData)).map(Entries)
    }
}

/// Reads a schema file.
pub(super) fn read(text: &str, place: &str) -> Result<Document> {
    if text.trim().is_empty() {
        return Err(Error::user("the file is empty")
            .at(place)
            .hint("write a schema: schemas/user_event.v1.json is one"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let document = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let pointer: String = e.path().iter().map(pointer_step).collect();
        problem(e.inner(), &pointer, place)
    })?;
    json.end().map_err(|e| problem(&e, "", place))?;
    Ok(document)
}

fn pointer_step(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{key}"),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    }
}

/// An error in the words of JSON Schema; serde speaks of fields, which are something else here.
fn problem(e: &serde_json::Error, pointer: &str, place: &str) -> Error {
    let text = e.to_string();
    // The error's place says the position already.
    let suffix = format!(" at line {} column {}", e.line(), e.column());
    let text = text.strip_suffix(&suffix).unwrap_or(&text);
    let within = within(pointer);
    let (message, hint) = match e.classify() {
        Category::Eof => (
            format!("the file ends before its JSON does{within}"),
            "fetch or write it whole, or close what is open".to_owned(),
        ),
        Category::Syntax | Category::Io => (format!("not JSON: {text}"), "correct the file's JSON".to_owned()),
        Category::Data => of_form(text, pointer),
    };
    Error::user(message).at(format!("{place}:{}", e.line())).hint(hint)
}

fn within(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" in {pointer}") }
}

/// Message and remedy for JSON that has another form than a schema.
fn of_form(text: &str, pointer: &str) -> (String, String) {
    if let Some((keyword, others)) = quoted(text, "unknown field `") {
        let within = within(pointer.strip_suffix(keyword).and_then(|p| p.strip_suffix('/')).unwrap_or(pointer));
        let remedy = remedy_of_keyword(keyword).map(str::to_owned);
        let others = others.trim_start_matches(", ").replace("expected", "known here:");
        return (
            format!("keyword `{keyword}` is not supported{within}"),
            remedy.unwrap_or_else(|| format!("leave it out, or correct it; {others}")),
        );
    }
    let within = within(pointer);
    if let Some((keyword, _)) = quoted(text, "missing field `") {
        return (
            format!("keyword `{keyword}` is missing{within}"),
            "add it: schemas/user_event.v1.json is an example".to_owned(),
        );
    }
    if let Some((key, _)) = quoted(text, "duplicate field `") {
        return (format!("`{key}` comes twice{within}"), "remove one of the two".to_owned());
    }
    let what = if pointer.is_empty() { "the file" } else { pointer };
    let message = match text.split_once(": ").and_then(|(_, rest)| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("{what} is {}, not {}", in_json(found), in_json(expected)),
        // A list in the place of an object, of which serde says how long it is.
        None if text.starts_with("invalid length") => format!("{what} is a list, not an object"),
        None => format!("unsupported JSON Schema{within}: {text}"),
    };
    (message, "write it as in schemas/user_event.v1.json".to_owned())
}

/// What is between `start` and the next backtick, and what follows.
fn quoted<'a>(text: &'a str, start: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(start)?.split_once('`')
}

/// What serde calls a form, as JSON calls it.
fn in_json(form: &str) -> &str {
    match form {
        "map" => "an object",
        "sequence" | "a sequence" => "a list",
        form if form.starts_with("struct ") => "an object",
        form => form,
    }
}

/// What to do about keywords of JSON Schema that people know and a contract has not.
fn remedy_of_keyword(keyword: &str) -> Option<&'static str> {
    Some(match keyword {
        "items" | "prefixItems" | "contains" | "minItems" | "maxItems" | "uniqueItems" => {
            "an event is flat: a list can only be in a field of type \"object\", which is kept as its JSON text"
        }
        "properties" | "required" | "additionalProperties" | "patternProperties" => {
            "an event is flat: a field of type \"object\" is kept as its JSON text, whatever it holds; leave the keyword out"
        }
        "$ref" | "$defs" | "definitions" | "oneOf" | "anyOf" | "not" => "write each field out, with its one type",
        "const" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" | "maxLength"
        | "pattern" => "leave it out: values are checked by `type`, `format` and `enum` only",
        _ => return None,
    })
}

/// The line of the value at a JSON pointer, from 1; that of the innermost value on the way that exists.
pub(super) fn line_of(text: &str, pointer: &str) -> usize {
    let (value, _) = locate(text, pointer);
    // `value` is a part of `text`: the distance of their starts is an offset into it.
    let offset = (value.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    1 + text.bytes().take(offset).filter(|&b| b == b'\n').count()
}

/// Whether there is a value at a JSON pointer.
pub(super) fn has(text: &str, pointer: &str) -> bool {
    locate(text, pointer).1
}

/// The innermost value on the way to a JSON pointer, and whether it is the one that is pointed to.
fn locate<'a>(text: &'a str, pointer: &str) -> (&'a str, bool) {
    let mut value = text.trim_start();
    for step in pointer.split('/').skip(1) {
        let next = serde_json::from_str::<Entries<&RawValue>>(value)
            .ok()
            .and_then(|entries| entries.0.into_iter().find(|(key, _)| key == step).map(|(_, inner)| inner.get()))
            .or_else(|| {
                let index: usize = step.parse().ok()?;
                serde_json::from_str::<Vec<&RawValue>>(value).ok()?.get(index).map(|inner| inner.get())
            });
        match next {
            Some(inner) => value = inner,
            None => return (value, false),
        }
    }
    (value, true)
}
