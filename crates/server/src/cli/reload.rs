//! `reveille reload`: the running server reads its configuration again.

use super::{admin::Listing, output};
use crate::reloaded::Reloaded;
use anyhow::Result;
use http::Method;

pub(super) async fn run(Listing { json, which }: Listing) -> Result<()> {
    let server = which.server()?;
    let told = server
        .must_ask(Method::POST, "/api/v1/reload", None)
        .await?;
    if json {
        output::json(&told);
        return Ok(());
    }
    let Reloaded {
        taken,
        needs_restart,
    } = serde_json::from_value(told)?;
    for changed in &taken {
        say!("taken          {changed}");
    }
    for changed in &needs_restart {
        say!("needs restart  {changed}");
    }
    if taken.is_empty() && needs_restart.is_empty() {
        say!(
            "no setting has changed; certificates, keys and credentials were read again, and count from now on"
        );
    }
    Ok(())
}
