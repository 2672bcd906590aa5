//! An independent reading of one event: by `serde_json` and chrono, a field at a time, from `docs/semantics.md` §1 and without a thought
//! for speed. It shares no code with the decoder but the contract.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use arrow::datatypes::DataType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headcount::decode::{Provenance, Reason};
use headcount::limits::{ENVELOPES_MAX, JSON_DEPTH_MAX};
use headcount::schema::{Contract, Kind, provenance_fields};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A value of a row. A timestamp is a whole number, an object its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(String),
    Whole(i64),
    Truth(bool),
}

/// The fields that are there, by name.
pub type Row = BTreeMap<String, Cell>;

/// What an event comes to.
#[derive(Debug)]
pub struct Reading {
    pub row: Row,
    /// Keys that are not known, each time they come.
    pub unknown: Vec<String>,
}

/// Reads events by a contract.
pub struct Reader<'c> {
    contract: &'c Contract,
    slots: Vec<Slot>,
}

struct Slot {
    name: String,
    kind: Kind,
    required: bool,
    allowed: Vec<String>,
}

/// An object as far as its own keys, in its order.
struct Object<'a> {
    row: Row,
    unknown: Vec<(String, &'a RawValue)>,
}

/// What is wrapped around an event.
enum Wrapper<'a> {
    Rule { detail: &'a str, detail_type: &'a str, time: Option<&'a str>, id: Option<&'a str> },
    Bus(&'a str),
    Packed(Vec<u8>),
}

impl<'c> Reader<'c> {
    pub fn new(contract: &'c Contract, provenance: Provenance) -> Self {
        let of_contract = contract.fields().iter().map(|f| Slot {
            name: f.name.clone(),
            kind: f.kind,
            required: f.required,
            allowed: f.allowed.clone(),
        });
        let of_row = provenance_fields().into_iter().filter(|_| provenance == Provenance::Row).map(|f| Slot {
            name: f.name().clone(),
            kind: match f.data_type() {
                DataType::Utf8 => Kind::String,
                DataType::Int64 => Kind::Int64,
                _ => Kind::Timestamp,
            },
            required: false,
            allowed: Vec::new(),
        });
        Self { contract, slots: of_contract.chain(of_row).collect() }
    }

    /// The event that `bytes` are, or why they are none.
    pub fn read(&self, bytes: &[u8]) -> Result<Reading, Reason> {
        self.read_within(bytes, ENVELOPES_MAX)
    }

    fn read_within(&self, bytes: &[u8], envelopes_left: usize) -> Result<Reading, Reason> {
        let mut object = self.object(bytes)?;
        let mut wrapper = object.wrapper()?;
        if let Some(Wrapper::Bus(data)) = wrapper {
            object = self.object(data.as_bytes())?;
            wrapper = object.wrapper()?;
        }
        match wrapper {
            None => {}
            Some(Wrapper::Bus(_)) => return Err(Reason::WrongType),
            Some(Wrapper::Packed(_)) if envelopes_left == 0 => return Err(Reason::WrongType),
            Some(Wrapper::Packed(inner)) => return self.read_within(&inner, envelopes_left - 1),
            Some(Wrapper::Rule { detail, detail_type, time, id }) => {
                object = self.object(detail.as_bytes())?;
                self.fill_in(&mut object.row, self.contract.time_field(), time)?;
                self.fill_in(&mut object.row, self.contract.id_field(), id)?;
                let name = self.contract.type_field();
                if !object.row.contains_key(name) {
                    let text = text(detail_type).ok_or(Reason::WrongType)??;
                    let known = self.contract.event_type_of(&text).map(str::to_owned);
                    object.row.insert(name.to_owned(), Cell::Text(known.unwrap_or(text)));
                }
            }
        }
        self.check_required(&object.row)?;
        Ok(Reading { row: object.row, unknown: object.unknown.into_iter().map(|(name, _)| name).collect() })
    }

    fn object<'a>(&self, bytes: &'a [u8]) -> Result<Object<'a>, Reason> {
        let whole: &RawValue = serde_json::from_slice(bytes).map_err(|_| Reason::NotJson)?;
        let pairs = whole.get().starts_with('{').then(|| serde_json::from_str::<Pairs<'a>>(whole.get()));
        let pairs = pairs.transpose().map_err(|_| Reason::NotJson)?;
        if depth(whole.get()) > JSON_DEPTH_MAX {
            return Err(Reason::NotJson);
        }
        let Pairs(pairs) = pairs.ok_or(Reason::WrongType)?;
        let mut row = Row::new();
        for slot in &self.slots {
            let last = pairs.iter().rev().find(|(name, _)| *name == slot.name);
            let cell = last.map(|(_, raw)| slot.cell(raw.get())).transpose()?.flatten();
            row.extend(cell.map(|cell| (slot.name.clone(), cell)));
        }
        let unknown = pairs.into_iter().filter(|(name, _)| self.slots.iter().all(|slot| slot.name != *name));
        Ok(Object { row, unknown: unknown.collect() })
    }

    fn fill_in(&self, row: &mut Row, name: &str, raw: Option<&str>) -> Result<(), Reason> {
        let slot = self.slots.iter().find(|slot| slot.name == name).expect("roles name fields");
        if let (Some(raw), false) = (raw, row.contains_key(name)) {
            row.extend(slot.cell(raw)?.map(|cell| (name.to_owned(), cell)));
        }
        Ok(())
    }

    fn check_required(&self, row: &Row) -> Result<(), Reason> {
        let is_there = |name: &str| row.get(name).is_some_and(|cell| *cell != Cell::Text(String::new()));
        let Some(Cell::Text(event_type)) = row.get(self.contract.type_field()) else {
            return Err(Reason::MissingField);
        };
        let fields = self.contract.fields();
        let of_all = fields.iter().filter(|f| f.required);
        let of_type = self.contract.required_for(event_type).map(|index| &fields[index]);
        match of_all.chain(of_type).all(|f| is_there(&f.name)) {
            true => Ok(()),
            false => Err(Reason::MissingField),
        }
    }
}

