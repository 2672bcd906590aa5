//! What is meant: a schema file checked once and turned into a [`Contract`] that cannot be wrong.

use serde_json::Value;

use super::contract::Roles;
use super::document::{self, ConditionDef, Document, FieldDef, RolesDef};
use super::provenance::{PARTITION_COLUMNS, PROVENANCE};
use super::requirement::parse_prefixes;
use super::{Contract, Field, Kind, Requirement};
use crate::limits::COLUMN_NAME_BYTES_MAX;
use crate::{Error, Result};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Reads and checks a contract.
pub(super) fn contract(text: &str, place: &str) -> Result<Contract> {
    let text = without_mark(text);
    let document = document::read(text, place)?;
    judge(document).map_err(|p| Error::user(p.message).at(place_of(text, place, &p.pointer)).hint(p.hint))
}

/// Where in the text of a schema file at `place` a field is: `schemas/x.json:17 (/properties/a)`; the file where it is not.
pub fn place_of_field(text: &str, place: &str, field: &str) -> String {
    let (text, pointer) = (without_mark(text), format!("/properties/{field}"));
    match document::has(text, &pointer) {
        true => place_of(text, place, &pointer),
        false => place.to_owned(),
    }
}

/// Editors of some systems write a byte order mark before UTF-8.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn place_of(text: &str, place: &str, pointer: &str) -> String {
    format!("{place}:{} ({pointer})", document::line_of(text, pointer))
}

/// What is wrong, where in the document, and what to do about it.
struct Problem {
    pointer: String,
    message: String,
    hint: String,
}

fn refuse<T>(pointer: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { pointer: pointer.into(), message: message.into(), hint: hint.into() })
}

fn judge(document: Document) -> Result<Contract, Problem> {
    if document.dialect.trim_end_matches('#') != DIALECT {
        return refuse("/$schema", format!("`{}` is not supported", document.dialect), format!("write \"{DIALECT}\""));
    }
    if document.kind != "object" {
        return refuse("/type", format!("an event is an object, not `{}`", document.kind), "write \"object\"");
    }
    if document.additional == Some(false) {
        return refuse(
            "/additionalProperties",
            "fields that are not listed cannot be forbidden: they are ignored and counted",
            "write true, or leave it out",
        );
    }
    let mut fields = Vec::with_capacity(document.properties.0.len());
    for (name, def) in document.properties.0 {
        let required = document.required.contains(&name);
        fields.push(field(name, def, required)?);
    }
    for (i, name) in document.required.iter().enumerate() {
        index_of(&fields, name, &format!("/required/{i}"))?;
    }
    let roles = roles(&document.roles, &fields)?;
    let event_type = &fields[roles.event_type].name;
    let requirements = document
        .all_of
        .into_iter()
        .enumerate()
        .map(|(i, def)| requirement(&format!("/allOf/{i}"), def, &fields, event_type))
        .collect::<Result<_, _>>()?;
    let detail_types = document.roles.detail_types.map(|entries| entries.0).unwrap_or_default();
    if let Some((name, _)) = detail_types.iter().find(|(_, event_type)| event_type.is_empty()) {
        return refuse(
            format!("/x-headcount/detail_types/{name}"),
            format!("`{name}` stands for no event type"),
            "write the event type, or remove the entry",
        );
    }
    Ok(Contract::new(document.roles.stream, fields, requirements, roles, detail_types.into_iter().collect()))
}

fn field(name: String, def: FieldDef, required: bool) -> Result<Field, Problem> {
    let pointer = format!("/properties/{name}");
    if !is_column_name(&name) {
        return refuse(
            pointer,
            format!("`{name}` cannot be a column"),
            format!("use snake_case: a-z, then a-z, 0-9 and _, up to {COLUMN_NAME_BYTES_MAX} characters"),
        );
    }
    if PROVENANCE.iter().any(|(column, ..)| *column == name) {
        return refuse(pointer, format!("`{name}` is the name of a provenance column"), "rename the field");
    }
    if PARTITION_COLUMNS.contains(&name.as_str()) {
        return refuse(pointer, format!("`{name}` is the name of a partition column of the lake"), "rename the field");
    }
    let kind = kind(&pointer, &def.kind, def.format.as_deref())?;
    if def.min_length.is_some() && (def.min_length != Some(1) || kind != Kind::String || !required) {
        return refuse(
            format!("{pointer}/minLength"),
            "`minLength` can only be 1, and only on a required string: a required string must not be empty",
            "remove it",
        );
    }
    let allowed = match def.allowed {
        None => Vec::new(),
        Some(values) if kind == Kind::String && !values.is_empty() => values,
        Some(_) => return refuse(format!("{pointer}/enum"), "`enum` needs strings, on a string", "remove it"),
    };
    Ok(Field { name, kind, required, description: def.description, allowed })
}

fn is_column_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= COLUMN_NAME_BYTES_MAX
}

