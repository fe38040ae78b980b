//! `reveille catalogue`: every alarm, metric and log event, as docs/operations/catalogue.md has them.

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For machines
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// As docs/operations/catalogue.md; so it is without --json
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(args: &Args) {
    if args.json {
        say!("{:#}", crate::catalogue::json());
    } else {
        crate::output::this(&crate::catalogue::markdown());
    }
}
