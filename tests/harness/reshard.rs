//! A job that is stopped where one of its shards was closed, and goes on with the children of that shard.

use std::collections::BTreeMap;
use std::sync::Arc;

use headcount::decode::Provenance;
use headcount::engine::{Combine, Pipelines, ShardMessage, ShardStage};
use headcount::operator::window::Lateness;
use headcount::types::{ReadBatch, Record};

use super::{Run, Task, emit, end, through_bytes};
use crate::reference::RefRecord;

/// A shard that is closed, and what goes on with it.
#[derive(Debug, Clone)]
pub struct Reshard {
    pub parent: String,
    /// Reads of the parent before its end, of which each has so many records.
    pub reads: usize,
    pub records_a_read: usize,
    pub children: [String; 2],
}

impl Reshard {
    /// The same records, those of the parent behind its end dealt out to its children.
    pub fn records(&self, records: &[RefRecord]) -> Vec<RefRecord> {
        let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
        let mut of_parent = 0;
        let mut out = Vec::new();
        for record in records {
            let mut record = record.clone();
            if record.shard == self.parent {
                of_parent += 1;
                if of_parent > self.reads * self.records_a_read {
                    record.shard.clone_from(&self.children[record.bytes.len() % 2]);
                }
            }
            let sequence = sequences.entry(record.shard.clone()).or_default();
            *sequence += 1;
            record.sequence = *sequence;
            out.push(record);
        }
        out.sort_by(|a, b| (&a.shard, a.sequence).cmp(&(&b.shard, b.sequence)));
        out
    }
}

/// Runs `records`, which the reshard has dealt out. Shards that are not its parent go on where they were; all that is open of it is handed
/// over. Besides, the high time at which its children began; none if nothing was decided by then.
pub async fn run_resharded(pipelines: &Arc<Pipelines>, records: &[RefRecord], reshard: &Reshard) -> (Run, Option<i64>) {
    let mut run = Run::of(pipelines);
    let mut combine = Combine::try_new(Arc::clone(pipelines)).unwrap();
    let is_child = |(task, _): &(Task, _)| reshard.children.iter().any(|child| **child == *task.shard);
    let (children, mut tasks): (Vec<_>, Vec<_>) = shards(pipelines, records).into_iter().partition(is_child);
    tasks.iter().for_each(|(task, _)| combine.join(Arc::clone(&task.shard)));
    for _ in 0..reshard.reads {
        for (task, left) in &mut tasks {
            read(pipelines, task, left, reshard.records_a_read, &mut combine, &mut run).await;
        }
    }

    if let Some(place) = tasks.iter().position(|(task, _)| *task.shard == *reshard.parent) {
        let (mut task, left) = tasks.remove(place);
        assert!(left.is_empty(), "the parent was read to its end");
        let partials = task.stage.close(i64::MAX).unwrap();
        let watermark = task.watermark(pipelines);
        let message = ShardMessage { shard: Arc::clone(&task.shard), seen: vec![], partials, watermark };
        emit(pipelines, combine.handle(message).await.unwrap(), &mut run);
        emit(pipelines, combine.leave(&task.shard).await.unwrap(), &mut run);
        task.count(pipelines, &mut run);
    }
    for (task, _) in &mut tasks {
        task.count(pipelines, &mut run);
        let state = through_bytes(&(task.intake.state(), task.stage.suspend().unwrap()));
        *task = Task::new(pipelines, Provenance::Record, Arc::clone(&task.shard));
        task.intake.restore(state.0);
        task.stage = ShardStage::resume(Arc::clone(pipelines), state.1).unwrap();
    }
    let state = through_bytes(&combine.suspend().unwrap());
    let decided = state.high_time();
    combine = Combine::resume(Arc::clone(pipelines), state).unwrap();
    for (mut child, left) in children {
        if let Some(decided) = decided {
            child.intake.begin_at(decided);
        }
        combine.join(Arc::clone(&child.shard));
        tasks.push((child, left));
    }
    while tasks.iter().any(|(_, left)| !left.is_empty()) {
        for (task, left) in &mut tasks {
            read(pipelines, task, left, reshard.records_a_read, &mut combine, &mut run).await;
        }
    }
    (end(pipelines, tasks.into_iter().map(|(task, _)| task).collect(), combine, run).await, decided)
}

/// Each shard's part of the job, and what is to be read of it.
fn shards(pipelines: &Arc<Pipelines>, records: &[RefRecord]) -> Vec<(Task, Vec<Record>)> {
    let mut shards: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
    for r in records {
        let record = Record {
            data: r.bytes.clone().into(),
            sequence_number: r.sequence.to_string().into(),
            arrival_time: r.arrival,
        };
        shards.entry(&r.shard).or_default().push(record);
    }
    let task = |(name, records): (&str, _)| (Task::new(pipelines, Provenance::Record, name.into()), records);
    shards.into_iter().map(task).collect()
}

async fn read(
    pipelines: &Arc<Pipelines>,
    task: &mut Task,
    left: &mut Vec<Record>,
    records: usize,
    combine: &mut Combine,
    run: &mut Run,
) {
    let rest = left.split_off(records.min(left.len()));
    let records = std::mem::replace(left, rest);
    if records.is_empty() {
        return;
    }
    let shard = Arc::clone(&task.shard);
    let taken = task.intake.take(&ReadBatch { shard, records, millis_behind_latest: None, polled_at: None }).unwrap();
    let seen = task.process(pipelines, taken, run).await;
    let watermark = task.watermark(pipelines);
    let partials = watermark.map(|w| task.stage.close(w).unwrap()).unwrap_or_default();
    let message = ShardMessage { shard: Arc::clone(&task.shard), seen, partials, watermark };
    emit(pipelines, combine.handle(message).await.unwrap(), run);
}

impl Task {
    /// None while nothing is known, and where nothing is late.
    pub(super) fn watermark(&self, pipelines: &Pipelines) -> Option<i64> {
        let high = self.intake.high_time().filter(|_| pipelines.options.lateness == Lateness::Judge);
        high.map(|high| high - pipelines.options.watermark_delay)
    }
}
