//! A file of JSON, read by its layout.

use super::bytes::FileBytes;
use super::documents::DocumentReader;
use super::input::{InputFile, Progress};
use super::layout::Layout;
use super::lines::LineReader;
use super::reader::FileBatch;
use super::values::ValueReader;
use crate::error::{Error, Result};
use crate::types::ShardId;

/// Reads a file of JSON to its end. Only for threads that may block.
pub(super) enum JsonReader {
    /// A record a line.
    Lines(LineReader),
    /// A record a value.
    Values(ValueReader),
    /// Entries of documents of GetRecords.
    Documents(DocumentReader),
}

impl JsonReader {
    /// Opens a file and looks at how it is laid out.
    pub(super) fn open(file: &InputFile, progress: Progress) -> Result<Self> {
        let mut bytes = FileBytes::open(file, progress)?;
        if is_utf_16(bytes.look_ahead(2)?) {
            return Err(Error::user("by its first bytes the file is UTF-16, and JSON is read as UTF-8")
                .at(&file.name)
                .hint("convert it: iconv -f UTF-16 -t UTF-8"));
        }
        Ok(match Layout::of(&mut bytes)? {
            Layout::Lines => Self::Lines(LineReader::new(bytes)),
            Layout::Values => Self::Values(ValueReader::new(bytes)?),
            Layout::Documents => Self::Documents(DocumentReader::new(bytes)?),
        })
    }

    /// The next batch, none at the end of the file. `records` counts on through the shard's files.
    pub(super) fn next(&mut self, shard: &ShardId, records: &mut u64) -> Result<Option<FileBatch>> {
        Ok(match self {
            Self::Lines(lines) => lines.next(shard, records)?.map(FileBatch::Records),
            Self::Values(values) => values.next(shard, records)?.map(FileBatch::Records),
            Self::Documents(documents) => documents.next(shard, records)?.map(FileBatch::Entries),
        })
    }
}

/// Whether text that begins so is in two bytes a character: by its byte order mark, or by a NUL, which JSON in UTF-8 has not.
fn is_utf_16(head: &[u8]) -> bool {
    matches!(head, [0xff, 0xfe] | [0xfe, 0xff] | [0, 1..=255] | [1..=255, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(name: &str, content: impl AsRef<[u8]>) -> Result<JsonReader> {
        let (_dir, file) = InputFile::in_temp_folder(name, content);
        JsonReader::open(&file, Progress::default())
    }

    #[test]
    fn utf_16_is_told_from_utf_8_and_from_what_is_no_text() {
        let text = "\u{feff}{\"a\": 1}\r\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for utf_16 in [&little, &big, &little[2..], &big[2..]] {
            let e = opened("a.json", utf_16).err().unwrap();
            assert_eq!((e.exit_code(), e.place()), (2, Some("a.json")), "{e}");
            assert!(e.message().contains("UTF-16") && e.remedy().unwrap().contains("iconv"), "{e}");
        }
        for other in [text.as_bytes(), b"", b"x", b"\0\0", b"\xff\xffx"] {
            assert!(opened("a.json", other).is_ok(), "{other:?}");
        }
    }

    #[test]
    fn an_empty_file_is_nothing_and_an_empty_compressed_one_is_cut_off() {
        assert!(opened("a.ndjson", "").is_ok());
        for name in ["a.ndjson.gz", "a.json.ZST"] {
            let e = opened(name, "").err().unwrap();
            assert!(e.message().starts_with("the file is empty") && e.place() == Some(name), "{e}");
        }
    }
}
