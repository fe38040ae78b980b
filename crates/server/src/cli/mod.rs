//! The command line: one file a command. Exit status 0 done, 1 failed, 2 wrong usage.

mod admin;
mod alarms;
mod backup;
mod ban;
mod catalogue;
mod check;
mod completions;
mod demo;
mod device;
mod doctor;
mod edge;
mod init;
mod invite;
mod lab;
mod man;
mod options;
mod output;
mod push;
mod push_app;
mod reload;
mod serve;
mod store;
mod systemd;
mod tenant;
mod tokens;
mod trace;
mod user;
mod watch;

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
    /// Check a configuration and what it names, on this host; `doctor` asks over the network
    Check(check::Args),
    /// Look at the live installation: DNS, certificates, ports, providers, store, clock
    Doctor(admin::Listing),
    /// Let the running server read its configuration again
    Reload(admin::Listing),
    /// Accounts: add, invite, list, passwd, forward, export, remove
    #[command(subcommand)]
    User(user::Command),
    /// Devices: list, history, forget
    #[command(subcommand)]
    Device(device::Command),
    /// Show what is wrong now and what to do
    Alarms(alarms::Args),
    /// Sources that are kept out: list, add, lift
    #[command(subcommand)]
    Ban(ban::Command),
    /// Copy the store into a file, while the server runs
    Backup(backup::Backup),
    /// Put a backup in the place of the store
    Restore(backup::Restore),
    /// The database: check
    #[command(subcommand)]
    Store(store::Command),
    /// Clients outside, through a process in the DMZ: init, pair, status
    #[command(subcommand)]
    Edge(edge::Command),
    /// Who may push through our push service: add, list, rotate, allow, remove
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// The keys by which users' tokens are signed: list, rotate
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Print the push service's OpenAPI description
    Openapi,
    /// Print every alarm, metric and log event
    Catalogue(catalogue::Args),
    /// Tell the story of one call or message
    Trace(trace::Args),
    /// Push to one device, to see the way; keys of apps: test, app
    #[command(subcommand)]
    Push(push::Command),
    /// Show calls, messages, registrations and pushes as they happen
    Watch(watch::Args),
    /// Run the simulated push clouds, or a simulated phone
    Lab(lab::Args),
    /// Print how a shell completes our commands
    Completions(completions::Args),
    /// Print our manual page, or write those of all commands
    Man(man::Args),
    /// Configuration: print a commented example, or the unit for systemd
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every key with its meaning and default
    Example,
    /// Print the unit by which systemd runs a server that lies in the usual places
    Unit(systemd::Args),
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
        Command::Serve(args) => Box::pin(serve::run(args)).await.map(done),
        Command::Init(args) => init::run(&args).await.map(done),
        Command::Check(args) => check::run(&args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Reload(args) => reload::run(args).await.map(done),
        Command::User(command) => user::run(command).await.map(done),
        Command::Device(command) => device::run(command).await.map(done),
        Command::Alarms(args) => Ok(alarms::run(args).await),
        Command::Ban(command) => ban::run(command).await.map(done),
        Command::Backup(args) => backup::backup(&args).map(done),
        Command::Restore(args) => backup::restore(&args).map(done),
        Command::Store(command) => store::run(&command),
        Command::Edge(command) => edge::run(command).await.map(done),
        Command::Tenant(command) => tenant::run(command).await.map(done),
        Command::Tokens(command) => tokens::run(command).await.map(done),
        Command::Openapi => {
            say!("{:#}", crate::pushd::openapi());
            Ok(ExitCode::SUCCESS)
        }
        Command::Catalogue(args) => {
            catalogue::run(&args);
            Ok(ExitCode::SUCCESS)
        }
        Command::Trace(args) => trace::run(args).await.map(done),
        Command::Push(command) => push::run(command).await,
        Command::Watch(args) => watch::run(args).await.map(done),
        Command::Lab(args) => lab::run(args).await.map(done),
        Command::Completions(args) => {
            completions::run(&args);
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(args) => man::run(&args).map(done),
        Command::Config(ConfigCommand::Example) => {
            crate::output::this(&config::example());
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(ConfigCommand::Unit(args)) => {
            systemd::print(&args);
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

    /// What does something and prints no list. Whatever is not here can be read by machines.
    const LISTS_NOTHING: [&str; 31] = [
        "serve",
        "init",
        "user add",
        "user invite",
        "user passwd",
        "user sign-out",
        "user forward",
        // Lines of JSON as it is.
        "user export",
        "user remove",
        "device forget",
        "ban add",
        "ban lift",
        "backup",
        "restore",
        "edge init",
        "edge pair",
        "tenant add",
        "tenant rotate",
        "tenant allow",
        "tenant webhook",
        "tenant remove",
        "push app add",
        "push app rotate",
        "push app remove",
        // A JSON document, and what is written for other programs.
        "openapi",
        "config example",
        "config unit",
        "completions",
        "man",
        "lab",
        "lab phone",
    ];

    #[test]
    fn whatever_lists_something_does_so_for_machines() {
        fn leaves(command: &clap::Command, above: &str, found: &mut Vec<(String, bool)>) {
            for command in command.get_subcommands() {
                let name = format!("{above} {}", command.get_name());
                if !command.is_subcommand_required_set() {
                    let json = command.get_arguments().any(|it| it.get_id() == "json");
                    found.push((name.trim().to_owned(), json));
                }
                leaves(command, &name, found);
            }
        }
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        for (name, json) in &found {
            let lists = !LISTS_NOTHING.contains(&&**name);
            assert_eq!(*json, lists, "{name}: {found:?}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        fn check(command: &mut clap::Command) {
            let help = command.render_help().to_string();
            // The list of all commands is longer than that of the options of one.
            let most = if command.get_name() == "reveille" {
                36
            } else {
                24
            };
            assert!(help.lines().count() <= most, "{help}");
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
