//! Networks that the configuration names.

use crate::config::{ConfigError, Words};
use call::Network;

/// Addresses and networks that a key of the configuration has.
pub(crate) fn networks(written: &Words, key: &str) -> Result<Vec<Network>, ConfigError> {
    let networks = written.0.iter().map(|text| text.parse());
    let networks = networks.collect::<Result<_, String>>();
    networks.map_err(|message| ConfigError::Value {
        key: key.to_owned(),
        message,
    })
}
