//! The `reveille` command.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Why not the system's: `docs/adr/0006-allocator.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    no_huge_pages();
    reveille::cli::main()
}

/// A huge page is cleared when its first octet is touched, and whoever touches it waits: a shard, with all its calls. Why:
/// `docs/adr/0006-allocator.md`.
fn no_huge_pages() {
    // A system that has none of them needs no asking.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
}
