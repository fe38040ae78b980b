//! `reveille backup` and `reveille restore`: a copy of the store while the server runs, and the way back.

use super::admin::Which;
use crate::lock;
use anyhow::{Result, bail};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    /// Where to write; nothing is overwritten
    file: PathBuf,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// A file that `reveille backup` wrote
    #[arg(required_unless_present = "finish", conflicts_with = "finish")]
    file: Option<PathBuf>,
    /// Finish a restore that was cut short
    #[arg(long)]
    finish: bool,
    #[command(flatten)]
    which: Which,
}

/// Copies the file itself, so that it works with and without a server.
pub(super) fn backup(Backup { file, which }: &Backup) -> Result<()> {
    let server = which.server()?;
    let copied = store::backup(&server.store_url()?, file)?;
    say!(
        "{} octets of schema {} are in {}; keep tokens.key and token-keys.json of server.data_dir, and your configuration, with it",
        copied.octets,
        copied.schema,
        file.display()
    );
    Ok(())
}

pub(super) fn restore(command: &Restore) -> Result<()> {
    let server = command.which.server()?;
    let url = server.store_url()?;
    // Nobody may have it open meanwhile.
    let _locks = lock::all(&server.config().server.data_dir, &url)?;
    let restored = match &command.file {
        Some(file) => store::restore(&url, file)?,
        None => match store::finish_restore(&url)? {
            Some(restored) => restored,
            None => bail!("no restore was cut short"),
        },
    };
    match restored.aside {
        Some(aside) => say!("restored; what was there before is {}", aside.display()),
        None => say!("restored; nothing was there before"),
    }
    Ok(())
}
