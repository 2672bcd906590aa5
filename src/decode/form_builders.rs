//! Builders of the forms that a record may have, for tests.

use std::io::Write;

use serde_json::{Value, json};

pub(super) use super::aggregate::pack;

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(data, 1).unwrap()
}

/// An event as a rule of EventBridge delivers it.
pub(super) fn envelope(id: &str, detail_type: &str, time: &str, detail: &str) -> String {
    format!(
        r#"{{"version":"0","id":"{id}","detail-type":"{detail_type}","source":"streaming.platform.streams","account":"123456789012","time":"{time}","region":"eu-west-2","resources":[],"detail":{detail}}}"#
    )
}

/// `Data` as a custom bus of EventBridge wraps it.
pub(super) fn wrapper(data: &str) -> String {
    format!(r#"{{"Data":{data},"Metadata":{{"x":"y"}},"SystemMetadata":{{"IngestionTime":"2026-01-31T18:00:02Z"}}}}"#)
}

/// A text as JSON.
pub(super) fn as_text(data: &str) -> String {
    Value::from(data).to_string()
}

/// What `aws kinesis get-records` prints of one call.
pub(super) fn document(records: Vec<Value>) -> Value {
    json!({ "Records": records, "NextShardIterator": "AAAAAAAAAAExampleOnly+/==", "MillisBehindLatest": 0 })
}
