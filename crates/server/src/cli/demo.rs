//! `reveille demo`.
use anyhow::Result;
use std::process::ExitCode;
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For machines
    #[arg(long)]
    json: bool,
    /// Leave it running and print the addresses
    #[arg(long)]
    keep: bool,
}
pub(super) async fn run(_args: Args) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
