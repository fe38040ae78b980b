//! The command line: one file a command. Exit status 0 done, 1 failed, 2 wrong usage.

mod admin;
mod check;
mod demo;
mod device;
mod init;
mod lab;
mod options;
mod output;
mod serve;
mod trace;
mod user;

use crate::config;
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Makes calls and chat messages reach phones whose app is asleep.
#[derive(Debug, Parser)]
#[command(name = "reveille", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play every row of the behaviour table with simulated phones and clouds
    Demo(demo::Args),
    /// Run the server
    Serve(serve::Args),
    /// Write a configuration, certificates and an account; say what to do next
    Init(init::Args),
    /// Check a configuration and what it names
    Check(check::Args),
    /// Accounts: add, list, passwd, forward, remove
    #[command(subcommand)]
    User(user::Command),
    /// Devices: list, history, forget
    #[command(subcommand)]
    Device(device::Command),
    /// Tell the story of one call or message
    Trace(trace::Args),
    /// Run the simulated push clouds, or a simulated phone
    Lab(lab::Args),
    /// Configuration: print a commented example
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every key with its meaning and default
    Example,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("reveille: the system gives no threads: {error}");
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("reveille: {error:#}");
            ExitCode::from(1)
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(args).await.map(done),
        Command::Init(args) => init::run(&args).await.map(done),
        Command::Check(args) => check::run(&args).await,
        Command::User(command) => user::run(command).await.map(done),
        Command::Device(command) => device::run(command).await.map(done),
        Command::Trace(args) => trace::run(args).await.map(done),
        Command::Lab(args) => lab::run(args).await.map(done),
        Command::Config(ConfigCommand::Example) => {
            print!("{}", config::example());
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_a_screen() {
        fn check(command: &mut clap::Command) {
            let help = command.render_help().to_string();
            assert!(help.lines().count() <= 24, "{help}");
            assert!(
                help.lines().all(|line| line.chars().count() <= 100),
                "{help}"
            );
            for command in command.get_subcommands_mut() {
                check(command);
            }
        }
        check(&mut Cli::command());
    }
}
