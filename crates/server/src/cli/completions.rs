//! `reveille completions`: what a shell needs to complete our commands, made from the same tables as they are.

use clap::CommandFactory;
use clap_complete::Shell;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For which shell
    shell: Shell,
}

pub(super) fn run(&Args { shell }: &Args) {
    let mut command = super::Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "reveille", &mut script);
    crate::output::this(&String::from_utf8_lossy(&script));
}
