//! The configuration as every command reads it: from the file that is named or lies in a usual place, and the environment.

use crate::config::{self, Config};
use anyhow::Result;
use std::path::PathBuf;

/// Where a configuration is looked for when none is named.
const USUAL_PLACES: [&str; 2] = ["reveille.toml", "/etc/reveille/reveille.toml"];

/// The configuration file: the one that was named, or the one in a usual place.
pub(super) fn config_file(named: Option<&PathBuf>) -> Option<PathBuf> {
    named.cloned().or_else(|| {
        USUAL_PLACES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
    })
}

pub(super) fn load_config(defaults: &Config, file: Option<&PathBuf>) -> Result<Config> {
    Ok(config::load(
        defaults,
        file.map(PathBuf::as_path),
        std::env::vars(),
    )?)
}
