//! Standard output and standard error, for people and pipes.
//!
//! A reader that has gone, or a full disk behind a redirection, must not end a consumer: what cannot be written is left out. (`println!`
//! would panic.)

use std::fmt::Arguments;
use std::io::Write as _;

use crate::error::{Error, Result};

/// Prints to standard output as `print!` does; what cannot be written is left out.
pub(super) fn print(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}

/// Writes bytes as they are to standard output, and says whether there is still somebody who reads them. They are what was asked for, so a
/// disk that is full is a failure; a reader that has gone is none.
pub(super) fn write(bytes: &[u8]) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::external("the bytes cannot be written").at("standard output").because(e)),
    }
}

/// As [`print()`], to standard error.
pub(super) fn print_error(text: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// A line on standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::out::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// A line on standard error.
macro_rules! complain {
    ($($text:tt)*) => { $crate::cli::out::print_error(format_args!("{}\n", format_args!($($text)*))) };
}

pub(super) use {complain, say};
