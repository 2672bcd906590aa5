//! The fast way and the full parser, by contracts of any shape.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::proptests::config;
use super::{Decoded, Decoder, Provenance};
use crate::schema::{Contract, Kind};
use crate::types::{ReadBatch, Record};

/// A contract of some fields besides the three that it must have, of all kinds, with names of all lengths; of what some types must have,
/// fields may be named twice.
fn any_contract() -> impl Strategy<Value = Arc<Contract>> {
    let field = (0_usize..7, 0_usize..30, any::<bool>());
    let requirement =
        (prop::sample::select(vec!["^a", "^(a|b)", "^b"]), prop::collection::vec(any::<prop::sample::Index>(), 1..4));
    (prop::collection::vec(field, 1..90), prop::collection::vec(requirement, 0..4)).prop_map(|(fields, requirements)| {
        let kinds = [
            r#"{"type":"string"}"#,
            r#"{"type":"string","enum":["x","","a\\","\"","\n"]}"#,
            r#"{"type":"integer","format":"int32"}"#,
            r#"{"type":"integer","format":"int64"}"#,
            r#"{"type":"boolean"}"#,
            r#"{"type":["string","integer"],"format":"date-time"}"#,
            r#"{"type":"object"}"#,
        ];
        let roles = [
            (r#""id":{"type":"string"}"#.to_owned(), None),
            (r#""at":{"type":["string","integer"],"format":"date-time"}"#.to_owned(), None),
            (r#""kind":{"type":"string","enum":["a","b","c"]}"#.to_owned(), None),
        ];
        let more = fields.iter().enumerate().map(|(i, &(kind, len, _))| {
            let name = format!("f{i}_{}", "n".repeat(len));
            (format!("\"{name}\":{}", kinds[kind]), Some(name))
        });
        let (properties, names): (Vec<_>, Vec<_>) = more.chain(roles).unzip();
        let names: Vec<String> = names.into_iter().flatten().collect();
        let required: Vec<String> =
            names.iter().zip(&fields).filter(|(_, f)| f.2 && f.1 % 7 == 0).map(|(n, _)| format!(",\"{n}\"")).collect();
        let rules = requirements.iter().map(|(pattern, fields)| {
            let fields: Vec<String> = fields.iter().map(|i| format!("\"{}\"", names[i.index(names.len())])).collect();
            format!(
                r#"{{"if":{{"properties":{{"kind":{{"pattern":"{pattern}"}}}},"required":["kind"]}},"then":{{"required":[{}]}}}}"#,
                fields.join(",")
            )
        });
        let rules: Vec<String> = rules.collect();
        let contract = format!(
            r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
            "x-headcount":{{"stream":"s","id":"id","time":"at","type":"kind"}},
            "properties":{{{}}},"required":["id","at","kind"{}],"allOf":[{}]}}"#,
            properties.join(","),
            required.concat(),
            rules.join(",")
        );
        Arc::new(Contract::from_json(&contract, "generated").unwrap())
    })
}

/// What fields of these numbers say: mostly what is right for some kind, often the same twice, and compact, or as Python writes it.
fn any_fields() -> impl Strategy<Value = Vec<(usize, &'static str)>> {
    let value = prop::sample::select(vec![
        "\"x\"",
        "\"x\"",
        "\"\"",
        "\"a\"",
        "\"b\"",
        "1",
        "2147483648",
        "true",
        "null",
        "{\"a\":[1]}",
        "[]",
        "1.5",
        "\"\\u00e9\"",
        "\"2026-01-01T00:00:00Z\"",
        "\"2026-01-01T00:00:00.000Z\"",
        "1767225600000",
        "\"plain and longer than a chunk of bytes\"",
        "\"é\"",
    ]);
    prop::collection::vec((0_usize..100, value), 0..24)
}

fn decode_by(contract: &Arc<Contract>, provenance: Provenance, documents: &[String]) -> Decoded {
    let record =
        |text: &String| Record { data: Bytes::from(text.clone()), sequence_number: Arc::from("1"), arrival_time: None };
    let records = documents.iter().map(record).collect();
    let read = ReadBatch { shard: Arc::from("s"), records, millis_behind_latest: None, polled_at: None };
    Decoder::new(Arc::clone(contract), provenance).decode(&read).unwrap()
}

proptest! {
    #![proptest_config(config())]
    /// An escape in a key sends an event to the full parser.
    #[test]
    fn the_fast_way_and_the_full_parser_agree_by_any_contract(
        contract in any_contract(),
        events in prop::collection::vec((any_fields(), prop::sample::select(vec!["a", "b", "c", "d"]), any::<bool>()), 1..6),
        spaced in any::<bool>(),
        by_row in any::<bool>(),
    ) {
        let fields = contract.fields();
        let documents: Vec<String> = events.iter().map(|(said, kind, good)| {
            let mut keys: Vec<String> =
                said.iter().map(|&(i, value)| format!("\"{}\":{value}", fields[i % fields.len()].name)).collect();
            if *good {
                // Most fields are right then, in the order of the contract.
                let right = |kind: Kind| match kind {
                    Kind::String => "\"x\"",
                    Kind::Timestamp => "\"2026-01-01T00:00:00.000Z\"",
                    Kind::Int32 | Kind::Int64 => "12",
                    Kind::Bool => "false",
                    Kind::Json => "{}",
                };
                let all = fields.iter().map(|f| match f.name.as_str() {
                    "kind" => format!("\"kind\":\"{kind}\""),
                    name => format!("\"{name}\":{}", right(f.kind)),
                });
                keys.truncate(2);
                keys.extend(all.skip(said.len() % 3));
                keys.push("\"id\":\"i\"".into());
                keys.push("\"at\":0".into());
                keys.push(format!("\"kind\":\"{kind}\""));
            }
            keys.join(if spaced { ", " } else { "," })
        }).collect();
        let with = |more: &str| -> Vec<String> {
            documents.iter().map(|fields| match fields.as_str() {
                "" => format!("{{{more}}}"),
                fields => format!("{{{fields},{more}}}"),
            }).collect()
        };
        let provenance = if by_row { Provenance::Row } else { Provenance::Record };
        let fast = decode_by(&contract, provenance, &with("\"unknown_x\":0"));
        let full = decode_by(&contract, provenance, &with("\"unknown_\\u0078\":0"));
        prop_assert_eq!(&fast.events, &full.events);
        let verdicts = |decoded: &Decoded| -> Vec<_> {
            decoded.dead_letters.iter().map(|letter| (letter.reason, letter.message.clone())).collect()
        };
        prop_assert_eq!(verdicts(&fast), verdicts(&full));
    }
}

/// Of two rules that name a field, or of one that names it twice, none takes the other back.
#[test]
fn what_is_required_twice_is_required() {
    let contract = r#"{
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "x-headcount": { "stream": "s", "id": "id", "time": "at", "type": "kind" },
        "properties": {
            "id": { "type": "string" }, "at": { "type": ["string", "integer"], "format": "date-time" }, "kind": { "type": "string" },
            "first": { "type": "string" }, "second": { "type": "string" }
        },
        "required": ["id", "at", "kind"],
        "allOf": [
            { "if": { "properties": { "kind": { "pattern": "^a" } }, "required": ["kind"] }, "then": { "required": ["first", "first"] } },
            { "if": { "properties": { "kind": { "pattern": "^(a|b)" } }, "required": ["kind"] }, "then": { "required": ["first"] } }
        ]
    }"#;
    let contract = Arc::new(Contract::from_json(contract, "test").unwrap());
    let document = |kind: &str, more: &str| format!("{{\"id\":\"i\",\"at\":0,\"kind\":\"{kind}\",\"{more}\":\"x\"}}");
    let documents = [document("a", "second"), document("b", "second"), document("c", "second"), document("a", "first")];
    let decoded = decode_by(&contract, Provenance::Record, &documents);
    let refused: Vec<&str> = decoded.dead_letters.iter().map(|letter| letter.message.as_str()).collect();
    assert_eq!(decoded.events.num_rows(), 2);
    assert_eq!(
        refused,
        ["`first` is missing, which a a event must have", "`first` is missing, which a b event must have"]
    );
}
