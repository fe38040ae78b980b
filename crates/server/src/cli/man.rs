//! `reveille man`: the manual's pages, made from the same tables as the commands are.

use anyhow::{Context, Result};
use clap::CommandFactory;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write a page for each command; else reveille(1) is printed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(Args { out }: &Args) -> Result<()> {
    let command = super::Cli::command();
    let Some(folder) = out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command.disable_help_subcommand(true)).render(&mut page)?;
        crate::output::this(&String::from_utf8_lossy(&page));
        return Ok(());
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .with_context(|| {
            format!(
                "the pages cannot be written to {}: name a directory that you may write",
                folder.display()
            )
        })
}
