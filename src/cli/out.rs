//! Standard output and standard error, for people and pipes.
//!
//! A reader that has gone, or a full disk behind a redirection, must not end a consumer: what cannot be written is left out. (`println!`
//! would panic.)

use std::fmt::Arguments;
use std::io::Write as _;

/// Prints to standard output as `print!` does; what cannot be written is left out.
pub(super) fn print(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
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