fn kind(pointer: &str, kind: &Value, format: Option<&str>) -> Result<Kind, Problem> {
    let types: Vec<&str> = match kind {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let of_type = |message: &str, hint: &str| refuse(format!("{pointer}/type"), message, hint);
    let of_format = |message: &str, hint: &str| refuse(format!("{pointer}/format"), message, hint);
    match (types.as_slice(), format) {
        (["string", "integer"] | ["integer", "string"], Some("date-time")) => Ok(Kind::Timestamp),
        (["string"], None) => Ok(Kind::String),
        (["integer"], Some("int32")) => Ok(Kind::Int32),
        (["integer"], Some("int64")) => Ok(Kind::Int64),
        (["boolean"], None) => Ok(Kind::Bool),
        (["object"], None) => Ok(Kind::Json),
        (["string"], Some("date-time")) => of_type(
            "a timestamp may also be integer epoch milliseconds",
            "write \"type\": [\"string\", \"integer\"] beside \"format\": \"date-time\"",
        ),
        (["string", "integer"] | ["integer", "string"], _) => {
            of_type("only a timestamp may be a string or an integer", "write \"format\": \"date-time\", or one type")
        }
        (["integer"], None) => of_type("an integer needs its width", "add \"format\": \"int32\" or \"int64\""),
        (["number"], _) => {
            of_type("floats are not supported: sums of them are not exact", "use an integer in a smaller unit")
        }
        (["array"], _) => {
            of_type("an event is flat: lists are not supported", "put it into a field of type \"object\"")
        }
        (["null", _] | [_, "null"], _) => {
            of_type("null needs no mention: it is read as an absent field", "write one type")
        }
        (["string" | "integer" | "boolean" | "object"], Some(format)) => of_format(
            &format!("format `{format}` is not supported here"),
            "remove it, or see `date-time`, `int32`, `int64`",
        ),
        _ => of_type(
            &format!("type `{kind}` is not supported"),
            "write \"string\", \"integer\", \"boolean\" or \"object\"",
        ),
    }
}

fn index_of(fields: &[Field], name: &str, pointer: &str) -> Result<usize, Problem> {
    match fields.iter().position(|field| field.name == name) {
        Some(index) => Ok(index),
        None => refuse(pointer, format!("there is no field `{name}`"), "add it to `properties`, or correct the name"),
    }
}

fn roles(def: &RolesDef, fields: &[Field]) -> Result<Roles, Problem> {
    if !is_column_name(&def.stream) {
        return refuse(
            "/x-headcount/stream",
            format!("`{}` cannot be a table", def.stream),
            format!("use snake_case: a-z, then a-z, 0-9 and _, up to {COLUMN_NAME_BYTES_MAX} characters"),
        );
    }
    let role = |role: &str, name: &str, kind: Kind, required: bool| {
        let pointer = format!("/x-headcount/{role}");
        let index = index_of(fields, name, &pointer)?;
        if fields[index].kind != kind || (required && !fields[index].required) {
            let needed = if required { format!("{kind} that is required") } else { kind.to_string() };
            return refuse(
                pointer,
                format!("role `{role}` needs {needed}, which `{name}` is not"),
                "name another field",
            );
        }
        Ok(index)
    };
    Ok(Roles {
        id: role("id", &def.id, Kind::String, true)?,
        time: role("time", &def.time, Kind::Timestamp, true)?,
        event_type: role("type", &def.event_type, Kind::String, true)?,
        sent: def.sent.as_deref().map(|name| role("sent", name, Kind::Timestamp, false)).transpose()?,
    })
}

fn requirement(pointer: &str, def: ConditionDef, fields: &[Field], event_type: &str) -> Result<Requirement, Problem> {
    let [(tested, test)] = def.condition.properties.0.as_slice() else {
        return refuse(
            format!("{pointer}/if/properties"),
            "a condition tests one field",
            format!("test `{event_type}`, and write one entry of `allOf` for each condition"),
        );
    };
    if tested != event_type || def.condition.required.as_slice() != [event_type] {
        return refuse(
            format!("{pointer}/if"),
            "a condition can only be about the event type",
            format!("test `{event_type}` under `properties`, and write \"required\": [\"{event_type}\"]"),
        );
    }
    let Some(prefixes) = parse_prefixes(&test.pattern) else {
        return refuse(
            format!("{pointer}/if/properties/{tested}/pattern"),
            format!("pattern `{}` is not a list of prefixes", test.pattern),
            r#"write it like "^view\\." or "^(stream|view)\\.""#,
        );
    };
    let indexes = def
        .then
        .required
        .iter()
        .enumerate()
        .map(|(i, name)| index_of(fields, name, &format!("{pointer}/then/required/{i}")))
        .collect::<Result<_, _>>()?;
    Ok(Requirement { prefixes, fields: def.then.required, indexes })
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
