//! Measures Reveille against Kamailio, Prosody and ejabberd, side by side on one machine, each on its own core, round by round; and the pure
//! crates in instructions. `docs/benchmarks.md` is made from its output. No part of the tests.

mod abuse;
mod certificate;
mod contestants;
mod debian;
mod edge;
mod ejabberd;
mod first;
mod front;
mod http;
mod inbox;
mod instructions;
mod kamailio;
mod load;
mod machine;
mod print;
mod process;
mod prosody;
mod publisher;
mod reveille;
mod row;
mod rows;
mod sink;
mod socket;
mod stats;
mod stream;
mod streams;
mod usage;
mod wire;

use anyhow::{Context, Result, bail};
use clap::Parser;
use machine::Machine;
use rows::{Entry, Options, ROWS};
use std::{path::PathBuf, process::ExitCode};

/// Measure Reveille against its peers, side by side, each on its own core
#[derive(Debug, Parser)]
#[command(name = "reveille-bench", after_help = AFTER_HELP)]
struct Arguments {
    /// What to measure
    #[command(subcommand)]
    row: What,
    /// Times that each server runs, in turn with the other
    #[arg(long, global = true, default_value_t = 5, value_name = "N")]
    rounds: u32,
    /// Requests a round; each row has its own number otherwise
    #[arg(long, global = true, value_name = "N")]
    requests: Option<u32>,
    /// Users, each with one phone
    #[arg(long, global = true, default_value_t = 1000, value_name = "N")]
    users: u32,
    /// Requests under way at once
    #[arg(long, global = true, default_value_t = 64, value_name = "N")]
    window: u32,
    /// Calls a second where latencies are taken
    #[arg(long, global = true, default_value_t = 500, value_name = "N")]
    rate: u32,
    /// Sizes for `devices`, one after the other
    #[arg(long, global = true, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000, 1_000_000], value_name = "N,N")]
    sizes: Vec<u32>,
    /// Sizes for `xmpp-idle`, one after the other, growing; the last is how many `xmpp-wake` wakes
    #[arg(long, global = true, value_delimiter = ',', default_values_t = [2_000, 10_000], value_name = "N,N")]
    sessions: Vec<u32>,
    /// Print JSON, for machines
    #[arg(long, global = true)]
    json: bool,
    /// Put the results into this document, between the marks of each row
    #[arg(long, global = true, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The server [default: reveille beside this program]
    #[arg(long, global = true, value_name = "FILE")]
    binary: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Build the server first: cargo build --release. Kamailio is installed from its Debian package when it is missing.
The server runs on core 1, the load generator on core 0; nothing else should run meanwhile.
Whole document: cargo run --release -p reveille-bench -- all --markdown docs/benchmarks.md";

#[derive(Debug, clap::Subcommand)]
enum What {
    /// REGISTER with digest: CPU a request
    Register,
    /// A call of 13 messages: CPU each
    Call,
    /// A call to a phone that sleeps: CPU each, and latencies
    Wake,
    /// A SIP message stored and delivered: CPU each
    Message,
    /// Two cores over one
    Cores,
    /// Up to a million devices: CPU, memory, start-up; and what calls leave behind
    Devices,
    /// An edge: CPU a REGISTER and a call over TLS, and the time that it adds
    Edge,
    /// Memory of a phone that is connected to an edge
    EdgeIdle,
    /// A message over XMPP stored and delivered: CPU each
    Chat,
    /// Memory of an idle session of XMPP
    XmppIdle,
    /// From connecting over XMPP to the first message that waits
    XmppConnect,
    /// From connecting over XMPP to the message that waits, after a lost connection
    XmppComeback,
    /// Thousands of XMPP clients that sleep, written to at once: pushes, time, memory
    XmppWake,
    /// Push clients beside h2load: pushes a second, the time of one, a first burst
    PushClients,
    /// The push service on one core, REST in to APNs out
    PushService,
    /// Memory of the push service over a million pushes
    PushMemory,
    /// A tenant of the push service beside one whose cloud is slow
    PushIsolation,
    /// All of these
    All,
    /// What strangers and one bad user can do to everybody else
    Abuse(abuse::Arguments),
    /// What strangers outside can do to an edge, and to honest phones there
    EdgeAbuse(abuse::Arguments),
    /// Push as a row orders: how our client takes part in `push-clients`
    #[command(hide = true)]
    PushAsOrdered {
        /// In JSON
        order: String,
    },
    /// Instructions of the pure crates' hot paths, against those written down (needs valgrind)
    Instructions(instructions::Arguments),
}

impl What {
    /// The rows to run.
    fn rows(&self) -> impl Iterator<Item = &'static Entry> {
        let name = match self {
            Self::Register => "register",
            Self::Call => "call",
            Self::Wake => "wake",
            Self::Message => "message",
            Self::Cores => "cores",
            Self::Devices => "devices",
            Self::Edge => "edge",
            Self::EdgeIdle => "edge-idle",
            Self::Chat => "chat",
            Self::XmppIdle => "xmpp-idle",
            Self::XmppConnect => "xmpp-connect",
            Self::XmppComeback => "xmpp-comeback",
            Self::XmppWake => "xmpp-wake",
            Self::PushClients => "push-clients",
            Self::PushService => "push-service",
            Self::PushMemory => "push-memory",
            Self::PushIsolation => "push-isolation",
            Self::PushAsOrdered { .. } => "push-as-ordered",
            Self::All => "",
            Self::Abuse(_) => "abuse",
            Self::EdgeAbuse(_) => "edge-abuse",
            Self::Instructions(_) => "instructions",
        };
        ROWS.iter()
            .filter(move |row| name.is_empty() || row.name == name)
    }
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    if let What::Instructions(arguments) = &arguments.row {
        return instructions::run(arguments);
    }
    if let What::PushAsOrdered { order } = &arguments.row {
        return contestants::push_as_ordered(order);
    }
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => std::env::current_exe()?.with_file_name("reveille"),
    };
    if !binary.exists() {
        bail!(
            "{} is missing: build it with `cargo build --release`, or name it with --binary",
            binary.display()
        );
    }
    if let What::Abuse(what) = &arguments.row {
        return abuse::run(what, arguments.rounds.max(1), &binary);
    }
    if let What::EdgeAbuse(what) = &arguments.row {
        return abuse::outside::run(what, arguments.rounds.max(1), &binary);
    }
    if arguments.users < 2 * arguments.window {
        bail!("--users must be at least twice --window, so that no phone does two things at once");
    }
    let options = Options {
        rounds: arguments.rounds.max(1),
        requests: arguments.requests,
        users: arguments.users,
        window: arguments.window.max(1),
        rate: arguments.rate.max(1),
        devices: arguments.sizes.clone(),
        sessions: arguments.sessions.clone(),
        binary,
    };
    if let Some(file) = &arguments.markdown {
        for entry in arguments.row.rows() {
            print::check_place(file, entry.name).context("--markdown")?;
        }
    }
    process::pin_load()?;
    let machine = Machine::look(&options.binary, String::new())?;
    if let Some(warning) = machine.warning() {
        eprintln!("{warning}");
    }
    let mut failed = Vec::new();
    for entry in arguments.row.rows() {
        // One row that fails keeps no other from being measured.
        if let Err(error) = one(entry, &options, arguments, machine.load) {
            eprintln!("{} FAILED: {error:#}", entry.name);
            failed.push(entry.name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn one(entry: &Entry, options: &Options, arguments: &Arguments, load: f64) -> Result<()> {
    let row = (entry.run)(options)?;
    // Now the peer is surely there; how busy the machine was is told by what was seen before all rows.
    let machine = Machine {
        load,
        ..Machine::look(&options.binary, (entry.peers)())?
    };
    if arguments.json {
        let document = serde_json::json!({ "machine": machine, "row": row });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        println!("{}", print::text(&row));
    }
    if let Some(file) = &arguments.markdown {
        print::put_into(file, &row, &machine).context("--markdown")?;
    }
    Ok(())
}
