//! What is kept in the data directory and is made of randomness of ours: the secret, and the keys of tokens.

use crate::{
    api::{AccessTokens, Lives},
    clock,
    config::Config,
    setup,
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
