//! Which files of raw events windows of a range are computed again from.

use std::collections::BTreeSet;

use super::compare::quoted;
use super::snapshot::Snapshot;
use crate::backfill::Range;
use crate::engine::Pipelines;
use crate::error::Result;
use crate::query::Statement;
use crate::schema::SHARD_HIGH_TIME;
use crate::sink::lake::LakeFile;
use crate::types::{MICROS_PER_HOUR, Micros, format_micros};

impl Snapshot {
    /// The files that may matter to windows of the range. All before its end do, as a stream may be active for days; and after it those up to
    /// the next event that is not late, which ends what nobody knew to be over.
    ///
    /// # Errors
    /// As [`LakeQuery::run`](crate::query::LakeQuery::run).
    pub async fn raw_files(&self, pipelines: &Pipelines, range: Range) -> Result<Vec<LakeFile>> {
        // A session that begins in it may go on for ever.
        let sessions = pipelines.plans.iter().any(|plan| plan.windowing().session);
        let Some(to) = range.to.filter(|_| !sessions) else { return Ok(self.raw.clone()) };
        // Windows of the range may end after it.
        let longest = pipelines.plans.iter().map(|plan| plan.windowing().size).max().unwrap_or(0);
        let mut end = to.saturating_add(longest);
        let later: BTreeSet<Micros> = self.raw.iter().map(|file| file.hour).filter(|hour| *hour >= end).collect();
        for hour in later {
            end = hour.saturating_add(MICROS_PER_HOUR);
            if self.has_timely_event(pipelines, hour).await? {
                break;
            }
        }
        Ok(self.raw.iter().filter(|file| file.hour < end).cloned().collect())
    }

    /// Whether an event of the hour came in time for whatever holds it.
    async fn has_timely_event(&self, pipelines: &Pipelines, hour: Micros) -> Result<bool> {
        let (table, time) = (quoted(pipelines.contract.stream_name()), quoted(pipelines.contract.time_field()));
        let at = |t: Micros| format!("TIMESTAMP '{}'", format_micros(t));
        let delays = pipelines.plans.iter().map(|plan| pipelines.watermark_delay(plan));
        let delay = delays.chain([pipelines.options.watermark_delay]).min().unwrap_or(0);
        let statement = Statement::parse(&format!(
            "SELECT 1 FROM {table} WHERE {time} >= {} AND {time} < {} \
             AND ({SHARD_HIGH_TIME} IS NULL OR {time} >= {SHARD_HIGH_TIME} - INTERVAL '{delay} MICROSECOND') LIMIT 1",
            at(hour),
            at(hour.saturating_add(MICROS_PER_HOUR))
        ))?;
        let mut rows = self.tables.run(&statement).await?;
        while let Some(batch) = rows.next().await? {
            if batch.num_rows() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
