//! The front of a checkpoint's object: what can be read without the state, and in part by any version of the program.
//!
//! ```text
//!  magic  version  lengths of outline, header    outline   header      checksum
//!  HCCK   u32      u32, u32                      JSON      postcard    u128, XXH3 of all before it
//! ```
//!
//! Integers are little endian. From format 12 on none of this changes but the header: who gives up a state that it cannot read can tell
//! which files belong to the tables all the same. The outline may get more members; those that are unknown are passed over.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Domain, Error, Result};
use crate::limits::CHECKPOINT_FRONT_BYTES;
use crate::sink::lake::{CheckpointStore, Move, StoredCheckpoint};
use crate::types::Micros;

/// Who writes the records by which something is given up: no run has this name.
pub const RESET: &str = "reset";

/// The first format that has an outline.
const FIRST_VERSION: u32 = 12;

const MAGIC: &[u8; 4] = b"HCCK";
/// Magic, version and two lengths.
const FIXED_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = size_of::<u128>();

/// What any version of the program can read of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outline {
    /// When it was written.
    pub written_at: Micros,
    /// By which version of the program.
    pub program: String,
    /// How often a process took the application over from another, or from nobody. Who has the highest writes.
    pub generation: u64,
    /// Which run wrote it: the start of the names of its files.
    pub run: String,
    /// The run that was shut out by `run`, and may be at work until it learns that; empty if there was none.
    pub predecessor: String,
    /// Files that it makes part of their tables, or that the state does which it goes on from. They need not all be at their places yet.
    pub files: Vec<Move>,
    /// It has no state of its own, and goes on from the state of this number; 0 if there is none.
    pub goes_on_from: Option<u64>,
}

impl Outline {
    /// Whether it says that everything is given up, and there is nothing to go on from.
    pub fn is_reset(&self) -> bool {
        self.run == RESET && self.goes_on_from == Some(0)
    }

    /// The run that may be at work until it learns that it was shut out, if this record is not the last; empty if there is none.
    pub(super) fn at_work(&self) -> &str {
        if self.run == RESET { &self.predecessor } else { &self.run }
    }
}

/// The front of an object.
#[derive(Debug)]
pub(super) struct Front<'a> {
    pub version: u32,
    pub outline: Outline,
    /// In the format of the version.
    pub header: &'a [u8],
}

impl<'a> Front<'a> {
    /// The bytes of a front.
    pub(super) fn bytes(version: u32, outline: &Outline, header: &[u8]) -> Result<Vec<u8>> {
        let outline = serde_json::to_vec(outline)
            .map_err(|e| Error::internal("the outline of a checkpoint cannot be written").because(e))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(version.to_le_bytes());
        for part in [outline.as_slice(), header] {
            let length = u32::try_from(part.len()).map_err(|e| Error::internal("a front too long").because(e))?;
            bytes.extend(length.to_le_bytes());
        }
        bytes.extend(outline);
        bytes.extend(header);
        let checksum = xxh3_128(&bytes);
        bytes.extend(checksum.to_le_bytes());
        Ok(bytes)
    }

    /// The front of an object, and what comes after it.
    ///
    /// # Errors
    /// External if it is damaged; user if it is of a format that has none.
    pub(super) fn of(bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let Lengths { version, outline, all } = Lengths::of(bytes)?;
        let (front, rest) = bytes.split_at_checked(all).ok_or_else(|| damaged("its length"))?;
        let (checked, checksum) = front.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("its length"))?;
        if xxh3_128(checked) != u128::from_le_bytes(*checksum) {
            return Err(damaged("its checksum"));
        }
        let parts = checked.get(FIXED_BYTES..).and_then(|parts| parts.split_at_checked(outline));
        let (outline, header) = parts.ok_or_else(|| damaged("its length"))?;
        let outline = serde_json::from_slice(outline).map_err(|e| damaged("its outline").because(e))?;
        Ok((Self { version, outline, header }, rest))
    }
}

/// What the first bytes say.
struct Lengths {
    version: u32,
    outline: usize,
    /// Of the front.
    all: usize,
}

