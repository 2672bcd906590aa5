//! A file of what `aws kinesis get-records` prints: the entries of its `Records`, cut out one by one.

use super::bytes::FileBytes;
use super::cut::Within;
use super::window::{End, Window};
use crate::error::{Error, Result};
use crate::limits::{DOCUMENT_KEY_BYTES_MAX, RECORD_ENTRY_BYTES_MAX};
use crate::types::{ReadBatch, Record, ShardId};

/// Reads documents that follow each other, printed over any number of lines. What is in an entry is for a decoder to say; so a broken
/// entry whose brackets are closed costs its neighbours nothing. Of one longer than [`RECORD_ENTRY_BYTES_MAX`] there is one byte more
/// than that, by which it is known.
///
/// ```text
///  {"Records": [ {…} , {…} ], "NextShardIterator": "…", "MillisBehindLatest": 0} {"Records": [ …
///                └┬┘   └┬┘      passed over                                     the next document
///               entry  entry
/// ```
pub(super) struct DocumentReader {
    window: Window,
    place: DocumentPlace,
    /// Entries of this file so far.
    entries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DocumentPlace {
    Outside,
    Document,
    Records,
}

impl DocumentReader {
    pub(super) fn new(source: FileBytes) -> Result<Self> {
        Ok(Self { window: Window::new(source)?, place: DocumentPlace::Outside, entries: 0 })
    }

    /// The next entries, none at the end of the file. `entries` counts the shard's entries: what stands for a sequence number until the
    /// entry is read.
    pub(super) fn next(&mut self, shard: &ShardId, entries: &mut u64) -> Result<Option<ReadBatch>> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while bytes < self.window.block_bytes {
            let Some(entry) = self.entry()? else { break };
            *entries += 1;
            bytes += entry.len();
            records.push(Record {
                data: entry.into(),
                sequence_number: entries.to_string().into(),
                arrival_time: None,
            });
        }
        let shard = shard.clone();
        Ok((!records.is_empty()).then_some(ReadBatch { shard, records, millis_behind_latest: None, polled_at: None }))
    }

