//! The Python and the modules of Node of the peers that are written for them.

use std::path::PathBuf;

/// A Python with `pjsua2-python` and `slixmpp`: `REVEILLE_E2E_PYTHON`, or the one that `cargo xtask test` has made.
pub fn python() -> PathBuf {
    std::env::var_os("REVEILLE_E2E_PYTHON").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../target/peers/venv/bin/python"
            ))
        },
        PathBuf::from,
    )
}

/// The folder in which the modules of Node are: `REVEILLE_E2E_NPM`, or where `cargo xtask test` has put them.
pub fn node_modules() -> PathBuf {
    std::env::var_os("REVEILLE_E2E_NPM").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/peers/npm")),
        PathBuf::from,
    )
}
