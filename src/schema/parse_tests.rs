//! Every way in which a schema file can be refused, by name.

use crate::Error;
use crate::schema::{Contract, Kind};

const SMALL: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "x-headcount": { "stream": "orders", "id": "id", "time": "at", "type": "kind" },
  "type": "object",
  "required": ["id", "at", "kind"],
  "properties": {
    "id": { "type": "string" },
    "at": { "type": ["string", "integer"], "format": "date-time" },
    "kind": { "type": "string" },
    "price": { "type": "integer", "format": "int64" }
  },
  "allOf": [
    { "if": { "properties": { "kind": { "pattern": "^paid\\." } }, "required": ["kind"] },
      "then": { "required": ["price"] } }
  ]
}"##;

/// The error for the small contract with `old` replaced by `new`.
fn refused(old: &str, new: &str) -> Error {
    assert!(SMALL.contains(old), "{old}");
    let error = Contract::from_json(&SMALL.replacen(old, new, 1), "schemas/orders.json").unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.remedy().is_some_and(|remedy| !remedy.is_empty()), "{error}");
    error
}

fn assert_refused(old: &str, new: &str, place: &str, message: &str) {
    let error = refused(old, new);
    assert_eq!(error.place(), Some(format!("schemas/orders.json:{place}").as_str()), "{error}");
    assert!(error.message().contains(message), "{error}");
}

#[test]
fn a_new_stream_needs_a_file_and_no_code() {
    let contract = Contract::from_json(SMALL, "schemas/orders.json").unwrap();
    assert_eq!(contract.stream_name(), "orders");
    assert_eq!(contract.sent_field(), None);
    assert_eq!(contract.field("price").map(|f| (f.kind, f.required)), Some((Kind::Int64, false)));
    assert_eq!(contract.field("nothing"), None);
    assert_eq!(contract.requirements()[0].prefixes, ["paid."]);
    assert_eq!(contract.requirements()[0].fields, ["price"]);
    assert_eq!(contract.events_schema().fields().len(), 4 + 6);
}

#[test]
fn a_syntax_error_names_the_line() {
    assert_refused("\"type\": \"object\",", "\"type\": \"object\"", "5", "not JSON: expected `,` or `}`");
    assert_refused("}\n  ]\n}", "}\n  ]\n} x", "16", "not JSON: trailing characters");
}

#[test]
fn a_file_that_is_cut_off_or_empty_says_so() {
    for end in [SMALL.len() - 1, SMALL.find("\"price\"").unwrap(), SMALL.find("date-time").unwrap()] {
        let error = Contract::from_json(&SMALL[..end], "s.json").unwrap_err();
        let line = 1 + SMALL[..end].matches('\n').count();
        assert_eq!(error.place(), Some(format!("s.json:{line}").as_str()), "{error}");
        assert!(error.message().starts_with("the file ends before its JSON does"), "{error}");
    }
    for empty in ["", " \n", "\u{feff}"] {
        assert_eq!(Contract::from_json(empty, "s.json").unwrap_err().message(), "the file is empty");
    }
    assert!(Contract::from_json(&format!("\u{feff}{SMALL}"), "s.json").is_ok());
}

