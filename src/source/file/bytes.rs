//! A file's bytes as they were before compression, with a count of the stored ones.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::input::{InputFile, Place, Progress};
use super::remote::ObjectRead;
use crate::error::{Error, Result};

/// Bytes that a decompressor asks for at a time.
const READ_BYTES: usize = 256 * 1024;

/// An open file of JSON, decompressed: the content's first bytes tell how.
pub(super) struct FileBytes {
    reader: Box<dyn Read + Send>,
    /// Bytes that were looked at and not handed out yet.
    ahead: Vec<u8>,
    compressed: bool,
    name: String,
    /// Stored bytes read so far.
    stored: Arc<AtomicU64>,
    /// Bytes handed out so far.
    given: u64,
}

impl FileBytes {
    /// Opens a file. Only for threads that may block.
    pub(super) fn open(file: &InputFile, progress: Progress) -> Result<Self> {
        let unreadable = |e| Error::external("cannot open the file").at(&file.name).because(e);
        let inner: Box<dyn Read + Send> = match &file.place {
            Place::Local(path) => Box::new(File::open(path).map_err(unreadable)?),
            Place::Remote(store, path) => Box::new(ObjectRead::open(store.as_ref(), path).map_err(unreadable)?),
        };
        let stored = Arc::new(AtomicU64::new(0));
        let mut counted = Counted { inner, stored: stored.clone(), progress };
        let mut magic = Vec::new();
        counted.by_ref().take(4).read_to_end(&mut magic).map_err(unreadable)?;
        let all = Cursor::new(magic.clone()).chain(counted);

        let name = file.name.to_ascii_lowercase();
        let (reader, compressed): (Box<dyn Read + Send>, bool) = match magic.as_slice() {
            [0x1f, 0x8b, ..] => (Box::new(MultiGzDecoder::new(BufReader::with_capacity(READ_BYTES, all))), true),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                let buffered = BufReader::with_capacity(READ_BYTES, all);
                (Box::new(zstd::stream::read::Decoder::with_buffer(buffered).map_err(unreadable)?), true)
            }
            b"PAR1" => {
                return Err(Error::user("a Parquet file with another file's name")
                    .at(&file.name)
                    .hint("rename it to .parquet"));
            }
            [] if is_packed(&name) => {
                let error = Error::external("the file is empty: even one of no events has some bytes when compressed");
                return Err(error.at(&file.name).hint("fetch it again, or leave it out"));
            }
            _ if is_packed(&name) => {
                let error = Error::external("not compressed as its name says, or damaged").at(&file.name);
                return Err(error.hint("fetch it again, or rename it"));
            }
            _ => (Box::new(all), false),
        };
        Ok(Self { reader, ahead: Vec::new(), compressed, name: file.name.clone(), stored, given: 0 })
    }

    /// The file's name, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next `bytes` bytes, which stay to be read; fewer only at the end of the file.
    pub(super) fn look_ahead(&mut self, bytes: usize) -> Result<&[u8]> {
        let missing = bytes.saturating_sub(self.ahead.len());
        if let Err(e) = self.reader.by_ref().take(missing as u64).read_to_end(&mut self.ahead) {
            return Err(self.broken(e));
        }
        Ok(&self.ahead)
    }

    /// Reads up to `bytes` bytes to the end of `to`; fewer only at the end of the file.
    pub(super) fn read_block(&mut self, to: &mut Vec<u8>, bytes: usize) -> Result<usize> {
        to.reserve(bytes);
        let seen = self.ahead.len().min(bytes);
        to.extend(self.ahead.drain(..seen));
        if self.ahead.is_empty() {
            self.ahead = Vec::new();
        }
        match self.reader.by_ref().take((bytes - seen) as u64).read_to_end(to) {
            Ok(n) => {
                self.given += (seen + n) as u64;
                Ok(seen + n)
            }
            Err(e) => Err(self.broken(e)),
        }
    }

    fn broken(&self, e: io::Error) -> Error {
        let stored = self.stored.load(Ordering::Relaxed);
        match self.compressed {
            true => Error::external(format!("the compressed file is damaged or cut off, near byte {stored} of it"))
                .at(&self.name)
                .hint("fetch the file again, or leave it out"),
            false => Error::external(format!("the file cannot be read on from byte {}", self.given)).at(&self.name),
        }
        .because(e)
    }
}

/// Whether a name in lower case promises compressed content.
fn is_packed(name: &str) -> bool {
    [".gz", ".zst", ".zstd"].iter().any(|ending| name.ends_with(ending))
}

/// Counts what goes through.
struct Counted<R> {
    inner: R,
    stored: Arc<AtomicU64>,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(to)?;
        self.stored.fetch_add(n as u64, Ordering::Relaxed);
        self.progress.add(n as u64);
        Ok(n)
    }
}
