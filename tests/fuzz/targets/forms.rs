//! What may be wrapped around a payload: compression, and the aggregates of the Kinesis Producer Library.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};

/// What an aggregate, gzip and Zstandard begin with.
pub const MAGICS: [&[u8]; 3] = [&[0xf3, 0x89, 0x9a, 0xc2], &[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// Whether a record is a payload as it is.
pub fn is_open(data: &[u8]) -> bool {
    !MAGICS.iter().any(|magic| data.starts_with(magic))
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(data, 1).unwrap()
}

/// An aggregate of this Protocol Buffers message: its checksum is right, whatever it is.
pub fn seal(message: &[u8]) -> Vec<u8> {
    [MAGICS[0], message, &Md5::digest(message)[..]].concat()
}

/// The message of an aggregate of these records.
pub fn message(records: &[&[u8]]) -> Vec<u8> {
    let mut message = b"\x0a\x01k".to_vec();
    for data in records {
        // Field 3: a record, of field 1 (the number of its partition key) and field 3 (its data).
        let record = [b"\x08\x00\x1a", &varint(data.len())[..], data].concat();
        message.push(0x1a);
        message.extend(varint(record.len()));
        message.extend(record);
    }
    message
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
