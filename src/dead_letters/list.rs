//! The newest letters, and how many there are for which reason.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::filter::Filter;
use super::stored::{LetterFile, Letters, files};
use crate::error::Result;
use crate::limits::LETTERS_LISTED_MAX;
use crate::sink::lake::Lake;
use crate::types::Micros;

/// A letter without its data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// When it arrived, or else the start of the hour that it is filed in.
    pub time: Micros,
    /// The shard that carried it.
    pub shard: String,
    /// The sequence number of its record.
    pub sequence_number: String,
    /// Its place within the record.
    pub sub_sequence_number: i64,
    /// When it arrived, where the input said.
    pub arrival_time: Option<Micros>,
    /// The reason's code.
    pub reason: String,
    /// Why, for a person.
    pub message: String,
    /// How much data it has.
    pub bytes: u64,
}

impl Head {
    pub(super) fn of(letters: &Letters, i: usize) -> Self {
        Self {
            time: letters.time(i),
            shard: letters.shard(i).to_owned(),
            sequence_number: letters.sequence(i).to_owned(),
            sub_sequence_number: letters.sub(i),
            arrival_time: letters.arrival(i),
            reason: letters.reason(i).to_owned(),
            message: letters.message(i).to_owned(),
            bytes: letters.data(i).len() as u64,
        }
    }
}

/// What a lake has of letters.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The newest of them, newest first.
    pub newest: Vec<Head>,
    /// How many there are, by the reason's code.
    pub by_reason: BTreeMap<String, u64>,
    /// Files that were read.
    pub files: usize,
}

impl Listing {
    /// How many there are.
    pub fn letters(&self) -> u64 {
        self.by_reason.values().sum()
    }
}

/// The `limit` newest letters of `filter` ([`LETTERS_LISTED_MAX`] at most), and counts of all.
///
/// # Errors
/// External or transient, if the lake cannot be read.
pub async fn list(lake: &Lake, filter: &Filter, limit: usize) -> Result<Listing> {
    let limit = limit.min(LETTERS_LISTED_MAX);
    let files = files(lake, filter).await?;
    // By time and, at one time, by the order in which they are stored: that of their shard.
    let mut newest: BinaryHeap<Reverse<(Micros, u64, Head)>> = BinaryHeap::new();
    let mut seen = 0;
    let mut by_reason: BTreeMap<String, u64> = BTreeMap::new();
    for file in &files {
        let mut letters = LetterFile::open(lake, file).await?;
        while let Some(letters) = letters.next().await? {
            for i in (0..letters.len()).filter(|&i| filter.takes(&letters, i)) {
                *by_reason.entry(letters.reason(i).to_owned()).or_default() += 1;
                seen += 1;
                if newest.len() < limit {
                    newest.push(Reverse((letters.time(i), seen, Head::of(&letters, i))));
                } else if let Some(mut oldest) = newest.peek_mut()
                    && oldest.0.0 <= letters.time(i)
                {
                    *oldest = Reverse((letters.time(i), seen, Head::of(&letters, i)));
                }
            }
        }
    }
    // Reversed, so what sorts first is the newest.
    let newest = newest.into_sorted_vec().into_iter().map(|Reverse((_, _, head))| head).collect();
    Ok(Listing { newest, by_reason, files: files.len() })
}
