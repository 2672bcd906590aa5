//! What is inside a record: opens aggregates and compression, so that payloads of JSON are left.
//!
//! Told apart by content, never by configuration:
//!
//! | bytes that begin with | are |
//! |---|---|
//! | `F3 89 9A C2` | an aggregate of the Kinesis Producer Library: each of its records is opened in turn |
//! | `1F 8B` | gzip (RFC 1952), of one member or several |
//! | `28 B5 2F FD` | Zstandard (RFC 8878) |
//! | anything else | a payload |
//!
//! None of the three can begin JSON: no UTF-8 text begins so. An aggregate is looked for in a record only, compression in a record and
//! in the records of an aggregate: nothing is opened more than twice. How large a payload may become is bounded, for one and for all of
//! a read together, so that a small record cannot fill the memory.

use std::io::{self, Read};

use bytes::Bytes;

use super::aggregate;
use super::dead_letter::{Reason, Rejection};
use crate::limits::{OPENED_BYTES_MAX, OPENED_READ_BYTES_MAX, OPENED_WORK_BYTES_MAX};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What opening came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// One payload: it may hold any number of events.
    Payload(Bytes),
    /// Bytes that cannot be opened, and why.
    Closed(Bytes, Rejection),
}

/// Opens records of one read.
#[derive(Debug)]
pub(super) struct Opener {
    /// Bytes that may still come out of compression.
    budget: usize,
    /// Bytes that may still be decompressed, to be kept or not.
    work: usize,
}

impl Opener {
    pub(super) fn new() -> Self {
        Self { budget: OPENED_READ_BYTES_MAX, work: OPENED_WORK_BYTES_MAX }
    }

    /// Whether `data` is a payload as it is: nearly all records are.
    pub(super) fn is_open(data: &[u8]) -> bool {
        !(data.starts_with(&aggregate::MAGIC) || data.starts_with(&GZIP) || data.starts_with(&ZSTD))
    }

    /// What is inside a record, in its order.
    pub(super) fn open(&mut self, data: &Bytes) -> Vec<Opened> {
        if !data.starts_with(&aggregate::MAGIC) {
            return vec![self.decompress(data)];
        }
        match aggregate::records(data) {
            Ok(records) => records
                .into_iter()
                .map(|record| match record {
                    Ok(data) => self.decompress(&data),
                    Err((data, rejection)) => Opened::Closed(data, rejection),
                })
                .collect(),
            Err(rejection) => vec![Opened::Closed(data.clone(), rejection)],
        }
    }

    fn decompress(&mut self, data: &Bytes) -> Opened {
        let (format, read) = if data.starts_with(&GZIP) {
            ("gzip", self.read(Ok(flate2::bufread::MultiGzDecoder::new(&**data))))
        } else if data.starts_with(&ZSTD) {
            ("zstd", self.read(zstd::stream::read::Decoder::with_buffer(&**data)))
        } else {
            return Opened::Payload(data.clone());
        };
        let message = match read {
            Ok(opened) => return Opened::Payload(opened.into()),
            Err(Unopened::TooLarge) => format!("the {format} data hold more than {OPENED_BYTES_MAX} bytes"),
            Err(Unopened::TooMuch) => {
                format!(
                    "the {format} data do not fit: those read together hold more than {OPENED_READ_BYTES_MAX} bytes"
                )
            }
            Err(Unopened::Spent) => format!(
                "the {format} data were not opened: those read before them took {OPENED_WORK_BYTES_MAX} bytes of decompression"
            ),
            Err(Unopened::Damaged(e)) => format!("the {format} data are damaged: {e}"),
        };
        Opened::Closed(data.clone(), Rejection::new(Reason::BadCompression, message))
    }

    /// All that comes out, if it is not too much.
    fn read(&mut self, decoder: io::Result<impl Read>) -> Result<Vec<u8>, Unopened> {
        if self.work == 0 {
            return Err(Unopened::Spent);
        }
        let most = self.budget.min(OPENED_BYTES_MAX);
        let mut opened = Vec::new();
        let read = decoder.and_then(|decoder| decoder.take(most as u64 + 1).read_to_end(&mut opened));
        // Also for what is thrown away.
        self.work = self.work.saturating_sub(opened.len());
        read.map_err(Unopened::Damaged)?;
        match opened.len() {
            len if len <= most => {
                self.budget -= len;
                Ok(opened)
            }
            _ if most < OPENED_BYTES_MAX => Err(Unopened::TooMuch),
            _ => Err(Unopened::TooLarge),
        }
    }
}

/// Why nothing came out.
enum Unopened {
    TooLarge,
    /// With the others of its read.
    TooMuch,
    /// The others of its read took all the work.
    Spent,
    Damaged(io::Error),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::form_builders::{gzip, zstd};
    use super::*;

