//! Letters that a backfill writes, in the place of those that it wrote from the same input before.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::BooleanArray;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_128;

use super::replay::{close_or_abort, go_on};
use super::stored::{LetterFile, Letters};
use crate::clock::Clock;
use crate::decode::DeadLetter;
use crate::error::Result;
use crate::sink::lake::{DEAD_LETTERS, Lake, LakeFile, Replacement, RollPolicy, TableSpec, TableWriter};
use crate::types::{MICROS_PER_HOUR, Micros, ShardId, floor_to};

/// Which of a lake's letters new ones stand for, in the hours of the new ones: each that is written anew, and all lines of the files that
/// are read. (A line is known by its number, which another one has once the file was edited. What came from a stream is known for ever.)
#[derive(Debug, Clone, Default)]
pub struct NewLetters {
    /// Shards whose files of JSON are read.
    shards: Arc<HashSet<ShardId>>,
    /// Hours of the new letters.
    hours: BTreeSet<Micros>,
    /// Hashes of the names of new letters, but of lines of these shards.
    names: HashSet<u128>,
}

impl NewLetters {
    /// None yet, of an input of files, of which those of `shards` are JSON.
    pub fn of(shards: Arc<HashSet<ShardId>>) -> Self {
        Self { shards, ..Self::default() }
    }

    /// Takes note of a letter that is filed at `time`.
    pub fn add(&mut self, letter: &DeadLetter, time: Micros) {
        self.hours.insert(floor_to(time, MICROS_PER_HOUR));
        if !self.is_line(&letter.shard, letter.arrival_time) {
            self.names.insert(name(&letter.shard, &letter.sequence_number, letter.sub_sequence_number));
        }
    }

    /// Takes in what another reader of the same input noted.
    pub fn join(&mut self, other: Self) {
        self.hours.extend(other.hours);
        self.names.extend(other.names);
    }

    /// Lines that cannot be read do not say when they arrived; letters of a stream do.
    fn is_line(&self, shard: &str, arrival: Option<Micros>) -> bool {
        arrival.is_none() && self.shards.contains(shard)
    }

    fn replace(&self, letters: &Letters, i: usize) -> bool {
        self.is_line(letters.shard(i), letters.arrival(i))
            || self.names.contains(&name(letters.shard(i), letters.sequence(i), letters.sub(i)))
    }

    /// Stages what stays of the lake's files that lose letters. Those files are to be
    /// [taken away](Replacement::take_away), and letters [added](Replacement::add_to). Files that lose none are left alone.
    ///
    /// # Errors
    /// External or transient, if the lake fails, holds a file that is none of letters, or if it is stopped.
    pub async fn stage_rest(
        &self,
        lake: &Lake,
        replacement: &Replacement,
        (prefix, roll): (&str, RollPolicy),
        clock: &Arc<dyn Clock>,
        stop: &CancellationToken,
    ) -> Result<Vec<LakeFile>> {
        let spec = TableSpec::dead_letters(format!("{prefix}-kept"));
        let mut to = replacement.table_writer(spec, roll, Arc::clone(clock));
        let mut changed = Vec::new();
        let written = self.write_rest(lake, &mut changed, &mut to, stop).await;
        close_or_abort(to, written).await?;
        Ok(changed)
    }

    async fn write_rest(
        &self,
        lake: &Lake,
        changed: &mut Vec<LakeFile>,
        to: &mut TableWriter,
        stop: &CancellationToken,
    ) -> Result<()> {
        for &hour in &self.hours {
            for file in lake.list_hour(DEAD_LETTERS, hour).await? {
                if !self.replace_any(lake, &file, stop).await? {
                    continue;
                }
                let mut letters = LetterFile::open(lake, &file).await?;
                while let Some(letters) = letters.next().await? {
                    go_on(stop)?;
                    let kept: BooleanArray = (0..letters.len()).map(|i| Some(!self.replace(&letters, i))).collect();
                    to.write_undated(&letters.only(&kept)?, Some(letters.hour())).await?;
                }
                changed.push(file);
            }
        }
        Ok(())
    }

    async fn replace_any(&self, lake: &Lake, file: &LakeFile, stop: &CancellationToken) -> Result<bool> {
        let mut letters = LetterFile::open(lake, file).await?;
        while let Some(letters) = letters.next().await? {
            go_on(stop)?;
            if (0..letters.len()).any(|i| self.replace(&letters, i)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A letter's name, as a hash: there may be millions.
fn name(shard: &str, sequence_number: &str, sub_sequence_number: i64) -> u128 {
    let mut name = Vec::with_capacity(shard.len() + sequence_number.len() + 10);
    name.extend_from_slice(shard.as_bytes());
    // No byte of UTF-8.
    name.push(0xff);
    name.extend_from_slice(sequence_number.as_bytes());
    name.push(0xff);
    name.extend_from_slice(&sub_sequence_number.to_le_bytes());
    xxh3_128(&name)
}