    fn entry(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match (self.place, self.window.peek()?) {
                (DocumentPlace::Outside, None) => return Ok(None),
                (_, None) => return Err(self.broken("the file is cut off")),
                (DocumentPlace::Outside, Some(b'{')) => self.step_to(DocumentPlace::Document),
                (DocumentPlace::Outside, Some(_)) => {
                    return Err(self.broken("something follows that `aws kinesis get-records` does not print"));
                }
                (DocumentPlace::Document, Some(b'}')) => self.step_to(DocumentPlace::Outside),
                (DocumentPlace::Document, Some(b'"')) => self.key()?,
                (DocumentPlace::Records, Some(b']')) => self.step_to(DocumentPlace::Document),
                (_, Some(b',')) => self.window.skip(),
                (DocumentPlace::Document, Some(_)) => return Err(self.broken("the document is no JSON")),
                (DocumentPlace::Records, Some(_)) => {
                    let entry = self.value(RECORD_ENTRY_BYTES_MAX)?;
                    self.entries += 1;
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// Takes a key of the document, and its value unless it is the records.
    fn key(&mut self) -> Result<()> {
        let key = self.value(DOCUMENT_KEY_BYTES_MAX)?;
        if self.window.peek()? == Some(b':') {
            self.window.skip();
        }
        match self.window.peek()? {
            Some(b'[') if key == b"\"Records\"" => self.step_to(DocumentPlace::Records),
            _ => drop(self.value(0)?),
        }
        Ok(())
    }

    fn step_to(&mut self, place: DocumentPlace) {
        self.window.skip();
        self.place = place;
    }

    fn value(&mut self, keep: usize) -> Result<Vec<u8>> {
        let piece = self.window.value(Within::Document, keep)?;
        match piece.end {
            End::Whole => Ok(piece.bytes),
            End::File => Err(self.broken("the file is cut off")),
            End::Broken => Err(self.broken("a text goes over its line")),
        }
    }

    fn broken(&self, what: &str) -> Error {
        let place = self.window.place();
        Error::user(format!("{what} behind record {} of the file, near byte {place}", self.entries))
            .at(self.window.name())
            .hint("fetch the records again, mend the file, or leave it out")
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::{InputFile, Progress};
    use super::*;

    #[track_caller]
    fn read(text: &str) -> Result<Vec<String>> {
        let (_dir, file) = InputFile::in_temp_folder("a.json", text);
        let read = |block_bytes| -> Result<Vec<String>> {
            let mut reader = DocumentReader::new(FileBytes::open(&file, Progress::default())?)?;
            reader.window.block_bytes = block_bytes;
            let (mut entries, mut records) = (0, Vec::new());
            while let Some(batch) = reader.next(&"s".into(), &mut entries)? {
                for record in batch.records {
                    let text = String::from_utf8(record.data.to_vec()).unwrap();
                    records.push(format!("{} {text}", record.sequence_number));
                }
            }
            Ok(records)
        };
        let whole = read(1 << 20);
        for block_bytes in [1, 2, 5, 64] {
            match (read(block_bytes), &whole) {
                (Ok(records), Ok(whole)) => assert_eq!(records, *whole),
                (Err(e), Err(whole)) => assert_eq!(e.message(), whole.message()),
                (other, whole) => panic!("{other:?}, {whole:?}"),
            }
        }
        whole
    }

    #[test]
    fn documents_follow_each_other_printed_in_any_way() {
        let text = "{\n  \"Records\": [\n    {\n      \"Data\": \"a]}\\\"\"\n    },\n    {}\n  ],\n  \"NextShardIterator\": \"]}\"\n}\n\
                    {\"ChildShards\":[{\"Records\":[7]}],\"Records\":[],\"MillisBehindLatest\":0}{\"Records\":[{\"x\":[1]}]}\n\n";
        assert_eq!(read(text).unwrap(), ["1 {\n      \"Data\": \"a]}\\\"\"\n    }", "2 {}", "3 {\"x\":[1]}"]);
        assert_eq!(read("{\"Records\":null,\"x\":1}\n").unwrap(), Vec::<String>::new());
        assert_eq!(read("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_in_an_entry_does_not_matter_here() {
        assert_eq!(read("{\"Records\":[{\"a\":},7,\"x\"]}").unwrap(), ["1 {\"a\":}", "2 7", "3 \"x\""]);
    }

    #[test]
    fn a_file_that_is_cut_off_is_named_with_the_record_before() {
        let whole = "{\"Records\":[{\"Data\":\"aa\"},{\"Data\":\"bb\"}],\"MillisBehindLatest\":0}";
        for n in 1..whole.len() {
            let e = read(&whole[..n]).unwrap_err();
            let before = whole[..n].matches("\"}").count();
            assert_eq!((e.exit_code(), e.place()), (2, Some("a.json")));
            assert_eq!(e.message(), format!("the file is cut off behind record {before} of the file, near byte {n}"));
        }
        let appended = format!("{}\n{whole}\n", &whole[..22]);
        assert!(read(&appended).unwrap_err().message().starts_with("a text goes over its line behind record 0"));
        for (rest, what) in [("x", "something follows"), ("{x}", "no JSON"), ("]", "something follows")] {
            let e = read(&format!("{whole}\n{rest}")).unwrap_err();
            assert!(e.message().contains(what) && e.message().contains("record 2"), "{e}");
        }
    }

    #[test]
    fn an_overlong_entry_is_known_by_one_byte() {
        let long = "x".repeat(RECORD_ENTRY_BYTES_MAX);
        let (_dir, file) =
            InputFile::in_temp_folder("a.json", format!("{{\"Records\":[{{\"Data\":\"{long}\"}},{{}}]}}"));
        let mut reader = DocumentReader::new(FileBytes::open(&file, Progress::default()).unwrap()).unwrap();
        let mut sizes = Vec::new();
        while let Some(batch) = reader.next(&"s".into(), &mut 0).unwrap() {
            sizes.extend(batch.records.iter().map(|r| r.data.len()));
        }
        assert_eq!(sizes, [RECORD_ENTRY_BYTES_MAX + 1, 2]);
    }
}
