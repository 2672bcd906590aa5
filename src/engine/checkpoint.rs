//! A checkpoint: the state of a job, and what it fits, as one object.
//!
//! ```text
//!  magic  version  header length  header            body: the state    checksum
//!  HCCK   u32      u32            postcard          zstd(postcard)     u128, XXH3 of all before it
//! ```
//!
//! The header can be read by itself: `headcount checkpoint list` needs no state. Integers are little endian. The format of the
//! state follows the structs; [`VERSION`] counts its changes.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::board::Status;
use super::changes::{SharedState, fingerprints};
use super::combine::CombineState;
use super::job_state::JobState;
use super::pipelines::Pipelines;
use crate::error::{Error, Result};
use crate::limits::{CHECKPOINT_BYTES_MAX, CHECKPOINT_HEADER_BYTES};
use crate::pipeline::Fingerprint;
use crate::sink::lake::{CheckpointStore, Move};
use crate::types::{Micros, ShardPosition};

/// Version of the format. Another one is refused: its state cannot be read.
pub const VERSION: u32 = 11;

const MAGIC: &[u8; 4] = b"HCCK";
/// Where the header begins: after the magic bytes, the version and the length.
const HEADER_AT: usize = MAGIC.len() + 2 * size_of::<u32>();
const CHECKSUM_BYTES: usize = size_of::<u128>();
/// The state is mostly hashes and small numbers: higher levels cost time and win little.
const ZSTD_LEVEL: i32 = 1;

/// What a checkpoint is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// When it was written.
    pub written_at: Micros,
    /// By which version of the program.
    pub program: String,
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
    /// How often a process took the application over from another, or from nobody. Who has the highest writes.
    pub generation: u64,
    /// Which run wrote it: the start of the names of its files.
    pub run: String,
    /// Files that it makes part of their tables. They need not all be at their places yet.
    pub files: Vec<Move>,
    /// It has no state of its own: its run took over, and goes on from the state of this number; 0 if there was none.
    pub goes_on_from: Option<u64>,
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
        Self {
            written_at,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            stream: stream.to_owned(),
            roles: roles_hash(pipelines),
            pipelines: fingerprints(pipelines),
            shared: SharedState::of(pipelines),
            lookups: pipelines.lookups.versions(),
            generation: 0,
            run: String::new(),
            files: Vec::new(),
            goes_on_from: None,
            summary,
        }
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
        let header = postcard::to_stdvec(&self.header).map_err(broken)?;
        let state = postcard::to_stdvec(&(&self.state, &self.source)).map_err(broken)?;
        if state.len() as u64 > CHECKPOINT_BYTES_MAX {
            return Err(Error::external(format!(
                "the state has {} bytes, more than {CHECKPOINT_BYTES_MAX}",
                state.len()
            ))
            .hint("shorten time.dedupe_horizon_secs or the timeouts of [concurrency]"));
        }
        let length = u32::try_from(header.len()).map_err(|e| Error::internal("a header too long").because(e))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(header);
        bytes.extend(zstd::bulk::compress(&state, ZSTD_LEVEL)?);
        let checksum = xxh3_128(&bytes);
        bytes.extend(checksum.to_le_bytes());
        Ok(bytes)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// External if it is damaged or too large; user if it is of another version of the format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (header, body) = open(bytes)?;
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

/// Reads an object's header.
///
/// # Errors
/// As [`Checkpoint::from_bytes`].
pub fn read_header(bytes: &[u8]) -> Result<Header> {
    open(bytes).map(|(header, _)| header)
}

/// Reads the header of an application's checkpoint, and not the state, which may be large and is not checked.
///
/// # Errors
/// As [`read_header`]; external or transient if the lake cannot be read. None if there is no such checkpoint.
pub async fn read_header_of(store: &CheckpointStore, number: u64) -> Result<Option<Header>> {
    let Some(mut start) = store.read_start(number, CHECKPOINT_HEADER_BYTES).await? else { return Ok(None) };
    let length = past_version(&start)?.first_chunk().ok_or_else(|| damaged("its length"))?;
    let end = HEADER_AT.saturating_add(u32::from_le_bytes(*length) as usize);
    if end > start.len() {
        let Some(whole) = store.read_start(number, end as u64).await? else { return Ok(None) };
        start = whole;
    }
    let header = start.get(HEADER_AT..end).ok_or_else(|| damaged("its header"))?;
    postcard::from_bytes(header).map(Some).map_err(|e| damaged("its header").because(e))
}

/// What follows the version, which must be ours.
fn past_version(bytes: &[u8]) -> Result<&[u8]> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("its first bytes"))?;
    let (version, rest) = rest.split_first_chunk().ok_or_else(|| damaged("its length"))?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(Error::user(format!("the saved state has format {version}, this program reads {VERSION}"))
            .hint("run the version that wrote it, or give it up with `headcount checkpoint reset`"));
    }
    Ok(rest)
}

/// The header, and the compressed body.
fn open(bytes: &[u8]) -> Result<(Header, &[u8])> {
    let rest = past_version(bytes)?;
    let (checked, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("its length"))?;
    if xxh3_128(checked) != u128::from_le_bytes(*checksum) {
        return Err(damaged("its checksum"));
    }
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| damaged("its length"))?;
    let length = u32::from_le_bytes(*length) as usize;
    let body_end = rest.len().checked_sub(CHECKSUM_BYTES).filter(|end| length <= *end);
    let body_end = body_end.ok_or_else(|| damaged("its length"))?;
    let (header, body) = rest[..body_end].split_at(length);
    Ok((postcard::from_bytes(header).map_err(|e| damaged("its header").because(e))?, body))
}

fn damaged(what: &str) -> Error {
    Error::external(format!("the saved state is damaged: what should be {what} is not")).hint(
        "restore the object from a copy if there is one; `headcount checkpoint reset` begins anew, from source.start",
    )
}
