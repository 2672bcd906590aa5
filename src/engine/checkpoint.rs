//! A checkpoint: the state of a job, and what it fits, as one object.
//!
//! ```text
//!  front: outline, header ([`front`](super::front))      body: the state    checksum
//!  as far as the first checksum                          zstd(postcard)     u128, XXH3 of the body
//! ```
//!
//! The front can be read by itself: `headcount checkpoint list` needs no state, and neither does a start that takes over. The formats of
//! header and state follow the structs; [`VERSION`] counts their changes. The outline every version can read.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::board::Status;
use super::changes::{SharedState, fingerprints};
use super::combine::CombineState;
use super::front::{Front, Outline, damaged, read_front};
use super::job_state::JobState;
use super::pipelines::Pipelines;
use crate::error::{Error, Result};
use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::pipeline::Fingerprint;
use crate::sink::lake::{CheckpointStore, StoredCheckpoint};
use crate::types::{Micros, ShardPosition};

/// Version of the format. Another one is refused: its state cannot be read.
pub const VERSION: u32 = 13;

const CHECKSUM_BYTES: usize = size_of::<u128>();
/// The state is mostly hashes and small numbers: higher levels cost time and win little.
const ZSTD_LEVEL: i32 = 1;

/// What a checkpoint is of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// What any version of the program can read of it.
    #[serde(skip)]
    pub outline: Outline,
    /// The stream whose positions it holds.
    pub stream: String,
    /// Hash of the roles that some of them play: by what events are judged.
    pub roles: u64,
    /// By table: what the state of its pipeline depends on.
    pub pipelines: BTreeMap<String, Fingerprint>,
    /// What the state depends on that all tables of `CONCURRENCY` share, if there are any.
    pub shared: Option<SharedState>,
    /// By lookup table: the version that was joined last, by its hash.
    pub lookups: BTreeMap<String, String>,
    /// The state has no windows: they were given up, or nothing was read yet.
    pub positions_only: bool,
    /// What a person wants to know of it.
    pub summary: Summary,
}

/// A checkpoint in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// By shard: the position, in words.
    pub positions: BTreeMap<String, String>,
    /// The watermark of the job.
    pub watermark: Option<Micros>,
    /// Events read since the job's first start: by all runs.
    pub events_read: u64,
    /// Windows that are open, as [`Status::open_windows`] counts them, of all pipelines.
    pub open_windows: u64,
    /// Sessions and streams remembered.
    pub sessions: u64,
    /// Streams remembered.
    pub streams: u64,
}

/// A state and what it fits.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// What it is of.
    pub header: Header,
    /// The job.
    pub state: JobState,
    /// What the source remembers besides positions: of the simulated platform, where it is. Empty for a stream of AWS.
    pub source: Vec<u8>,
}

impl Summary {
    /// That of a state, after all runs of the job read so many events; `status` is the job's last.
    pub fn of(state: &JobState, status: &Status, events_read: u64) -> Self {
        let words = |position: Option<&ShardPosition>| match position {
            None => "at its tip".to_owned(),
            Some(position @ ShardPosition::After(_)) => position.to_string(),
            Some(position) => format!("at {position}"),
        };
        let (sessions, streams) = state.combine.as_ref().map_or((0, 0), CombineState::remembered);
        Self {
            positions: state.shards.iter().map(|(s, at)| (s.to_string(), words(at.position.as_ref()))).collect(),
            watermark: status.combine.watermark,
            events_read,
            open_windows: status.open_windows().into_iter().map(|(_, windows, _)| windows as u64).sum(),
            sessions: sessions as u64,
            streams: streams as u64,
        }
    }
}

impl Header {
    /// The header of a checkpoint that is written now.
    pub fn new(pipelines: &Pipelines, stream: &str, written_at: Micros, summary: Summary) -> Self {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            outline: Outline { written_at, program, ..Outline::default() },
            stream: stream.to_owned(),
            roles: roles_hash(pipelines),
            pipelines: fingerprints(pipelines),
            shared: SharedState::of(pipelines),
            lookups: pipelines.lookups.versions(),
            positions_only: false,
            summary,
        }
    }

    /// That of a record which says that there is nothing to go on from.
    pub fn of_nothing(outline: Outline) -> Self {
        Self { outline: Outline { goes_on_from: Some(0), ..outline }, ..Self::default() }
    }

    /// Whether its positions, and what its events are judged by, fit this job. Whether the states of pipelines do is for
    /// [`fit`](super::changes::fit) to say.
    ///
    /// # Errors
    /// A user error that names what has changed since.
    pub fn check_positions(&self, pipelines: &Pipelines, stream: &str) -> Result<()> {
        let changed = if self.stream != stream {
            format!("it is of the stream {}, not of {stream}", self.stream)
        } else if self.roles != roles_hash(pipelines) {
            "id, time, type or sent is another field of the schema since".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::user(format!("the saved state does not fit: {changed}"))
            .hint("give the new job its own run.application or lake; or `headcount checkpoint reset` begins anew"))
    }
}

