//! Checkpoints of a job that has open windows, people watching, and a shard that is drained.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use headcount::clock::{Clock, SystemClock};
use headcount::engine::board::Board;
use headcount::engine::checkpoint::{Checkpoint, Header, Summary};
use headcount::engine::job_state::JobState;
use headcount::engine::live::{self, Ending};
use headcount::engine::shard_task::ShardSource;
use headcount::engine::tables::{Target, open_tables};
use headcount::source::simulator::{Simulator, SimulatorConfig};
use headcount::types::{ReadBatch, Record, ShardId, ShardPosition};

use crate::fixture::{self, TempLake};
use crate::harness;
use crate::reference::Options;

/// A shard in memory, that ends after its records or is empty then.
struct Listed {
    shard: ShardId,
    reads: VecDeque<Vec<Record>>,
    position: ShardPosition,
    ends: bool,
}

impl ShardSource for Listed {
    fn shard(&self) -> ShardId {
        Arc::clone(&self.shard)
    }

    async fn next(&mut self) -> headcount::Result<Option<ReadBatch>> {
        let records = match self.reads.pop_front() {
            None if self.ends => return Ok(None),
            records => records.unwrap_or_default(),
        };
        if let Some(last) = records.last() {
            self.position = ShardPosition::After(Arc::clone(&last.sequence_number));
        }
        let behind = if self.reads.is_empty() { 0 } else { 1 };
        let shard = Arc::clone(&self.shard);
        Ok(Some(ReadBatch { shard, records, millis_behind_latest: Some(behind), polled_at: None }))
    }

    fn position(&self) -> Option<ShardPosition> {
        Some(self.position.clone())
    }
}

/// One of a job, one with positions alone, one of a job that has not begun.
pub fn checkpoints() -> Vec<Vec<u8>> {
    static OBJECTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    OBJECTS.get_or_init(|| tokio::runtime::Runtime::new().unwrap().block_on(made())).clone()
}

async fn made() -> Vec<Vec<u8>> {
    let pipelines = harness::pipelines(&harness::shipped(), &Options::default()).await;
    let config = SimulatorConfig { seed: 9, events_per_sec: 20, ..SimulatorConfig::default() };
    let record = |(e, n): (headcount::source::simulator::SimEvent, u64)| Record {
        data: e.data.into(),
        sequence_number: n.to_string().into(),
        arrival_time: Some(e.arrival_time),
    };
    let records: Vec<Record> = Simulator::new(config).unwrap().zip(1..).map(record).take(2_000).collect();
    let shard = |(n, records): (usize, &[Record])| Listed {
        shard: format!("shardId-{n:012}").into(),
        reads: records.chunks(100).map(<[Record]>::to_vec).collect(),
        position: ShardPosition::Oldest,
        ends: n == 0,
    };
    let shards = records.chunks(700).enumerate().map(shard).collect();
    let lake = TempLake::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let tables = open_tables(&pipelines, Target::Lake(&lake.lake), fixture::table_options(), "seeds", &clock);
    let (board, ending) = (Arc::new(Board::default()), Ending::default());
    ending.catch_up.cancel();
    let ended = live::run(Arc::clone(&pipelines), shards, None, tables, board, ending, clock).await.unwrap();
    assert!(ended.state.has_open_windows() && ended.state.shards.values().any(|s| s.drained));
    let mut kept = ended.state.clone();
    kept.keep_positions();
    let object = |state: JobState| {
        let summary = Summary { events_read: 2_000, watermark: Some(-1), ..Summary::default() };
        let header = Header::new(&pipelines, "user-events", 1_767_225_600_000_000, summary);
        Checkpoint { header, state, source: vec![1, 2, 3] }.to_bytes().unwrap()
    };
    vec![object(ended.state), object(kept), object(JobState::default())]
}
