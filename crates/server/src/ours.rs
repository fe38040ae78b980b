//! What is kept in the data directory and is made of randomness of ours: the secret, and the keys of tokens.

use crate::{
    api::{AccessTokens, Lives},
    clock,
    config::Config,
    setup,
    token_keys::FILE,
};
use anyhow::Result;
use std::sync::Arc;

/// See the module.
#[derive(Clone)]
pub(crate) struct Ours {
    /// Serves several ends, and outlives a restart.
    pub(crate) secret: Vec<u8>,
    /// Makes tokens and tells them, with the keys that lie there.
    pub(crate) tokens: Arc<AccessTokens>,
}

/// Opens it, and makes what is not there. The first key of tokens is as old as the secret.
pub(crate) fn open(config: &Config) -> Result<Ours> {
    if begins_anew(config) {
        tracing::warn!("there is no token-keys.json: users' tokens are signed by the first key");
    }
    let secret = setup::token_key(config)?;
    let modified = std::fs::metadata(setup::token_key_file(config)).and_then(|it| it.modified());
    let made = modified.map_or_else(|_| clock::now(), clock::timestamp);
    let lives = Lives {
        access: config.oauth.access.0,
        refresh: config.oauth.refresh.0,
    };
    let tokens = AccessTokens::open((&secret, made), &config.server.data_dir, lives)?;
    Ok(Ours {
        secret,
        tokens: Arc::new(tokens),
    })
}

/// Whether the first key counts although others may have come after it, of which nothing is there.
fn begins_anew(config: &Config) -> bool {
    setup::token_key_file(config).exists() && !config.server.data_dir.join(FILE).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_tokens_that_are_gone_are_missed_and_not_before_there_were_any() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        directory.path().clone_into(&mut config.server.data_dir);
        assert!(!begins_anew(&config), "the first start");
        open(&config).unwrap();
        assert!(!begins_anew(&config));
        std::fs::remove_file(directory.path().join(FILE)).unwrap();
        assert!(begins_anew(&config));
    }
}
