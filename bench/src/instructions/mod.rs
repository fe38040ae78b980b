use anyhow::Result;
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Arguments {}
pub(crate) fn run(_: &Arguments) -> Result<()> {
    Ok(())
}
