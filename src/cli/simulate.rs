//! `headcount simulate`

use std::num::NonZeroU32;

use super::args::SimulateArgs;
use super::out::say;
use crate::error::Result;
use crate::source::simulator::{Disturbance, SimulatorConfig, write_files};
use crate::types::format_micros;

/// Writes the files and says what is in them.
pub fn run(args: &SimulateArgs) -> Result<()> {
    let config = SimulatorConfig {
        seed: args.seed,
        events_per_sec: args.events_per_sec.get(),
        channels: args.channels.map(NonZeroU32::get),
        disturbance: if args.undisturbed { Disturbance::none() } else { Disturbance::default() },
        ..SimulatorConfig::default()
    };
    let written = write_files(&config, args.events.get(), args.shards.get(), &args.out)?;
    for file in &written.files {
        say!("{}  {} events, {:.1} MB", file.path.display(), file.events, file.bytes as f64 / 1e6);
    }
    let span = written.span.map_or_else(String::new, |(from, to)| {
        format!(", arriving from {} to {}", format_micros(from), format_micros(to))
    });
    say!("{} events{span}", written.events);
    Ok(())
}