impl Lengths {
    fn of(bytes: &[u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("its first bytes"))?;
        let number = |rest: &[u8]| -> Option<(u32, usize)> {
            let (number, _) = rest.split_first_chunk()?;
            let number = u32::from_le_bytes(*number);
            Some((number, number as usize))
        };
        let version = number(rest).map(|(version, _)| version).ok_or_else(|| damaged("its length"))?;
        if version < FIRST_VERSION {
            return Err(Error::user(format!("the saved state has format {version}, from before format {FIRST_VERSION}")).hint(
                "run the version that wrote it, or give it up with its `headcount checkpoint reset`: which files it names no later version can tell",
            ));
        }
        let lengths = rest.get(4..).and_then(number).zip(rest.get(8..).and_then(number));
        let ((_, outline), (_, header)) = lengths.ok_or_else(|| damaged("its length"))?;
        let all = outline.checked_add(header).and_then(|parts| parts.checked_add(FIXED_BYTES + CHECKSUM_BYTES));
        Ok(Self { version, outline, all: all.ok_or_else(|| damaged("its length"))? })
    }
}

/// Reads the bytes of an object as far as its front goes, or more; none if it is not there any more.
///
/// # Errors
/// External or transient if the store fails; external if the front is damaged; user if the object is of a format that has none.
pub async fn read_front(store: &CheckpointStore, stored: StoredCheckpoint) -> Result<Option<bytes::Bytes>> {
    let Some(start) = store.read_start(stored, CHECKPOINT_FRONT_BYTES).await? else { return Ok(None) };
    let all = Lengths::of(&start).map_err(|e| e.at(store.place(stored.number)))?.all;
    if all <= start.len() {
        return Ok(Some(start));
    }
    store.read_start(stored, all).await
}

/// What the outline of an object says.
#[derive(Debug)]
pub(super) enum Outlined {
    Says(Outline),
    /// It is damaged.
    Nothing,
    /// The object is not there any more.
    Gone,
}

/// Reads the outline of an object of any format that has one.
///
/// # Errors
/// External or transient if the store fails; user if it is of a format that has none.
pub(super) async fn read_outline(store: &CheckpointStore, stored: StoredCheckpoint) -> Result<Outlined> {
    let Some(start) = store.read_start(stored, CHECKPOINT_FRONT_BYTES).await? else { return Ok(Outlined::Gone) };
    let damaged_or = |e: Error| match e.domain() {
        Domain::User => Err(e.at(store.place(stored.number))),
        _ => Ok(Outlined::Nothing),
    };
    let bytes = match Lengths::of(&start) {
        Ok(lengths) if lengths.all <= start.len() => Some(start),
        Ok(lengths) => store.read_start(stored, lengths.all).await?,
        Err(e) => return damaged_or(e),
    };
    let Some(bytes) = bytes else { return Ok(Outlined::Gone) };
    match Front::of(&bytes) {
        Ok((front, _)) => Ok(Outlined::Says(front.outline)),
        Err(e) => damaged_or(e),
    }
}

/// Why a checkpoint cannot be read.
pub(super) fn damaged(what: &str) -> Error {
    Error::external(format!("the saved state is damaged: what should be {what} is not")).hint(
        "restore the object from a copy if there is one; `headcount checkpoint reset` begins anew, from source.start",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline() -> Outline {
        let files = vec![Move { from: "_uncommitted/a".to_owned(), to: "a".to_owned() }];
        Outline { generation: 7, run: "run".to_owned(), files, goes_on_from: Some(3), ..Outline::default() }
    }

    #[test]
    fn the_outline_of_a_later_format_is_read_and_every_wrong_bit_is_noticed() {
        let mut bytes = Front::bytes(FIRST_VERSION + 5, &outline(), b"what nobody here can read").unwrap();
        bytes.extend(b"the state");
        let (front, rest) = Front::of(&bytes).unwrap();
        assert_eq!((front.version, &front.outline, rest), (FIRST_VERSION + 5, &outline(), b"the state".as_slice()));
        for at in 0..bytes.len() - rest.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Front::of(&damaged).is_err(), "at {at}");
        }
        for length in 0..bytes.len() - rest.len() {
            assert!(Front::of(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn an_outline_with_more_and_with_fewer_members_is_one() {
        let more: Outline = serde_json::from_str(r#"{"generation":7,"run":"run","weather":"fine"}"#).unwrap();
        assert_eq!((more.generation, more.run.as_str(), more.files.len()), (7, "run", 0));
    }

    #[test]
    fn a_format_without_an_outline_is_told_by_its_number() {
        let e = Front::of(b"HCCK\x0b\0\0\0more").unwrap_err();
        assert_eq!(e.exit_code(), 2);
        assert!(e.message().contains("format 11") && e.remedy().unwrap().contains("the version that wrote it"), "{e}");
    }
}
