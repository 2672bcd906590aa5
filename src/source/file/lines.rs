//! A file of lines as records: blocks of a few megabytes that all records of a batch share, without a copy for each line.

use std::fmt::Write as _;
use std::mem;
use std::sync::Arc;

use ::bytes::Bytes;
use memchr::{memchr, memrchr};

use super::bytes::FileBytes;
use super::cut::is_whitespace;
use crate::error::Result;
use crate::limits::{FILE_BLOCK_BYTES, RECORD_BYTES_MAX};
use crate::types::{ReadBatch, Record, ShardId};

/// Reads lines; each that is not blank is one record. `\r\n` ends a line too, and the last one need not end.
///
/// Of a line longer than [`RECORD_BYTES_MAX`] the record holds the first `RECORD_BYTES_MAX + 1` bytes, the rest is skipped unseen: one byte
/// over the limit is what makes a decoder refuse the record as too large, and memory stays bounded whatever the file holds.
pub(super) struct LineReader {
    source: FileBytes,
    block_bytes: usize,
    /// The beginning of a line whose end was not read yet.
    carry: Vec<u8>,
    /// Whether the rest of an overlong line is still to be passed over.
    skipping: bool,
    started: bool,
    ended: bool,
}

impl LineReader {
    pub(super) fn new(source: FileBytes) -> Self {
        Self { source, block_bytes: FILE_BLOCK_BYTES, carry: Vec::new(), skipping: false, started: false, ended: false }
    }

    /// The next records, none at the end of the file. `lines` counts the shard's lines, blank ones too: a record's sequence number.
    pub(super) fn next(&mut self, shard: &ShardId, lines: &mut u64) -> Result<Option<ReadBatch>> {
        while !self.ended {
            let Some(block) = self.whole_lines()? else { continue };
            let records = records(block, lines);
            if !records.is_empty() {
                let shard = shard.clone();
                return Ok(Some(ReadBatch { shard, records, millis_behind_latest: None, polled_at: None }));
            }
        }
        Ok(None)
    }

    /// Some whole lines (or the start of an overlong one), if a read completes any.
    fn whole_lines(&mut self) -> Result<Option<Bytes>> {
        let mut block = mem::take(&mut self.carry);
        let seen = block.len();
        let n = self.source.read_block(&mut block, self.block_bytes)?;
        self.ended = n < self.block_bytes;
        if !mem::replace(&mut self.started, true) && block.starts_with(b"\xef\xbb\xbf") {
            block.drain(..3);
        }
        if self.skipping {
            let Some(end) = memchr(b'\n', &block) else { return Ok(None) };
            block.drain(..=end);
            self.skipping = false;
        }
        if self.ended {
            return Ok(Some(Bytes::from(block)));
        }
        // The carry holds no newline: look at the new bytes only, from their end.
        let fresh = block.get(seen.min(block.len())..).unwrap_or_default();
        match memrchr(b'\n', fresh) {
            Some(at) => {
                self.carry = block.split_off(block.len() - fresh.len() + at + 1);
                Ok(Some(Bytes::from(block)))
            }
            None if block.len() > RECORD_BYTES_MAX => {
                block.truncate(RECORD_BYTES_MAX + 1);
                self.skipping = true;
                Ok(Some(Bytes::from(block)))
            }
            None => {
                self.carry = block;
                Ok(None)
            }
        }
    }
}