    fn open(data: Vec<u8>) -> Opened {
        let mut opened = Opener::new().open(&data.into());
        assert_eq!(opened.len(), 1);
        opened.pop().unwrap()
    }

    fn payload(text: &str) -> Opened {
        Opened::Payload(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[track_caller]
    fn assert_closed(data: Vec<u8>, message: &str) {
        match open(data.clone()) {
            Opened::Closed(bytes, rejection) => {
                assert_eq!((bytes, rejection.reason), (data.into(), Reason::BadCompression));
                assert!(rejection.message.contains(message), "{}", rejection.message);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn compression_is_told_by_content() {
        assert_eq!(open(b"{}".to_vec()), payload("{}"));
        assert_eq!(open(gzip(b"{}")), payload("{}"));
        assert_eq!(open([gzip(b"{}\n"), gzip(b"[]")].concat()), payload("{}\n[]"));
        assert_eq!(open(zstd(b"{}")), payload("{}"));
        assert_eq!(open([zstd(b"{}\n"), zstd(b"[]")].concat()), payload("{}\n[]"));
        assert_eq!(open(vec![]), payload(""));
        for data in [gzip(b""), zstd(b"")] {
            assert!(!Opener::is_open(&data));
            assert_eq!(open(data), payload(""));
        }
        assert!(Opener::is_open(b"{}") && Opener::is_open(b""));
    }

    #[test]
    fn damage_keeps_the_bytes_as_they_came() {
        for whole in [gzip(b"{\"a\":1}"), zstd(b"{\"a\":1}")] {
            assert_closed(whole[..whole.len() - 3].to_vec(), "damaged");
            assert_closed([&whole[..], b"junk"].concat(), "damaged");
        }
        assert_closed(vec![0x1f, 0x8b], "gzip");
        assert_closed(vec![0x28, 0xb5, 0x2f, 0xfd], "zstd");
    }

    #[test]
    fn a_bomb_is_not_opened() {
        let zeros = vec![b' '; OPENED_BYTES_MAX + 1];
        for bomb in [gzip(&zeros), zstd(&zeros)] {
            assert!(bomb.len() < OPENED_BYTES_MAX / 100);
            assert_closed(bomb, "more than");
        }
        let most = vec![b' '; OPENED_BYTES_MAX];
        assert_eq!(open(zstd(&most)), Opened::Payload(most.into()));
    }

    #[test]
    fn bombs_are_not_opened_without_end() {
        let mut opener = Opener { work: OPENED_BYTES_MAX + 1, ..Opener::new() };
        let bomb: Bytes = zstd(&vec![b' '; OPENED_BYTES_MAX + 1]).into();
        let said = |opened: Vec<Opened>| match &opened[..] {
            [Opened::Closed(_, rejection)] => rejection.message.clone(),
            other => panic!("{other:?}"),
        };
        assert!(said(opener.open(&bomb)).contains("more than"));
        for next in [bomb, zstd(b"{}").into()] {
            assert!(said(opener.open(&next)).contains("not opened"));
        }
        assert_eq!(opener.open(&Bytes::from_static(b"{}")), [payload("{}")], "what needs no opening");
    }

    #[test]
    fn what_is_read_together_is_bounded_too() {
        let mut opener = Opener { budget: 10, ..Opener::new() };
        assert_eq!(opener.open(&zstd(b"{\"a\":1}").into()), [payload("{\"a\":1}")]);
        let opened = opener.open(&zstd(b"{\"a\":1}").into());
        assert!(matches!(&opened[..], [Opened::Closed(_, r)] if r.message.contains("together")), "{opened:?}");
        assert_eq!(opener.open(&zstd(b"{}").into()), [payload("{}")], "there is room for a small one");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(start in prop::sample::select(vec![&GZIP[..], &ZSTD[..], &aggregate::MAGIC[..]]), rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let data = [start, &rest].concat();
            for opened in Opener::new().open(&data.clone().into()) {
                if let Opened::Closed(bytes, _) = opened {
                    prop_assert!(data.windows(bytes.len().max(1)).any(|part| part == &bytes[..]) || bytes.is_empty());
                }
            }
        }

        #[test]
        fn damaged_compression_is_opened_or_kept(text in "[a-z{}\":,]{0,200}", place in any::<usize>(), byte in any::<u8>(), gz in any::<bool>()) {
            let mut data = if gz { gzip(text.as_bytes()) } else { zstd(text.as_bytes()) };
            let place = place % data.len();
            data[place] = byte;
            match open(data.clone()) {
                Opened::Closed(bytes, _) => prop_assert_eq!(bytes, data),
                Opened::Payload(_) => {}
            }
        }
    }
}