fn roles_hash(pipelines: &Pipelines) -> u64 {
    let contract = &pipelines.contract;
    let roles = (contract.id_field(), contract.time_field(), contract.type_field(), contract.sent_field());
    xxh3_64(format!("{roles:?}").as_bytes())
}

impl Checkpoint {
    /// The object's bytes.
    ///
    /// # Errors
    /// Internal if the state cannot be written; external if it is larger than [`CHECKPOINT_BYTES_MAX`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let broken = |e| Error::internal("a checkpoint cannot be written").because(e);
        // A record without a state of its own is of one that has windows or not.
        let of_other = self.header.outline.goes_on_from.is_some();
        let positions_only = if of_other { self.header.positions_only } else { self.state.combine.is_none() };
        let header = postcard::to_stdvec(&Header { positions_only, ..self.header.clone() }).map_err(broken)?;
        let state = postcard::to_stdvec(&(&self.state, &self.source)).map_err(broken)?;
        if state.len() as u64 > CHECKPOINT_BYTES_MAX {
            return Err(Error::external(format!(
                "the state has {} bytes, more than {CHECKPOINT_BYTES_MAX}",
                state.len()
            ))
            .hint("shorten time.dedupe_horizon_secs or the timeouts of [concurrency]"));
        }
        let mut bytes = Front::bytes(VERSION, &self.header.outline, &header)?;
        let body = zstd::bulk::compress(&state, ZSTD_LEVEL)?;
        bytes.extend(&body);
        bytes.extend(xxh3_128(&body).to_le_bytes());
        Ok(bytes)
    }

    /// Reads an object's bytes.
    ///
    /// # Errors
    /// External if it is damaged; user if it is of another version of the format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (header, rest) = open(bytes)?;
        let (body, checksum) = rest.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("its length"))?;
        if xxh3_128(body) != u128::from_le_bytes(*checksum) {
            return Err(damaged("its checksum"));
        }
        let mut state = Vec::new();
        let decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(|e| damaged("its body").because(e))?;
        decoder.take(CHECKPOINT_BYTES_MAX + 1).read_to_end(&mut state).map_err(|e| damaged("its body").because(e))?;
        if state.len() as u64 > CHECKPOINT_BYTES_MAX {
            return Err(damaged("its size"));
        }
        match postcard::take_from_bytes(&state) {
            Ok(((state, source), [])) => Ok(Self { header, state, source }),
            Ok((_, _more)) => Err(damaged("its state")),
            Err(e) => Err(damaged("its state").because(e)),
        }
    }
}

/// Reads the header of an object, of which the front is enough.
///
/// # Errors
/// As [`Checkpoint::from_bytes`].
pub fn read_header(bytes: &[u8]) -> Result<Header> {
    open(bytes).map(|(header, _)| header)
}

/// Reads the header of a checkpoint in the lake, and not the state, which may be large; none if it is not there any more.
///
/// # Errors
/// External or transient if the lake cannot be read; as [`read_header`], at the object's place.
pub async fn read_header_of(store: &CheckpointStore, stored: StoredCheckpoint) -> Result<Option<Header>> {
    let Some(front) = read_front(store, stored).await? else { return Ok(None) };
    read_header(&front).map(Some).map_err(|e| e.at(store.place(stored.number)))
}

/// The header, and what comes after the front.
fn open(bytes: &[u8]) -> Result<(Header, &[u8])> {
    let (front, rest) = Front::of(bytes)?;
    if front.version != VERSION {
        return Err(other_version(front.version));
    }
    let header: Header = postcard::from_bytes(front.header).map_err(|e| damaged("its header").because(e))?;
    Ok((Header { outline: front.outline, ..header }, rest))
}

/// Why a checkpoint is refused that another version of the program has written.
pub(super) fn other_version(version: u32) -> Error {
    Error::user(format!("the saved state has format {version}, this program reads {VERSION}"))
        .hint("run the version that wrote it, or give it up with `headcount checkpoint reset`")
}