impl Slot {
    /// The value in a JSON text; none if it is null.
    fn cell(&self, raw: &str) -> Result<Option<Cell>, Reason> {
        let wrong = match self.kind {
            Kind::Timestamp => Reason::BadTimestamp,
            _ => Reason::WrongType,
        };
        let cell = match (self.kind, raw.as_bytes()[0]) {
            (_, b'n') => return Ok(None),
            (Kind::String, b'"') => {
                let text = text(raw).ok_or(wrong)??;
                // Of a required field an empty text is missing, which says more than that it is not allowed.
                let passes =
                    self.allowed.is_empty() || self.allowed.contains(&text) || (self.required && text.is_empty());
                passes.then_some(Cell::Text(text))
            }
            (Kind::Timestamp, b'"') => instant(&text(raw).ok_or(wrong)??).map(Cell::Whole),
            (Kind::Timestamp, _) => whole(raw).and_then(instant_of_millis).map(Cell::Whole),
            (Kind::Int32, _) => whole(raw).filter(|&n| i32::try_from(n).is_ok()).map(Cell::Whole),
            (Kind::Int64, _) => whole(raw).map(Cell::Whole),
            (Kind::Bool, b't') => Some(Cell::Truth(true)),
            (Kind::Bool, b'f') => Some(Cell::Truth(false)),
            (Kind::Json, b'{') => Some(Cell::Text(raw.to_owned())),
            _ => None,
        };
        cell.map(Some).ok_or(wrong)
    }
}

impl<'a> Object<'a> {
    fn wrapper(&self) -> Result<Option<Wrapper<'a>>, Reason> {
        // A part of the envelope that comes twice makes it ambiguous: it is refused.
        let all = |key: &str| self.unknown.iter().filter(|(name, _)| name == key).map(|(_, raw)| raw.get()).collect();
        let one = |key: &str| -> Result<Option<&'a str>, Reason> {
            let found: Vec<&'a str> = all(key);
            if found.len() > 1 { Err(Reason::NotJson) } else { Ok(found.first().copied()) }
        };
        let has = |key: &str| self.unknown.iter().any(|(name, _)| name == key);
        if has("detail-type") && has("detail") {
            let [detail, detail_type, time, id] = [one("detail")?, one("detail-type")?, one("time")?, one("id")?];
            let both = detail.zip(detail_type).ok_or(Reason::NotJson)?;
            return Ok(Some(Wrapper::Rule { detail: both.0, detail_type: both.1, time, id }));
        }
        if has("Data") && has("SystemMetadata") {
            let data = one("Data")?.ok_or(Reason::NotJson)?;
            return Ok(Some(match text(data) {
                None => Wrapper::Bus(data),
                Some(text) => Wrapper::Packed(unpacked(&text?)?),
            }));
        }
        Ok(None)
    }
}

fn unpacked(text: &str) -> Result<Vec<u8>, Reason> {
    if text.trim_start().starts_with('{') {
        return Ok(text.as_bytes().to_vec());
    }
    STANDARD.decode(text.trim()).map_err(|_| Reason::WrongType)
}

/// The text of a JSON string, none if it is no string. Half of a surrogate pair is not text.
fn text(raw: &str) -> Option<Result<String, Reason>> {
    raw.starts_with('"').then(|| serde_json::from_str(raw).map_err(|_| Reason::NotJson))
}

/// A number without fraction and exponent, in 64 bits.
fn whole(raw: &str) -> Option<i64> {
    match raw {
        // A float to `serde_json`, because of its sign.
        "-0" => Some(0),
        _ => serde_json::from_str::<Value>(raw).ok()?.as_i64(),
    }
}

/// From 1970 to 9999.
pub fn instant_of_millis(millis: i64) -> Option<i64> {
    (0..253_402_300_800_000).contains(&millis).then(|| millis * 1_000)
}

/// RFC 3339 as chrono reads it, without the minus sign U+2212, second 60, and more than nine digits of a second; from year 1 to 9999.
pub fn instant(text: &str) -> Option<i64> {
    let leap = text.get(17..19) == Some("60");
    let digits = text.get(20..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let micros = chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
    (text.is_ascii() && !leap && digits <= 9 && (-62_135_596_800_000_000..253_402_300_800_000_000).contains(&micros))
        .then_some(micros)
}

/// How deep a valid JSON text nests.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// An object's keys and the texts of their values, each as often as it comes.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    pairs.push((name.into_owned(), map.next_value::<&'de RawValue>()?));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}
