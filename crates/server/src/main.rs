//! The `reveille` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    reveille::cli::main()
}
