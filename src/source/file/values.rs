//! A file of JSON values over any number of lines as records: a value a record, an element of an array a record.

use super::bytes::FileBytes;
use super::cut::Within;
use super::window::Window;
use crate::error::Result;
use crate::limits::RECORD_BYTES_MAX;
use crate::types::{ReadBatch, Record, ShardId};

/// Reads values. A broken one costs its neighbours nothing where lines tell where the next begins: at a `{` that is as far in as that of
/// the broken one. Of a value longer than [`RECORD_BYTES_MAX`] the record holds one byte more than that, as of a line.
///
/// ```text
///  [                              comma without a value, or no closing bracket: a record of that
///    {"a": 1},       ── record 1
///    {"a": [1,       ── record 2: broken
///    {"a": 3}        ── record 3
///  ]
/// ```
pub(super) struct ValueReader {
    window: Window,
    array: Array,
}

/// Where in an array the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Array {
    None,
    Opened,
    AfterComma,
    AfterValue,
}

impl ValueReader {
    pub(super) fn new(source: FileBytes) -> Result<Self> {
        Ok(Self { window: Window::new(source)?, array: Array::None })
    }

    /// The next records, none at the end of the file. `values` counts the shard's values: a record's sequence number.
    pub(super) fn next(&mut self, shard: &ShardId, values: &mut u64) -> Result<Option<ReadBatch>> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while bytes < self.window.block_bytes {
            let Some(value) = self.value()? else { break };
            *values += 1;
            bytes += value.len();
            records.push(Record { data: value.into(), sequence_number: values.to_string().into(), arrival_time: None });
        }
        let shard = shard.clone();
        Ok((!records.is_empty()).then_some(ReadBatch { shard, records, millis_behind_latest: None, polled_at: None }))
    }

    fn value(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match (self.window.peek()?, self.array) {
                (None, Array::None) => return Ok(None),
                (None, _) => {
                    self.array = Array::None;
                    // What is left of the array; a decoder says that it is cut off.
                    return Ok(Some(b"[".to_vec()));
                }
                (Some(b'['), Array::None) => {
                    self.window.skip();
                    self.array = Array::Opened;
                }
                (Some(b']'), Array::Opened | Array::AfterValue) => {
                    self.window.skip();
                    self.array = Array::None;
                }
                (Some(b']'), Array::AfterComma) => {
                    self.window.skip();
                    self.array = Array::None;
                    return Ok(Some(b",]".to_vec()));
                }
                (Some(b','), Array::AfterValue) => {
                    self.window.skip();
                    self.array = Array::AfterComma;
                }
                (Some(b','), Array::Opened | Array::AfterComma) => {
                    self.window.skip();
                    return Ok(Some(b",".to_vec()));
                }
                (Some(_), array) => {
                    let column = self.window.column();
                    let within = Within::Values { array: array != Array::None, column };
                    if array != Array::None {
                        self.array = Array::AfterValue;
                    }
                    return Ok(Some(self.window.value(within, RECORD_BYTES_MAX)?.bytes));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::{InputFile, Progress};
    use super::*;

    #[track_caller]
    fn read(text: &str) -> Vec<String> {
        let (_dir, file) = InputFile::in_temp_folder("a.json", text);
        let mut found = Vec::new();
        for block_bytes in [1, 2, 3, 7, 1_000] {
            let mut reader = ValueReader::new(FileBytes::open(&file, Progress::default()).unwrap()).unwrap();
            reader.window.block_bytes = block_bytes;
            let (mut values, mut records) = (0, Vec::new());
            while let Some(batch) = reader.next(&"s".into(), &mut values).unwrap() {
                for record in batch.records {
                    let text = String::from_utf8(record.data.to_vec()).unwrap();
                    records.push(format!("{} {}", record.sequence_number, text.trim_end()));
                }
            }
            found.push(records);
        }
        found.dedup();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn objects_follow_each_other() {
        assert_eq!(
            read("\u{feff}{\n  \"a\": 1\n}\n\n{\"a\":2} {\r\n}"),
            ["1 {\n  \"a\": 1\n}", "2 {\"a\":2}", "3 {\r\n}"]
        );
        assert_eq!(
            read("{\n}\n[\n {\"a\":1},\n {\"a\":[2]}\n]\n{\n}\n"),
            ["1 {\n}", "2 {\"a\":1}", "3 {\"a\":[2]}", "4 {\n}"]
        );
    }

    #[test]
    fn a_broken_value_costs_its_neighbours_nothing() {
        assert_eq!(read("{\n  \"a\": {\n\n{\n  \"a\": 2\n}\n"), ["1 {\n  \"a\": {", "2 {\n  \"a\": 2\n}"]);
        assert_eq!(
            read("{\n  \"a\": \"\n}\nwhat, {is} this\n{\n}"),
            ["1 {\n  \"a\": \"\n}", "2 what, {is} this", "3 {\n}"]
        );
        assert_eq!(
            read("[\n  {\"a\": 1},\n  {\"a\": [},\n  {\"a\": 3}, no, \n  {\"a\": 4}\n]"),
            ["1 {\"a\": 1}", "2 {\"a\": [},", "3 {\"a\": 3}", "4 no", "5 {\"a\": 4}"]
        );
    }

    #[test]
    fn a_broken_array_is_told() {
        assert_eq!(read("[\n{}\n"), ["1 {}", "2 ["]);
        assert_eq!(read("[\n{},\n]"), ["1 {}", "2 ,]"]);
        assert_eq!(read("[\n,{},,{}\n]"), ["1 ,", "2 {}", "3 ,", "4 {}"]);
        assert_eq!(read("[\n]\n"), Vec::<String>::new());
    }

    #[test]
    fn an_overlong_value_is_one_byte_over_the_limit() {
        let text = format!("[\n{{\"a\":\"{}\"}},\n{{}}]", "x".repeat(RECORD_BYTES_MAX));
        let (_dir, file) = InputFile::in_temp_folder("a.json", &text);
        let mut reader = ValueReader::new(FileBytes::open(&file, Progress::default()).unwrap()).unwrap();
        let mut sizes = Vec::new();
        while let Some(batch) = reader.next(&"s".into(), &mut 0).unwrap() {
            sizes.extend(batch.records.iter().map(|r| r.data.len()));
        }
        assert_eq!(sizes, [RECORD_BYTES_MAX + 1, 2]);
    }
}
