//! The Python of the peers that are written in it.

use std::path::PathBuf;

/// A Python with `pjsua2-python` and `slixmpp`: `REVEILLE_E2E_PYTHON`, or the one that `cargo xtask test` has made.
pub(crate) fn python() -> PathBuf {
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
