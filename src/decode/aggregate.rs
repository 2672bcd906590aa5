//! Records that the Kinesis Producer Library packs into one.
//!
//! The [format](https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md): a magic number, a Protocol
//! Buffers message, the MD5 of the message.
//!
//! ```text
//!  F3 89 9A C2 │ AggregatedRecord                        │ MD5
//!              │  partition_key_table, explicit_hash_key…│ of the message
//!              │  records: (key index, hash index, data) │
//! ```
//!
//! Unlike the Kinesis Client Library this does not drop records whose hash key lies outside of the shard that carried them: after a
//! reshard the aggregate is where it is, and its events are as true as any.

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use super::dead_letter::{Reason, Rejection};
use crate::limits::AGGREGATE_PARTS_MAX;

/// What every aggregate begins with.
pub(super) const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// Bytes of an MD5.
const DIGEST_BYTES: usize = 16;

#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<PackedRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct PackedRecord {
    #[prost(uint64, required, tag = "1")]
    partition_key: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key: Option<u64>,
    #[prost(bytes = "bytes", required, tag = "3")]
    data: Bytes,
}

/// A record of an aggregate: its data, or those and what is wrong with it.
pub(super) type Packed = Result<Bytes, (Bytes, Rejection)>;

/// The records of an aggregate, which begins with [`MAGIC`], in its order. Their data share its bytes.
pub(super) fn records(data: &Bytes) -> Result<Vec<Packed>, Rejection> {
    let bad = |message: String| Rejection::new(Reason::BadAggregate, message);
    let Some(end) = data.len().checked_sub(DIGEST_BYTES).filter(|&end| end >= MAGIC.len()) else {
        return Err(bad("the aggregate is cut off before its checksum".to_owned()));
    };
    let message = data.slice(MAGIC.len()..end);
    if Md5::digest(&message)[..] != data[end..] {
        return Err(bad("the aggregate is damaged: its MD5 is that of other bytes".to_owned()));
    }
    let parts =
        parts(message.clone()).map_err(|e| bad(format!("the aggregate is no Protocol Buffers message: {e}")))?;
    if parts > AGGREGATE_PARTS_MAX {
        return Err(bad(format!("the aggregate has {parts} keys and records, more than {AGGREGATE_PARTS_MAX}")));
    }
    let AggregatedRecord { partition_keys, explicit_hash_keys, records } = AggregatedRecord::decode(message)
        .map_err(|e| bad(format!("the aggregate is no Protocol Buffers message: {e}")))?;
    let beyond = |index: u64, table: &[String]| usize::try_from(index).map_or(true, |index| index >= table.len());
    let checked = |record: PackedRecord| {
        let wrong = if beyond(record.partition_key, &partition_keys) {
            Some(("partition", record.partition_key, partition_keys.len()))
        } else {
            let hash_key = record.explicit_hash_key.filter(|&index| beyond(index, &explicit_hash_keys));
            hash_key.map(|index| ("explicit hash", index, explicit_hash_keys.len()))
        };
        match wrong {
            None => Ok(record.data),
            Some((key, index, len)) => {
                let message = format!("a record of the aggregate has {key} key number {index} of a table of {len}");
                Err((record.data, bad(message)))
            }
        }
    };
    Ok(records.into_iter().map(checked).collect())
}

/// How many keys and records a message has. Two bytes can be one of them, which takes many times that once it is decoded.
fn parts(mut message: Bytes) -> Result<usize, prost::DecodeError> {
    let mut parts = 0;
    while !message.is_empty() {
        let (tag, wire_type) = decode_key(&mut message)?;
        skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
        parts += 1;
    }
    Ok(parts)
}

/// What a producer makes of these records.
#[cfg(test)]
pub(super) fn pack(records: &[&[u8]]) -> Vec<u8> {
    let records = records.iter().map(|data| PackedRecord {
        partition_key: 0,
        explicit_hash_key: None,
        data: Bytes::copy_from_slice(data),
    });
    seal(&AggregatedRecord {
        partition_keys: vec!["k".to_owned()],
        explicit_hash_keys: vec![],
        records: records.collect(),
    })
}

