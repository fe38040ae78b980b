//! The `reveille` command.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Why not the system's: `docs/adr/0006-allocator.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    reveille::cli::main()
}
