//! A contract that has been read and found right.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};

use super::{Field, Requirement, parse, provenance_fields};
use crate::Result;

/// Where the shipped contract lies in the project.
const SHIPPED_PLACE: &str = "schemas/user_event.v1.json";
const SHIPPED: &str = include_str!("../../schemas/user_event.v1.json");

/// The contract of one stream of events. What it says cannot contradict itself: roles name fields of the right kind, names
/// are unique and are columns, requirements name fields.
///
/// Arrow schema of its events ([`Contract::events_schema`]): one column a field, in the file's order, nullable unless
/// required, then [`provenance_fields`].
#[derive(Debug, Clone)]
pub struct Contract {
    stream_name: String,
    fields: Vec<Field>,
    index_by_name: HashMap<String, usize>,
    requirements: Vec<Requirement>,
    roles: Roles,
    detail_types: HashMap<String, String>,
    events_schema: SchemaRef,
}

/// Indexes of the fields that play a role.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roles {
    pub(super) id: usize,
    pub(super) time: usize,
    pub(super) event_type: usize,
    pub(super) sent: Option<usize>,
}

impl Contract {
    /// Reads a contract from the text of a JSON Schema; `place` names it in errors (the path of the file).
    ///
    /// # Errors
    /// A user error with the place, the line and the remedy for anything outside the subset in [`crate::schema`].
    pub fn from_json(text: &str, place: &str) -> Result<Self> {
        parse::contract(text, place)
    }

    /// The contract that Headcount ships with: `schemas/user_event.v1.json`.
    ///
    /// # Errors
    /// Only if the shipped file is wrong, which a test rules out.
    pub fn shipped() -> Result<Self> {
        Self::from_json(SHIPPED, SHIPPED_PLACE)
    }

    /// Place and text of that file.
    pub fn shipped_file() -> (&'static str, &'static str) {
        (SHIPPED_PLACE, SHIPPED)
    }

    pub(super) fn new(
        stream_name: String,
        fields: Vec<Field>,
        requirements: Vec<Requirement>,
        roles: Roles,
        detail_types: HashMap<String, String>,
    ) -> Self {
        let index_by_name = fields.iter().enumerate().map(|(index, field)| (field.name.clone(), index)).collect();
        let mut columns: Vec<ArrowField> = fields
            .iter()
            .map(|field| ArrowField::new(&field.name, DataType::from(field.kind), !field.required))
            .collect();
        columns.extend(provenance_fields());
        let events_schema = Arc::new(Schema::new(columns));
        Self { stream_name, fields, index_by_name, requirements, roles, detail_types, events_schema }
    }

    /// The name of the stream, which is that of the table of its raw events.
    pub fn stream_name(&self) -> &str {
        &self.stream_name
    }

    /// The fields, in the file's order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.field_index(name).map(|index| &self.fields[index])
    }

    /// The position of the field of this name in [`Contract::fields`], which is that of its column.
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.index_by_name.get(name).copied()
    }

    /// What only some event types must have.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Indexes of the fields that events of this type must have beside the required ones. One may come twice.
    pub fn required_for(&self, event_type: &str) -> impl Iterator<Item = usize> {
        self.requirements.iter().filter(move |r| r.applies_to(event_type)).flat_map(|r| r.indexes.iter().copied())
    }

    /// The field by which duplicates are told: a required string.
    pub fn id_field(&self) -> &str {
        &self.fields[self.roles.id].name
    }

    /// The field that holds the event time: a required timestamp.
    pub fn time_field(&self) -> &str {
        &self.fields[self.roles.time].name
    }

    /// The field that says when the client sent the event: a timestamp.
    pub fn sent_field(&self) -> Option<&str> {
        self.roles.sent.map(|index| self.fields[index].name.as_str())
    }

    /// The field that holds the event type: a required string.
    pub fn type_field(&self) -> &str {
        &self.fields[self.roles.event_type].name
    }

    /// The event type that an EventBridge `detail-type` stands for, where the contract says.
    pub fn event_type_of(&self, detail_type: &str) -> Option<&str> {
        self.detail_types.get(detail_type).map(String::as_str)
    }

    /// The Arrow schema of decoded events: the fields in the file's order, then the provenance columns.
    pub fn events_schema(&self) -> SchemaRef {
        Arc::clone(&self.events_schema)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    #[test]
    fn the_shipped_contract_is_the_one_that_is_documented() {
        let contract = Contract::shipped().unwrap();
        assert_eq!(contract.stream_name(), "user_events");
        assert_eq!(
            (contract.id_field(), contract.time_field(), contract.sent_field(), contract.type_field()),
            ("event_id", "event_time", Some("sent_at"), "event_type")
        );
        let names: Vec<_> = contract.fields().iter().map(|f| f.name.as_str()).collect();
        let expected = "schema_version event_id event_type event_time sent_at source stream_id channel_id session_id \
             previous_session_id viewer_id user_id country device_type platform cdn player_state rendition bitrate_kbps \
             startup_ms played_ms stall_ms live_latency_ms error_code fatal plan_from plan_to billing_interval \
             amount_minor currency properties";
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
        let kind = |name| contract.field(name).unwrap().kind;
        assert_eq!(
            [
                kind("event_id"),
                kind("sent_at"),
                kind("played_ms"),
                kind("amount_minor"),
                kind("fatal"),
                kind("properties")
            ],
            [Kind::String, Kind::Timestamp, Kind::Int32, Kind::Int64, Kind::Bool, Kind::Json]
        );
        assert!(contract.fields().iter().all(|f| !f.description.is_empty()));
    }

    #[test]
    fn only_required_columns_and_the_position_are_null_free() {
        let schema = Contract::shipped().unwrap().events_schema();
        let null_free: Vec<_> =
            schema.fields().iter().filter(|f| !f.is_nullable()).map(|f| f.name().as_str()).collect();
        assert_eq!(
            null_free,
            [
                "schema_version",
                "event_id",
                "event_type",
                "event_time",
                "shard_id",
                "sequence_number",
                "sub_sequence_number"
            ]
        );
        let last: Vec<_> = schema.fields().iter().rev().take(3).map(|f| f.name().as_str()).collect();
        assert_eq!(last, ["shard_high_time", "event_time_original", "ingest_time"]);
    }

    #[test]
    fn requirements_go_by_the_prefix_of_the_event_type() {
        let contract = Contract::shipped().unwrap();
        let required = |event_type: &str| -> Vec<String> {
            contract.required_for(event_type).map(|i| contract.fields()[i].name.clone()).collect()
        };
        assert_eq!(required("view.heartbeat"), ["stream_id", "session_id"]);
        for event_type in ["stream.started", "chat.message_sent", "tip.sent", "stream.of_another_kind"] {
            assert_eq!(required(event_type), ["stream_id"], "{event_type}");
        }
        for event_type in ["user.registered", "viewer", "view", "streaming.x", "a.view.b", ""] {
            assert_eq!(required(event_type), Vec::<String>::new(), "{event_type}");
        }
    }
}
