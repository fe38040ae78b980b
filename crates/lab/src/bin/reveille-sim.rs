//! Plays worlds by the thousand: `reveille-sim --seeds 1000` (docs/simulator.md).

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use reveille_lab::sim::whole::{Story, Switch, play};

const HELP: &str = "\
Plays small worlds in virtual time: phones, networks, push clouds, a store, and the server between them, with every fault
that a seed draws. A model looks at each step. Exit status: 0 if nothing was wrong, 1 if something was, 2 if an argument is.

Usage: reveille-sim [--seeds COUNT] [--from SEED] [--seed SEED] [--verbose] [--without RULE]

  --seeds COUNT    play so many worlds, one after the other (1000)
  --from SEED      begin with this seed (1)
  --seed SEED      play this world alone
  --verbose        say what happens
  --without RULE   take something out, to see that the model notices: late-fork, callkit, commit,
                   ack-window, dead-connection, calls-again
  -h, --help       this text";

/// What is to be played.
struct Orders {
    first: u64,
    count: u64,
    verbose: bool,
    switch: Switch,
    without: String,
}

fn main() -> ExitCode {
    match orders(std::env::args().skip(1)) {
        Ok(Some(orders)) => run(&orders),
        Ok(None) => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn orders(mut arguments: impl Iterator<Item = String>) -> Result<Option<Orders>, String> {
    let mut orders = Orders {
        first: 1,
        count: 1_000,
        verbose: false,
        switch: Switch::None,
        without: String::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().and_then(|it| it.parse().ok());
            value.ok_or_else(|| format!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--seeds" => orders.count = number()?,
            "--from" => orders.first = number()?,
            "--seed" => (orders.first, orders.count) = (number()?, 1),
            "--verbose" => orders.verbose = true,
            "--without" => {
                let rule = arguments.next().unwrap_or_default();
                orders.switch = match rule.as_str() {
                    "late-fork" => Switch::LateFork,
                    "callkit" => Switch::CallKit,
                    "calls-again" => Switch::CallsAgain,
                    "commit" => Switch::Commit,
                    "ack-window" => Switch::AckWindow,
                    "dead-connection" => Switch::DeadConnection,
                    _ => return Err(format!("there is no rule {rule:?} to take out")),
                };
                orders.without = format!(" --without {rule}");
            }
            "-h" | "--help" => return Ok(None),
            _ => return Err(format!("unknown argument {argument:?}")),
        }
    }
    Ok(Some(orders))
}

fn run(orders: &Orders) -> ExitCode {
    let begun = Instant::now();
    let shows_progress = std::io::stderr().is_terminal();
    let mut failed = 0;
    let (mut calls, mut texts, mut deaths, mut hours) = (0, 0, 0, 0.0);
    for number in 0..orders.count {
        let seed = orders.first.wrapping_add(number);
        let story = play(seed, orders.switch, begun, orders.verbose);
        calls += story.calls;
        texts += story.texts;
        deaths += story.deaths;
        hours += story.took.as_secs_f64() / 3_600.0;
        failed += u32::from(report(orders, seed, &story));
        if shows_progress {
            eprint!(
                "\r{} of {} worlds, {failed} failed",
                number + 1,
                orders.count
            );
            // A progress line that is not shown is no loss.
            let _ = std::io::stderr().flush();
        }
    }
    if shows_progress {
        eprintln!();
    }
    println!(
        "{} worlds, {failed} failed: {calls} calls, {texts} texts, {deaths} deaths of the server in {hours:.0} virtual hours, played in {:.1} s",
        orders.count,
        begun.elapsed().as_secs_f64()
    );
    if failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Says what became of a world; true if something was wrong.
fn report(orders: &Orders, seed: u64, story: &Story) -> bool {
    for line in &story.lines {
        println!("{line}");
    }
    let Some(failure) = &story.failure else {
        return false;
    };
    println!("seed {seed}: {failure}");
    let without = &orders.without;
    println!(
        "  cargo run --release -p reveille-lab --bin reveille-sim -- --seed {seed} --verbose{without}"
    );
    true
}