#[cfg(test)]
fn seal(aggregate: &AggregatedRecord) -> Vec<u8> {
    let message = aggregate.encode_to_vec();
    [&MAGIC[..], &message, &Md5::digest(&message)[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(data: &[u8]) -> String {
        let rejection = records(&Bytes::copy_from_slice(data)).unwrap_err();
        assert_eq!(rejection.reason, Reason::BadAggregate);
        rejection.message
    }

    #[test]
    fn an_aggregate_of_nothing_but_records_is_refused_before_it_is_unpacked() {
        for part in [[0x1a, 0], [0x0a, 0]] {
            let message = part.repeat(AGGREGATE_PARTS_MAX + 1);
            let data = [&MAGIC[..], &message, &Md5::digest(&message)[..]].concat();
            assert!(refused(&data).contains("keys and records, more than"));
        }
    }

    #[test]
    fn records_come_in_their_order_and_share_the_bytes() {
        let data = Bytes::from(pack(&[b"{\"a\":1}", b"", b"{}"]));
        let found: Vec<Bytes> = records(&data).unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(found, [&b"{\"a\":1}"[..], b"", b"{}"]);
        let (start, at) = (data.as_ptr() as usize, found[0].as_ptr() as usize);
        assert!((start..start + data.len()).contains(&at));
        assert_eq!(records(&Bytes::from(pack(&[]))), Ok(vec![]));
    }

    /// The example of the format's description, byte by byte: written by hand, not by the code that is tested.
    #[test]
    fn the_format_is_that_of_other_producers() {
        let message = b"\x0a\x02pk\x0a\x01q\x12\x015\x1a\x08\x08\x00\x1a\x04data\x1a\x09\x08\x01\x10\x00\x1a\x03two";
        let data = [&MAGIC[..], message, &Md5::digest(message)[..]].concat();
        let found: Vec<Bytes> = records(&data.into()).unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(found, [&b"data"[..], b"two"]);
    }

    #[test]
    fn tags_and_fields_to_come_are_passed_over() {
        let message = b"\x0a\x01k\x1a\x0e\x08\x00\x1a\x02{}\x22\x06\x0a\x01t\x12\x01v\x98\x06\x07";
        let data = [&MAGIC[..], message, &Md5::digest(message)[..]].concat();
        assert_eq!(records(&data.into()), Ok(vec![Ok(Bytes::from_static(b"{}"))]));
    }

    #[test]
    fn damage_is_told_by_the_checksum() {
        let whole = pack(&[b"{}"]);
        for at in MAGIC.len()..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(refused(&damaged).contains("MD5"), "byte {at}");
        }
        assert!(refused(&whole[..whole.len() - 1]).contains("MD5"));
        for len in MAGIC.len()..MAGIC.len() + DIGEST_BYTES {
            assert!(refused(&whole[..len]).contains("cut off"), "{len} bytes");
        }
    }

    #[test]
    fn what_is_no_message_is_refused_though_its_checksum_is_right() {
        let data = [&MAGIC[..], b"\xff\xff", &Md5::digest(b"\xff\xff")[..]].concat();
        assert!(refused(&data).contains("Protocol Buffers"));
    }

    #[test]
    fn a_record_with_a_wrong_index_costs_no_other() {
        let record = |partition_key, explicit_hash_key, data: &'static [u8]| PackedRecord {
            partition_key,
            explicit_hash_key,
            data: Bytes::from_static(data),
        };
        let data = seal(&AggregatedRecord {
            partition_keys: vec!["k".to_owned()],
            explicit_hash_keys: vec!["1".to_owned()],
            records: vec![
                record(0, Some(0), b"a"),
                record(1, None, b"b"),
                record(0, Some(u64::MAX), b"c"),
                record(0, None, b"d"),
            ],
        });
        let found = records(&data.into()).unwrap();
        let messages: Vec<String> = found
            .iter()
            .map(|record| match record {
                Ok(data) => String::from_utf8_lossy(data).into_owned(),
                Err((data, rejection)) => format!("{}: {}", String::from_utf8_lossy(data), rejection.message),
            })
            .collect();
        assert_eq!(
            messages,
            [
                "a",
                "b: a record of the aggregate has partition key number 1 of a table of 1",
                "c: a record of the aggregate has explicit hash key number 18446744073709551615 of a table of 1",
                "d",
            ]
        );
    }
}
