//! Letters, decoded and judged again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use serde::de::IgnoredAny;

use super::stored::Letters;
use crate::decode::{DeadLetter, Decoder, Provenance, Reason, is_entry};
use crate::engine::intake::too_old;
use crate::engine::judge::{JudgeOptions, ShardJudge};
use crate::error::Result;
use crate::limits::RECORD_BYTES_MAX;
use crate::schema::Contract;
use crate::types::{ReadBatch, Record};

/// What becomes of a letter.
#[derive(Debug)]
pub(super) enum Fate {
    /// All that it holds are rows: the letter goes.
    Rows,
    /// Nothing of it is a row, for the reason that it has.
    AsBefore,
    /// Nothing of it is a row, for this reason.
    Still(Reason, String),
    /// Some of it are rows. What is not are these letters.
    InPart(Vec<DeadLetter>),
}

/// Takes letters in once more, each by itself.
pub(super) struct Again {
    /// For letters of a stream: the record says where they came from.
    by_record: Decoder,
    /// For letters of files, which are those without an arrival time: the line may say it.
    by_row: Decoder,
    judge: ShardJudge,
    contract: Arc<Contract>,
}

impl Again {
    pub(super) fn try_new(contract: &Arc<Contract>, judge: JudgeOptions) -> Result<Self> {
        Ok(Self {
            by_record: Decoder::new(Arc::clone(contract), Provenance::Record),
            by_row: Decoder::new(Arc::clone(contract), Provenance::Row),
            judge: ShardJudge::try_new(contract, judge)?,
            contract: Arc::clone(contract),
        })
    }

    /// Whether data have a key by which an event is known: that of its id or of its type.
    fn names_an_event(&self, data: &[u8]) -> bool {
        let names = [self.contract.id_field(), self.contract.type_field()];
        let object = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(data);
        object.is_ok_and(|object| names.iter().any(|&name| object.contains_key(name)))
    }

    /// The rows of letter `i`, of which there may be none, and what becomes of it.
    pub(super) fn take(&mut self, letters: &Letters, i: usize) -> Result<(Option<RecordBatch>, Fate)> {
        let data = letters.data(i);
        if letters.reason(i) == Reason::TooLarge.code() && data.len() > RECORD_BYTES_MAX {
            // Of a file it has the beginning only: what that says is not what the line said.
            return Ok((None, Fate::AsBefore));
        }
        if is_entry(data) && !self.names_an_event(data) {
            // What was to be a record, not an event: the bytes of an event are not in it as they are.
            return Ok((None, Fate::AsBefore));
        }
        let record = Record {
            data: Bytes::copy_from_slice(data),
            sequence_number: letters.sequence(i).into(),
            arrival_time: letters.arrival(i),
        };
        let decoder = if record.arrival_time.is_some() { &mut self.by_record } else { &mut self.by_row };
        let read = ReadBatch {
            shard: letters.shard(i).into(),
            records: vec![record],
            millis_behind_latest: None,
            polled_at: None,
        };
        let Some(decoded) = decoder.decode_letter(&read, letters.sub(i))? else {
            // Cut out of a letter before, and to be cut once more: there are no numbers for that.
            return Ok((None, Fate::AsBefore));
        };
        let judged = self.judge.judge_apart(&decoded.events)?;
        let old = judged.too_old.iter().filter_map(|&row| {
            let row = row as usize;
            too_old(&decoded.events, row, decoded.bytes_of(&read, row))
        });
        let old: Vec<DeadLetter> = old.collect();
        let mut failed = decoded.dead_letters;
        failed.extend(old);
        let rows = judged.into_kept()?;
        Ok(match (rows.num_rows(), failed.is_empty()) {
            (0, _) => (None, still(letters, i, failed)),
            (_, true) => (Some(rows), Fate::Rows),
            (_, false) => (Some(rows), Fate::InPart(failed)),
        })
    }
}

/// A letter without a row keeps its bytes, in one piece.
fn still(letters: &Letters, i: usize, failed: Vec<DeadLetter>) -> Fate {
    let events = failed.len();
    // Nothing at all is in it: it is kept, since nobody knows what it was.
    let Some(first) = failed.into_iter().next() else { return Fate::AsBefore };
    let message = match events {
        1 => first.message,
        _ => format!("{}; none of its {events} events can be used", first.message),
    };
    if (first.reason.code(), message.as_str()) == (letters.reason(i), letters.message(i)) {
        return Fate::AsBefore;
    }
    Fate::Still(first.reason, message)
}