#[test]
fn what_json_schema_has_and_a_contract_has_not_is_named_with_the_remedy() {
    let price = r#"{ "type": "integer", "format": "int64" }"#;
    for (definition, message, remedy) in [
        (
            r#"{ "type": "array", "items": { "type": "string" } }"#,
            "keyword `items` is not supported in /properties/price",
            "an event is flat",
        ),
        (
            r#"{ "type": "object", "properties": {} }"#,
            "keyword `properties` is not supported in /properties/price",
            "kept as its JSON text",
        ),
        (r#"{ "$ref": "x" }"#, "keyword `$ref` is not supported in /properties/price", "write each field out"),
        (r#"{ "type": "integer", "format": "int64", "minimum": 0 }"#, "keyword `minimum`", "checked by `type`"),
        (r#"{ "type": "integer", "formt": "int64" }"#, "keyword `formt`", "known here: one of `type`, `format`"),
        (r#""string""#, "/properties/price is string \"string\", not an object", "user_event.v1.json"),
        (
            r#"{ "type": "string", "enum": "a" }"#,
            "/properties/price/enum is string \"a\", not a list",
            "user_event.v1.json",
        ),
    ] {
        assert_refused(price, definition, "10", message);
        let remedied = refused(price, definition);
        assert!(!remedied.message().contains("/price/items"), "{remedied}");
        assert!(remedied.remedy().unwrap().contains(remedy), "{remedied}");
    }
    let error = Contract::from_json("[]", "s.json").unwrap_err();
    assert_eq!((error.exit_code(), error.message()), (2, "the file is a list, not an object"), "{error}");
}

#[test]
fn an_unknown_keyword_is_refused_with_its_line() {
    assert_refused(
        "\"type\": \"object\"",
        "\"minProperties\": 1, \"type\": \"object\"",
        "4",
        "keyword `minProperties` is not supported",
    );
    assert_refused("\"format\": \"int64\"", "\"format\": \"int64\", \"minimum\": 0", "10", "in /properties/price");
    assert_refused("\"pattern\": \"^paid\\\\.\"", "\"const\": \"paid\"", "13", "keyword `const` is not supported");
    assert_refused("\"then\":", "\"else\": {}, \"then\":", "14", "keyword `else` is not supported");
    assert_refused("\"stream\":", "\"table\": \"t\", \"stream\":", "3", "keyword `table` is not supported");
}

#[test]
fn a_missing_keyword_is_refused() {
    assert!(refused("\"id\": \"id\", ", "").message().contains("keyword `id` is missing"));
    assert!(refused("\"type\": \"object\",\n", "").message().contains("keyword `type` is missing"));
    assert!(refused("{ \"type\": \"string\" }", "{}").message().contains("keyword `type` is missing"));
}

#[test]
fn a_duplicated_field_or_keyword_is_refused() {
    assert_refused("\"price\":", "\"id\": {\"type\": \"string\"}, \"price\":", "10", "`id` comes twice");
    assert_refused("\"type\": \"object\"", "\"type\": \"object\", \"type\": \"object\"", "4", "`type` comes twice");
}

#[test]
fn another_dialect_is_refused() {
    assert_refused("2020-12", "2019-09", "2 (/$schema)", "is not supported");
}

#[test]
fn a_contract_describes_objects_and_cannot_forbid_unknown_fields() {
    assert_refused("\"type\": \"object\"", "\"type\": \"array\"", "4 (/type)", "an event is an object");
    assert_refused(
        "\"type\": \"object\"",
        "\"additionalProperties\": false, \"type\": \"object\"",
        "4 (/additionalProperties)",
        "ignored and counted",
    );
}

#[test]
fn a_field_cannot_collide_with_a_provenance_or_partition_column() {
    for name in
        ["shard_id", "sequence_number", "sub_sequence_number", "ingest_time", "event_time_original", "shard_high_time"]
    {
        let error = refused("\"price\": {", &format!("\"{name}\": {{"));
        assert!(error.message().contains("provenance column"), "{error}");
        assert!(error.place().is_some_and(|p| p.ends_with(&format!(":10 (/properties/{name})"))), "{error}");
    }
    assert_refused("\"price\": {", "\"hour\": {", "10 (/properties/hour)", "partition column");
}

#[test]
fn a_field_name_must_be_a_column_name() {
    for name in ["Price", "unit price", "9lives", "", "pr\u{e9}cis", "a-b", "_x"] {
        assert!(refused("\"price\": {", &format!("\"{name}\": {{")).message().contains("cannot be a column"));
    }
    assert!(refused("\"price\": {", &format!("\"{}\": {{", "p".repeat(128))).message().contains("cannot be a column"));
}

#[test]
fn a_type_outside_the_subset_is_refused() {
    let price = "\"type\": \"integer\", \"format\": \"int64\"";
    let at = "10 (/properties/price/type)";
    assert_refused(price, "\"type\": \"integer\"", at, "needs its width");
    assert_refused(price, "\"type\": \"number\"", at, "floats");
    assert_refused(price, "\"type\": \"array\"", at, "flat");
    assert_refused(price, "\"type\": \"string\", \"format\": \"date-time\"", at, "epoch milliseconds");
    assert_refused(price, "\"type\": [\"string\", \"null\"]", at, "null");
    assert_refused(price, "\"type\": [\"string\", \"integer\"]", at, "only a timestamp");
    assert_refused(price, "\"type\": \"text\"", at, "type `\"text\"`");
    assert_refused(price, "\"type\": 3", at, "type `3`");
    assert_refused(
        price,
        "\"type\": \"string\", \"format\": \"uuid\"",
        "10 (/properties/price/format)",
        "format `uuid`",
    );
}

#[test]
fn min_length_and_enum_mean_what_the_decoder_does() {
    let price = "\"type\": \"integer\", \"format\": \"int64\"";
    assert_refused(
        price,
        "\"type\": \"string\", \"minLength\": 1",
        "10 (/properties/price/minLength)",
        "required string",
    );
    assert_refused(
        "{ \"type\": \"string\" }",
        "{ \"type\": \"string\", \"minLength\": 2 }",
        "7 (/properties/id/minLength)",
        "only be 1",
    );
    let with_enum = format!("{price}, \"enum\": [\"1\"]");
    assert_refused(price, &with_enum, "10 (/properties/price/enum)", "needs strings");
    assert!(refused(price, "\"type\": \"string\", \"enum\": [1]").message().contains("not a string"));
    let text = SMALL.replacen(price, "\"type\": \"string\", \"enum\": [\"a\", \"b\"]", 1);
    assert_eq!(Contract::from_json(&text, "x").unwrap().field("price").unwrap().allowed, ["a", "b"]);
}

#[test]
fn required_fields_must_exist() {
    assert_refused(
        "\"id\", \"at\", \"kind\"]",
        "\"id\", \"at\", \"kind\", \"who\"]",
        "5 (/required/3)",
        "no field `who`",
    );
    assert_refused("[\"price\"]", "[\"cost\"]", "14 (/allOf/0/then/required/0)", "no field `cost`");
}

#[test]
fn roles_need_fields_of_the_right_kind() {
    assert_refused(
        "\"stream\": \"orders\"",
        "\"stream\": \"My Orders\"",
        "3 (/x-headcount/stream)",
        "cannot be a table",
    );
    assert_refused("\"id\": \"id\"", "\"id\": \"key\"", "3 (/x-headcount/id)", "no field `key`");
    assert_refused("\"id\": \"id\"", "\"id\": \"at\"", "3 (/x-headcount/id)", "needs a string that is required");
    assert_refused(
        "\"time\": \"at\"",
        "\"time\": \"id\"",
        "3 (/x-headcount/time)",
        "needs a timestamp that is required",
    );
    assert_refused(
        "\"type\": \"kind\"",
        "\"sent\": \"price\", \"type\": \"kind\"",
        "3 (/x-headcount/sent)",
        "needs a timestamp",
    );
    assert_refused(
        "\"id\", \"at\", \"kind\"]",
        "\"id\", \"at\"]",
        "3 (/x-headcount/type)",
        "needs a string that is required",
    );
}

#[test]
fn a_condition_is_about_prefixes_of_the_event_type() {
    assert_refused("^paid\\\\.", "^paid\\\\.$", "13 (/allOf/0/if/properties/kind/pattern)", "not a list of prefixes");
    assert_refused("{ \"kind\": { \"pattern\"", "{ \"id\": { \"pattern\"", "13 (/allOf/0/if)", "about the event type");
    assert_refused("\"required\": [\"kind\"] }", "\"required\": [] }", "13 (/allOf/0/if)", "about the event type");
    assert_refused(
        "{ \"kind\": { \"pattern\"",
        "{ \"id\": { \"pattern\": \"^a\" }, \"kind\": { \"pattern\"",
        "13 (/allOf/0/if/properties)",
        "tests one field",
    );
}
