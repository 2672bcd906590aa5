//! The same events in the other forms that a record may have.

use std::io::Write;

use bytes::Bytes;
use headcount::types::{ReadBatch, Record};
use md5::{Digest, Md5};

/// Events of one record of several.
const EVENTS_PER_RECORD: usize = 50;

/// A form of several events in one record, or of one in an envelope.
pub(crate) struct Form {
    /// What the benchmark is called.
    pub(crate) name: &'static str,
    /// Events of one record.
    per_record: usize,
    pack: fn(&[&[u8]]) -> Vec<u8>,
}

/// All of them but the plain one.
pub(crate) const FORMS: [Form; 6] = [
    Form { name: "lines", per_record: EVENTS_PER_RECORD, pack: lines },
    Form { name: "array", per_record: EVENTS_PER_RECORD, pack: array },
    Form { name: "aggregate", per_record: EVENTS_PER_RECORD, pack: aggregate },
    Form { name: "gzip", per_record: EVENTS_PER_RECORD, pack: gzip },
    Form { name: "zstd", per_record: EVENTS_PER_RECORD, pack: zstd },
    Form { name: "eventbridge", per_record: 1, pack: eventbridge },
];

impl Form {
    /// The events of `reads`, one in each record, in this form.
    pub(crate) fn of(&self, reads: &[ReadBatch]) -> Vec<ReadBatch> {
        let in_form = |read: &ReadBatch| {
            let records = read.records.chunks(self.per_record).filter_map(|records| {
                let events: Vec<&[u8]> = records.iter().map(|record| &*record.data).collect();
                Some(Record { data: Bytes::from((self.pack)(&events)), ..records.first()?.clone() })
            });
            ReadBatch { records: records.collect(), ..read.clone() }
        };
        reads.iter().map(in_form).collect()
    }
}

fn lines(events: &[&[u8]]) -> Vec<u8> {
    [events.join(&b'\n'), vec![b'\n']].concat()
}

fn array(events: &[&[u8]]) -> Vec<u8> {
    [vec![b'['], events.join(&b','), vec![b']']].concat()
}

fn gzip(events: &[&[u8]]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&lines(events)).and_then(|()| encoder.finish()).expect("memory takes it")
}

fn zstd(events: &[&[u8]]) -> Vec<u8> {
    zstd::stream::encode_all(&*lines(events), 3).expect("memory takes it")
}

/// As a rule of EventBridge sends it.
fn eventbridge(events: &[&[u8]]) -> Vec<u8> {
    let head = br#"{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"Viewer Activity","source":"streaming.platform.users","account":"123456789012","time":"2026-01-31T18:00:01Z","region":"eu-west-2","resources":[],"detail":"#;
    [head, events.concat().as_slice(), b"}"].concat()
}

/// As the Kinesis Producer Library packs them: magic number, protobuf `{1: partition key, 3: {1: its index, 3: data}…}`, MD5.
fn aggregate(events: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::new();
    field(&mut message, 1, b"key");
    for event in events {
        let mut record = vec![1 << 3, 0];
        field(&mut record, 3, event);
        field(&mut message, 3, &record);
    }
    let digest = Md5::digest(&message);
    [&[0xf3, 0x89, 0x9a, 0xc2], message.as_slice(), digest.as_slice()].concat()
}

/// A length-delimited field of protobuf.
fn field(to: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    to.push(number << 3 | 2);
    let mut len = bytes.len();
    while len >= 0x80 {
        to.push(len as u8 | 0x80);
        len >>= 7;
    }
    to.push(len as u8);
    to.extend_from_slice(bytes);
}
