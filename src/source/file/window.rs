//! A file's bytes as a window that moves forward: values are cut out of it one by one, and memory holds a block and a value.

use super::bytes::FileBytes;
use super::cut::{Column, Cut, Step, Within, is_whitespace};
use crate::error::Result;
use crate::limits::FILE_BLOCK_BYTES;

/// The place in a file up to which it was taken apart.
pub(super) struct Window {
    source: FileBytes,
    pub(super) block_bytes: usize,
    buffer: Vec<u8>,
    /// Where in the buffer the next byte is.
    at: usize,
    /// Bytes that are in the buffer no more.
    passed: u64,
    column: Column,
    ended: bool,
}

/// A value that was cut out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its bytes, as many as were to be kept and one more.
    pub(super) bytes: Vec<u8>,
    /// How it ended.
    pub(super) end: End,
}

/// How a value ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is whole.
    Whole,
    /// The file ended first.
    File,
    /// A string goes over its line.
    Broken,
}

impl Window {
    /// At the beginning of a file; a byte order mark is passed over.
    pub(super) fn new(mut source: FileBytes) -> Result<Self> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        let marked = source.look_ahead(MARK.len())?.starts_with(MARK);
        let (mut buffer, mut passed) = (Vec::new(), 0);
        if marked {
            passed = source.read_block(&mut buffer, MARK.len())? as u64;
            buffer.clear();
        }
        Ok(Self { source, block_bytes: FILE_BLOCK_BYTES, buffer, at: 0, passed, column: Column::START, ended: false })
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        self.source.name()
    }

    /// The number of bytes before the next one.
    pub(super) fn place(&self) -> u64 {
        self.passed + self.at as u64
    }

    /// Where on its line the next byte is.
    pub(super) fn column(&self) -> Column {
        self.column
    }

    /// The next byte that is no white space, which stays; none at the end of the file.
    pub(super) fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            while let Some(&byte) = self.buffer.get(self.at) {
                if !is_whitespace(byte) {
                    return Ok(Some(byte));
                }
                self.column.pass(byte);
                self.at += 1;
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Passes over the byte that was peeked at.
    pub(super) fn skip(&mut self) {
        if let Some(&byte) = self.buffer.get(self.at) {
            self.column.pass(byte);
            self.at += 1;
        }
    }

    /// Cuts out the value that begins with the byte that was peeked at, and keeps up to `keep` bytes of it and one more.
    pub(super) fn value(&mut self, within: Within, keep: usize) -> Result<Piece> {
        let mut cut = Cut::new(within);
        let mut bytes = Vec::new();
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let step = cut.feed(rest, &mut self.column);
            let used = match step {
                Step::Open => rest.len(),
                Step::Ended(n) | Step::Broken(n) => n,
            };
            let kept = used.min((keep + 1).saturating_sub(bytes.len()));
            bytes.extend_from_slice(rest.get(..kept).unwrap_or_default());
            self.at += used;
            match step {
                Step::Ended(_) => return Ok(Piece { bytes, end: End::Whole }),
                Step::Broken(_) => return Ok(Piece { bytes, end: End::Broken }),
                Step::Open if !self.fill()? => return Ok(Piece { bytes, end: End::File }),
                Step::Open => {}
            }
        }
    }

    /// Reads another block; false at the end of the file.
    fn fill(&mut self) -> Result<bool> {
        self.passed += self.at as u64;
        self.buffer.drain(..self.at);
        self.at = 0;
        if self.ended {
            return Ok(false);
        }
        let n = self.source.read_block(&mut self.buffer, self.block_bytes)?;
        self.ended = n < self.block_bytes;
        Ok(n > 0)
    }
}
