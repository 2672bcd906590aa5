//! From the words that were typed to an exit code.

use std::process::ExitCode;

use clap::Parser;

use super::args::{Cli, Command};
use super::out::complain;
use crate::error::Result;

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli.command) {
        Ok(code) => code,
        Err(e) => {
            complain!("error: {}", e.report());
            ExitCode::from(e.exit_code())
        }
    }
}

fn dispatch(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Run(args) => super::run::run(args)?,
        Command::Backfill(args) => super::backfill::run(args)?,
        Command::Simulate(args) => super::simulate::run(args)?,
        Command::Kinesis(args) => super::kinesis::run(args)?,
        Command::Checkpoint(args) => super::checkpoint::run(args)?,
        Command::DeadLetters(args) => super::dead_letters::run(args)?,
        Command::Query(args) => super::query::run(args)?,
        Command::Verify(args) => return super::verify::run(args).map(|wrong| ExitCode::from(u8::from(wrong > 0))),
        Command::Explain(args) => super::explain::run(args)?,
        Command::Check(args) => {
            return super::check::run(args).map(|problems| ExitCode::from(u8::from(problems > 0)));
        }
    }
    Ok(ExitCode::SUCCESS)
}
