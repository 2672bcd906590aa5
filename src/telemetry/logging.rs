//! The program's own log: `tracing` events on standard error, as text for people or JSON for machines.
//!
//! Standard output is left to what a command was asked for. The configured level holds for Headcount itself; libraries speak only
//! when something is wrong. The variable `RUST_LOG` replaces both, as in `RUST_LOG=headcount=debug,aws_smithy_runtime=info`.

use std::io::{IsTerminal, stderr};

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat, LogLevel};
use crate::error::{Error, Result};

/// Starts the log of the process, as configured. `directives` is the text of `RUST_LOG`, if it is set.
///
/// # Errors
/// A user error if `directives` cannot be read; an internal one if a log was started before.
pub fn start_logging(log: &Log, directives: Option<&str>) -> Result<()> {
    let subscriber = subscriber(log, directives, stderr().is_terminal(), stderr)?;
    tracing::dispatcher::set_global_default(subscriber)
        .map_err(|e| Error::internal("the log was started twice").because(e))
}

fn subscriber<W>(log: &Log, directives: Option<&str>, colour: bool, writer: W) -> Result<Dispatch>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = match directives.filter(|text| !text.trim().is_empty()) {
        None => EnvFilter::new(default_directives(log.level)),
        Some(text) => EnvFilter::try_new(text).map_err(|e| {
            Error::user(format!("cannot read the log filter `{text}`"))
                .at("environment variable RUST_LOG")
                .hint("write it as in RUST_LOG=info or RUST_LOG=headcount=debug")
                .because(e)
        })?,
    };
    // Where standard error cannot be written to, there is nowhere to say so.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    Ok(match log.format {
        LogFormat::Text => builder.with_ansi(colour).with_target(false).into(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).into(),
    })
}

/// Libraries are held to warnings, or to errors if that is all that is wanted of us.
fn default_directives(level: LogLevel) -> String {
    let others = if level == LogLevel::Error { "error" } else { "warn" };
    format!("{others},headcount={}", level.as_str())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a log with these settings writes of two lines of ours and one of a library's.
    fn written(format: LogFormat, level: LogLevel, directives: Option<&str>) -> String {
        let page = Page::default();
        let writer = page.clone();
        let dispatch = subscriber(&Log { format, level }, directives, false, move || writer.clone()).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::info!(shard = "shard-1", "opened");
            tracing::debug!("details");
            tracing::info!(target: "some_library", "chatter");
        });
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_shows_our_level_and_keeps_libraries_quiet() {
        let text = written(LogFormat::Text, LogLevel::Info, None);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("INFO opened shard=\"shard-1\""), "{text}");
        assert_eq!(written(LogFormat::Text, LogLevel::Warn, None), "");
        assert_eq!(written(LogFormat::Text, LogLevel::Debug, None).lines().count(), 2);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = written(LogFormat::Json, LogLevel::Info, None);
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "opened");
        assert_eq!(line["shard"], "shard-1");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn directives_replace_the_level() {
        assert!(written(LogFormat::Text, LogLevel::Error, Some("some_library=info")).contains("chatter"));
        let log = Log { format: LogFormat::Text, level: LogLevel::Info };
        let error = subscriber(&log, Some("headcount=loud=3"), false, io::sink).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(error.place(), Some("environment variable RUST_LOG"));
    }
}
