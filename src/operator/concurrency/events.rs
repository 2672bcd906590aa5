//! A batch of events as marks see it.

use arrow::array::{Array, AsArray, StringArray, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;

use super::mark::{MarkColumns, MarkKind};
use crate::error::Result;

/// Where the columns are that marks are made of.
#[derive(Debug)]
pub(super) struct ColumnIndices {
    pub event_time: usize,
    pub high_time: usize,
    pub event_type: usize,
    pub event_id: usize,
    pub stream_id: usize,
    pub channel_id: usize,
    pub session_id: usize,
    pub previous_session_id: usize,
    pub viewer_id: usize,
    pub player_state: usize,
    pub dimensions: Vec<usize>,
}

/// The texts of a column, as bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Texts<'a> {
    fn of(column: &'a StringArray) -> Self {
        Self { offsets: column.value_offsets(), bytes: column.value_data(), nulls: column.nulls() }
    }

    #[inline]
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<&'a [u8]> {
        if self.is_null(row) {
            return None;
        }
        match self.offsets.get(row..row + 2) {
            Some(&[start, end]) => self.bytes.get(start as usize..end as usize),
            _ => None,
        }
    }
}

/// The columns of a batch.
pub(super) struct Events<'a> {
    pub times: &'a [i64],
    highs: &'a [i64],
    no_highs: Option<&'a NullBuffer>,
    event_type: Texts<'a>,
    pub stream_id: Texts<'a>,
    pub channel_id: Texts<'a>,
    pub session_id: Texts<'a>,
    pub previous_session_id: Texts<'a>,
    pub viewer_id: Texts<'a>,
    player_state: Texts<'a>,
    kept: MarkColumns,
}

impl<'a> Events<'a> {
    pub(super) fn new(events: &'a RecordBatch, c: &ColumnIndices) -> Self {
        let time = |i: usize| events.column(i).as_primitive::<TimestampMicrosecondType>();
        let string = |i: usize| events.column(i).as_string::<i32>();
        let texts = |i: usize| Texts::of(string(i));
        Self {
            times: time(c.event_time).values(),
            highs: time(c.high_time).values(),
            no_highs: time(c.high_time).nulls(),
            event_type: texts(c.event_type),
            stream_id: texts(c.stream_id),
            channel_id: texts(c.channel_id),
            session_id: texts(c.session_id),
            previous_session_id: texts(c.previous_session_id),
            viewer_id: texts(c.viewer_id),
            player_state: texts(c.player_state),
            kept: MarkColumns {
                event_id: string(c.event_id).clone(),
                stream_id: string(c.stream_id).clone(),
                channel_id: string(c.channel_id).clone(),
                dimensions: c.dimensions.iter().map(|&i| string(i).clone()).collect(),
            },
        }
    }

    /// The high time at which a row was judged.
    #[inline]
    pub(super) fn high(&self, row: usize) -> Option<i64> {
        let known = self.no_highs.is_none_or(|nulls| nulls.is_valid(row));
        self.highs.get(row).copied().filter(|_| known)
    }

    /// What an event says.
    #[inline]
    pub(super) fn kind(&self, row: usize) -> MarkKind {
        let has_session = || !self.session_id.is_null(row);
        match self.event_type.get(row).unwrap_or_default() {
            b"view.heartbeat" if has_session() => match self.player_state.get(row) {
                Some(b"paused" | b"ended") => MarkKind::Seen,
                _ => MarkKind::Touch,
            },
            b"stream.ended" => MarkKind::StreamEnded,
            b"stream.started" => MarkKind::StreamStarted,
            b"view.resumed" if has_session() => MarkKind::Touch,
            b"view.started" if has_session() => MarkKind::Started,
            b"view.paused" if has_session() => MarkKind::Paused,
            b"view.ended" if has_session() => MarkKind::Ended,
            _ => MarkKind::Event,
        }
    }

    /// The strings that marks need.
    pub(super) fn strings(&self) -> MarkColumns {
        self.kept.clone()
    }

    /// As [`Self::strings`], of some rows.
    pub(super) fn take_strings(&self, rows: &[u32]) -> Result<MarkColumns> {
        let indices = UInt32Array::from(rows.to_vec());
        let pick = |column: &StringArray| -> Result<StringArray> {
            Ok(take(column, &indices, None)?.as_string::<i32>().clone())
        };
        Ok(MarkColumns {
            event_id: pick(&self.kept.event_id)?,
            stream_id: pick(&self.kept.stream_id)?,
            channel_id: pick(&self.kept.channel_id)?,
            dimensions: self.kept.dimensions.iter().map(pick).collect::<Result<_>>()?,
        })
    }
}
