//! Event files, and what a lake reads of itself.

use std::path::Path;

use headcount::aws::BucketOptions;
use headcount::decode::unpack;
use headcount::error::{Domain, Error};
use headcount::limits::RECORD_BYTES_MAX;
use headcount::sink::lake::{Lake, LakeOptions};
use headcount::source::file::{FileBatch, FileShardReader, Progress, discover, shards};
use headcount::types::Record;

use super::decoding::CONTRACT;
use super::forms::{gzip, zstd};
use super::work::{block_on, in_file};

/// What a file held: number and bytes of each line, value or entry; the number of rows.
type Held = (Vec<(u64, Vec<u8>)>, usize);

/// Any bytes as a file of lines: each line that is not blank is a record with its number, plain or compressed. A file that cannot be
/// read is an error that names it.
pub fn lines(data: &[u8]) {
    let compressed = data.starts_with(&[0x1f, 0x8b]) || data.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    if compressed || data.starts_with(b"PAR1") {
        return in_file("a.ndjson", data, |path| drop(read(path)));
    }
    // The first line says that it is a file of lines, whatever the next ones say.
    let data = [b"\xef\xbb\xbf0\n", data].concat();
    let text = &data[3..];
    let of_text = text.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let not_blank = (1..).zip(of_text).filter(|(_, line)| !line.iter().all(|byte| b" \n\r\t".contains(byte)));
    let expected: Vec<(u64, Vec<u8>)> = not_blank.map(|(n, line)| (n, line.to_vec())).collect();
    assert!(data.len() <= RECORD_BYTES_MAX, "longer lines are cut");
    for (name, bytes) in [("a.json", data.clone()), ("a.jsonl.gz", gzip(&data)), ("a.ndjson.zst", zstd(&data))] {
        in_file(name, &bytes, |path| assert_eq!(read(path).expect("it is whole"), (expected.clone(), 0), "{name}"));
    }
}

/// Any bytes as a file of JSON, however it is laid out: each record, be it a line, a value or an entry of GetRecords, is bytes of the
/// file, one behind the other. A file that cannot be read is an error that names it.
pub fn json(data: &[u8]) {
    if data.starts_with(&[0x1f, 0x8b]) || data.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || data.starts_with(b"PAR1") {
        return;
    }
    in_file("a.json", data, |path| {
        let mut rest = data;
        for (number, bytes) in read(path).unwrap_or_default().0 {
            if matches!(bytes.as_slice(), b"[" | b"," | b",]") {
                // Stands for what an array lacks: a bracket, a value.
                continue;
            }
            let at = memchr::memmem::find(rest, &bytes);
            let at = at.unwrap_or_else(|| {
                panic!(
                    "record {number}, {:?}, is not in the file, or not in its place",
                    String::from_utf8_lossy(&bytes)
                )
            });
            rest = &rest[at + bytes.len()..];
        }
    });
}

/// Any bytes as a Parquet file: rows of the events schema, or an error that names the file.
pub fn parquet(data: &[u8]) {
    in_file("a.parquet", data, |path| {
        let lines = read(path).map_or(0, |(lines, _)| lines.len());
        assert_eq!(lines, 0);
    });
}

/// All that is in a file; none if it is refused, as it should be.
fn read(path: &Path) -> Option<Held> {
    let name = path.to_str().unwrap().to_owned();
    let reading = async {
        let files = discover(std::slice::from_ref(&name), &BucketOptions::default()).await?;
        let mut held = (Vec::new(), 0);
        for shard in shards(files, None)? {
            let mut reader = FileShardReader::new(shard, CONTRACT.events_schema(), Progress::default());
            while let Some(batch) = reader.next().await? {
                match batch {
                    FileBatch::Rows(rows) => {
                        assert_eq!(rows.schema(), CONTRACT.events_schema());
                        held.1 += rows.num_rows();
                    }
                    FileBatch::Records(read) => held.0.extend(read.records.iter().map(numbered)),
                    FileBatch::Entries(read) => {
                        held.0.extend(read.records.iter().map(numbered));
                        let entries = read.records.len();
                        let unpacked = unpack(read);
                        assert_eq!(unpacked.read.records.len() + unpacked.dead_letters.len(), entries);
                    }
                }
            }
        }
        Ok::<_, Error>(held)
    };
    match block_on(reading) {
        Ok(held) => Some(held),
        Err(e) => {
            assert_ne!(e.domain(), Domain::Internal, "{}", e.report());
            assert!(e.place().is_some_and(|place| place.starts_with(&name)), "{}", e.report());
            None
        }
    }
}

fn numbered(record: &Record) -> (u64, Vec<u8>) {
    (record.sequence_number.parse().unwrap(), record.data.to_vec())
}

/// Any bytes as the record of a replacement that was left in a lake: carried out or refused with a place; outside of the lake nothing
/// changes, whatever paths it names.
pub fn replacement(data: &[u8]) {
    in_file("outside", b"not the lake's", |outside| {
        let lake = outside.with_file_name("lake");
        let below = |path: &str, bytes: &[u8]| {
            let path = lake.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        below("_staging/b/replace.json", data);
        below("_staging/b/files/t/year=2026/month=01/day=31/hour=18/new.parquet", b"new");
        below("t/year=2026/month=01/day=31/hour=18/old.parquet", b"old");
        let lake = Lake::open(lake.to_str().unwrap(), &LakeOptions::default()).unwrap();
        match block_on(lake.recover(0)) {
            Ok(recovery) => assert_eq!((recovery.completed, recovery.removed), (vec!["b".to_owned()], vec![])),
            Err(e) => {
                assert_eq!(e.domain(), Domain::External, "{}", e.report());
                assert!(e.place().is_some() && e.remedy().is_some(), "{}", e.report());
            }
        }
        assert_eq!(std::fs::read(outside).unwrap(), b"not the lake's");
        assert_eq!(outside.parent().unwrap().read_dir().unwrap().count(), 2, "something new is beside the lake");
    });
}