fn records(block: Bytes, lines: &mut u64) -> Vec<Record> {
    let mut records = Vec::new();
    let mut digits = String::new();
    let mut start = 0;
    while let Some(rest) = block.get(start..).filter(|rest| !rest.is_empty()) {
        let n = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        *lines += 1;
        let line = rest.get(..n).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.iter().all(|&byte| is_whitespace(byte)) {
            digits.clear();
            // Writing to a string cannot fail.
            let _ = write!(digits, "{lines}");
            let len = line.len().min(RECORD_BYTES_MAX + 1);
            let data = block.slice(start..start + len);
            records.push(Record { data, sequence_number: Arc::from(digits.as_str()), arrival_time: None });
        }
        start += n;
    }
    records
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::super::input::{InputFile, Progress};
    use super::*;
    use crate::error::Error;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zst(bytes: &[u8]) -> Vec<u8> {
        // With a checksum, as the command line tool writes it: without one nothing can tell damaged text.
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Sequence number and data of every record of a batch.
    type Numbered = Vec<(u64, Vec<u8>)>;

    /// All records of a file, batch by batch.
    fn read_as(name: &str, content: &[u8], block_bytes: usize) -> Result<Vec<Numbered>, Error> {
        let (_dir, file) = InputFile::in_temp_folder(name, content);
        let progress = Progress::default();
        let mut reader = LineReader::new(FileBytes::open(&file, progress.clone())?);
        reader.block_bytes = block_bytes;
        let (mut lines, mut batches) = (0, Vec::new());
        while let Some(batch) = reader.next(&"s".into(), &mut lines)? {
            let record = |r: Record| (r.sequence_number.parse().unwrap(), r.data.to_vec());
            batches.push(batch.records.into_iter().map(record).collect());
        }
        assert_eq!(progress.bytes(), file.bytes);
        Ok(batches)
    }

    fn read(content: &[u8]) -> Numbered {
        read_as("a.ndjson", content, FILE_BLOCK_BYTES).unwrap().concat()
    }

    #[test]
    fn lines_are_numbered_and_blank_ones_skipped() {
        let want = vec![(1, b"{}".to_vec()), (3, b"{1}".to_vec()), (5, b"x".to_vec())];
        assert_eq!(read(b"{}\n\n{1}\r\n  \t\nx"), want);
        assert_eq!(read(b"\xef\xbb\xbf{}\n\n{1}\n \r\nx\n"), want, "with a byte order mark");
        assert_eq!(read(b""), vec![]);
        assert_eq!(read(b"\n\n"), vec![]);
    }

    #[test]
    fn compression_is_told_by_content_and_may_come_in_pieces() {
        let want = vec![(1, b"one".to_vec()), (2, b"two".to_vec())];
        for (name, pieces) in [
            ("a.ndjson.gz", [gz(b"one\nt"), gz(b"wo\n")]),
            ("a.ndjson", [gz(b"one\n"), gz(b"two")]),
            ("a.ndjson.zst", [zst(b"one\nt"), zst(b"wo\n")]),
        ] {
            assert_eq!(read_as(name, &pieces.concat(), 64).unwrap().concat(), want, "{name}");
        }
        assert_eq!(read_as("a.json.gz", &gz(b""), 64).unwrap().len(), 0);
    }

    #[test]
    fn damage_is_an_external_error_that_names_file_and_place() {
        let text: Vec<u8> =
            (0..20_000u32).flat_map(|i| format!("{}\n", i.wrapping_mul(2_654_435_761)).into_bytes()).collect();
        for (name, whole) in [("a.json.gz", gz(&text)), ("a.json.zst", zst(&text))] {
            let cut = &whole[..whole.len() / 2];
            let mut damaged = whole.clone();
            damaged[whole.len() / 2..][..40].fill(0x55);
            let beheaded = &whole[4..];
            for (content, what) in [(cut, "damaged"), (&damaged, "damaged"), (beheaded, "damaged"), (b"", "empty")] {
                let e = read_as(name, content, FILE_BLOCK_BYTES).err().unwrap();
                assert_eq!((e.exit_code(), e.place()), (1, Some(name)), "{e}");
                assert!(e.message().contains(what), "{e}");
            }
        }
        let e = read_as("a.json", b"PAR1....PAR1", 64).unwrap_err();
        assert_eq!(e.exit_code(), 2);
    }

    #[test]
    fn an_overlong_line_becomes_one_record_just_over_the_limit() {
        for (over, kept) in
            [(0, RECORD_BYTES_MAX), (1, RECORD_BYTES_MAX + 1), (FILE_BLOCK_BYTES * 2, RECORD_BYTES_MAX + 1)]
        {
            let mut content = b"first\n".to_vec();
            content.resize(content.len() + RECORD_BYTES_MAX + over, b'x');
            content.extend_from_slice(b"\nlast\n");
            let got: Vec<_> = read(&content).into_iter().map(|(n, data)| (n, data.len())).collect();
            assert_eq!(got, vec![(1, 5), (2, kept), (3, 4)], "{over} over");
        }
        let endless = vec![b'x'; RECORD_BYTES_MAX + 2 * FILE_BLOCK_BYTES];
        assert_eq!(read(&endless).len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_block_size_gives_the_same_lines(
            text in "([a-c ]{0,5}(\n|\r\n)){0,12}[a-c]{0,4}",
            block_bytes in 1usize..20,
        ) {
            let want: Vec<_> = text
                .lines()
                .enumerate()
                .filter(|(_, l)| !l.trim().is_empty())
                .map(|(i, l)| (i as u64 + 1, l.as_bytes().to_vec()))
                .collect();
            prop_assert_eq!(read_as("a.ndjson", text.as_bytes(), block_bytes).unwrap().concat(), want);
        }
    }
}
