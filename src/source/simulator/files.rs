//! Writes simulated events as files, one to a shard, as a backfill reads them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::post::{RecordForm, SimEvent};
use super::shards::shard_index;
use super::text::ClockFace;
use super::{Simulator, SimulatorConfig};
use crate::error::{Error, Result};
use crate::limits;
use crate::types::Micros;

/// One shard's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardFile {
    /// Where it is: `<out>/shardId-000000000000.ndjson`.
    pub path: PathBuf,
    /// Its lines, one event each.
    pub events: u64,
    /// Its size.
    pub bytes: u64,
}

/// What [`write_files`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFiles {
    /// The files, in the order of their shards.
    pub files: Vec<ShardFile>,
    /// All events, as asked for.
    pub events: u64,
    /// Arrival of the first and of the last event, in UTC microseconds; `None` when no event was asked for.
    pub span: Option<(Micros, Micros)>,
}

/// Writes exactly `events` simulated events into `out`, one NDJSON file a shard, `shardId-000000000000.ndjson` and so on.
///
/// Lines are in arrival order. Each is an event's JSON with one more field, `ingest_time`: its arrival, RFC 3339 with milliseconds.
/// Events that shared a record get a line each. A malformed event is a line as it is, without `ingest_time`.
/// `out` is created if need be; shard files of an earlier run are replaced, or removed when there are fewer shards now.
///
/// # Errors
/// A user's error when the configuration or the number of shards is impossible, or when `out` cannot be created or written, is not a
/// folder, or holds other files. An external error when writing fails half-way, as on a full disk.
pub fn write_files(config: &SimulatorConfig, events: u64, shards: u32, out: &Path) -> Result<WrittenFiles> {
    if shards == 0 || shards > limits::SIMULATE_SHARDS_MAX {
        return Err(Error::user(format!("cannot write {shards} shards"))
            .hint(format!("choose between 1 and {}", limits::SIMULATE_SHARDS_MAX)));
    }
    let simulator = Simulator::new(config.clone())?;
    let stale = prepare_folder(out)?;
    let mut writers = (0..shards).map(|shard| ShardWriter::create(out, shard)).collect::<Result<Vec<_>>>()?;
    for path in stale {
        if !writers.iter().any(|w| w.path == path) {
            fs::remove_file(&path).map_err(|e| not_writable(&path, e))?;
        }
    }

    let mut written = 0;
    let mut span = None;
    let mut face = ClockFace::new();
    for record in simulator {
        if written == events {
            break;
        }
        let shard = shard_index(&record.partition_key, shards) as usize;
        let Some(writer) = writers.get_mut(shard) else { continue };
        written += writer.write(&record, events - written, &mut face)?;
        span = Some((span.map_or(record.arrival_time, |(first, _)| first), record.arrival_time));
    }
    let files = writers.into_iter().map(ShardWriter::finish).collect::<Result<Vec<_>>>()?;
    Ok(WrittenFiles { files, events: written, span })
}

/// Creates the folder, or makes sure that it holds nothing but shard files; returns those.
fn prepare_folder(out: &Path) -> Result<Vec<PathBuf>> {
    let place = out.display().to_string();
    fs::create_dir_all(out).map_err(|e| {
        Error::user("cannot create the output folder")
            .at(&place)
            .hint("choose a folder that you may write to")
            .because(e)
    })?;
    let mut shard_files = Vec::new();
    let unreadable = |e| Error::user("cannot list the output folder").at(&place).because(e);
    for entry in fs::read_dir(out).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        if !is_shard_file(&name.to_string_lossy()) {
            return Err(Error::user(format!(
                "the output folder holds other files, such as {}",
                name.to_string_lossy()
            ))
            .at(&place)
            .hint("choose an empty folder, so that nothing of yours is overwritten or taken for input"));
        }
        shard_files.push(entry.path());
    }
    Ok(shard_files)
}

fn is_shard_file(name: &str) -> bool {
    name.strip_prefix("shardId-")
        .and_then(|rest| rest.strip_suffix(".ndjson"))
        .is_some_and(|digits| digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn not_writable(path: &Path, e: std::io::Error) -> Error {
    Error::user("cannot write the output")
        .at(path.display().to_string())
        .hint("choose a folder that you may write to")
        .because(e)
}

/// Writes one shard's lines.
struct ShardWriter {
    path: PathBuf,
    out: BufWriter<File>,
    events: u64,
    bytes: u64,
}

impl ShardWriter {
    fn create(folder: &Path, shard: u32) -> Result<Self> {
        let path = folder.join(format!("shardId-{shard:012}.ndjson"));
        let file = File::create(&path).map_err(|e| not_writable(&path, e))?;
        Ok(Self { path, out: BufWriter::with_capacity(256 * 1024, file), events: 0, bytes: 0 })
    }

    /// Writes at most `limit` events of a record; how many they were.
    fn write(&mut self, record: &SimEvent, limit: u64, face: &mut ClockFace) -> Result<u64> {
        let before = self.events;
        let room = |writer: &Self| writer.events - before < limit;
        match record.form {
            RecordForm::Malformed => self.line(&record.data, None, face)?,
            RecordForm::Object => self.line(&record.data, Some(record.arrival_time), face)?,
            RecordForm::Lines => {
                for event in record.data.split(|&b| b == b'\n') {
                    if room(self) {
                        self.line(event, Some(record.arrival_time), face)?;
                    }
                }
            }
            RecordForm::Array => {
                let events: Vec<&RawValue> = serde_json::from_slice(&record.data)
                    .map_err(|e| Error::internal("a simulated array is not JSON").because(e))?;
                for event in events {
                    if room(self) {
                        self.line(event.get().as_bytes(), Some(record.arrival_time), face)?;
                    }
                }
            }
        }
        Ok(self.events - before)
    }

    fn line(&mut self, event: &[u8], ingest_time: Option<Micros>, face: &mut ClockFace) -> Result<()> {
        let mut line = event.to_vec();
        if let (Some(at), Some(b'}')) = (ingest_time, line.last()) {
            line.pop();
            line.extend_from_slice(b",\"ingest_time\":\"");
            face.push(&mut line, at);
            line.extend_from_slice(b"\"}");
        }
        line.push(b'\n');
        self.out.write_all(&line).map_err(|e| self.failed(e))?;
        self.events += 1;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn failed(&self, e: std::io::Error) -> Error {
        Error::external("writing failed")
            .at(self.path.display().to_string())
            .hint("check the free space on the disk")
            .because(e)
    }

    fn finish(mut self) -> Result<ShardFile> {
        if let Err(e) = self.out.flush() {
            return Err(self.failed(e));
        }
        Ok(ShardFile { path: self.path, events: self.events, bytes: self.bytes })
    }
}
