//! `headcount kinesis`

use super::args::KinesisArgs;
use crate::error::Result;

/// Serves the embedded Kinesis until a signal comes.
#[cfg(feature = "embedded")]
pub fn run(args: &KinesisArgs) -> Result<()> {
    use super::out::say;
    use super::setup;
    use super::signals::Signals;
    use crate::source::embedded::{EmbeddedKinesis, EmbeddedOptions};

    setup::runtime_of(2)?.block_on(async {
        let mut signals = Signals::new()?;
        let server = EmbeddedKinesis::start(EmbeddedOptions {
            port: args.port,
            shards: args.shards.get(),
            stream_name: args.stream.clone(),
            retain: args.retain,
            retain_bytes: args.retain_mib.get() << 20,
        })
        .await?;
        say!("Kinesis at {}: stream {}, {} shards", server.endpoint_url(), args.stream, args.shards);
        say!("records are kept in memory for {}, and gone when it ends", humantime::format_duration(args.retain));
        signals.next().await;
        say!("{} records are gone", server.retained().records);
        server.shutdown().await;
        Ok(())
    })
}

/// This build cannot.
#[cfg(not(feature = "embedded"))]
pub fn run(_: &KinesisArgs) -> Result<()> {
    use crate::error::Error;

    Err(Error::user("this build has no embedded Kinesis").hint("build with the feature `embedded`"))
}
