//! How the command line reaches a server: by its admin API while it runs, else by its store.

use super::options::{config_file, load_config};
use crate::{config::Config, dev};
use anyhow::{Context, Result, bail};
use http::{Method, StatusCode};
use serde_json::Value;
use std::{fmt::Write, path::PathBuf, sync::Arc};
use store::Store;

/// Which server.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Configuration; else a usual place, else serve --dev
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

/// A server that can be asked.
pub(super) struct Admin {
    url: String,
    token: Option<String>,
    config: Config,
    dev: bool,
}

impl Which {
    pub(super) fn server(&self) -> Result<Admin> {
        let file = config_file(self.config.as_ref());
        let dev = file.is_none();
        let defaults = if dev {
            dev::defaults()
        } else {
            Config::default()
        };
        let config = load_config(&defaults, file.as_ref())?;
        let address = config
            .listen
            .admin
            .0
            .first()
            .context("listen.admin is empty: the command line needs the admin API")?;
        let token = if dev {
            Some(dev::ADMIN_TOKEN.to_owned())
        } else {
            let path = config.server.data_dir.join("admin.token");
            std::fs::read_to_string(path)
                .ok()
                .map(|token| token.trim().to_owned())
        };
        Ok(Admin {
            url: format!("http://{address}"),
            token,
            config,
            dev,
        })
    }
}

impl Admin {
    /// Asks the running server; `None` if none runs.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>> {
        let answer = net::http::request(
            method,
            &format!("{}{path}", self.url),
            self.token.as_deref(),
            body,
        )
        .await;
        let (status, bytes) = match answer {
            Ok(answer) => answer,
            Err(net::http::HttpError::Failed { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let document: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(Some(document));
        }
        let detail = document
            .get("detail")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if status == StatusCode::UNAUTHORIZED {
            bail!(
                "{} refused the admin token: name the configuration of that server with --config, and read access to its data_dir is needed",
                self.url
            );
        }
        bail!(
            "{detail}{}",
            if detail.is_empty() {
                status.to_string()
            } else {
                String::new()
            }
        )
    }

    /// Asks the running server, or says that none runs.
    pub(super) async fn must_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        self.ask(method, path, body)
            .await?
            .with_context(|| self.not_running())
    }

    /// The store of a server that does not run.
    pub(super) fn store(&self) -> Result<Arc<dyn Store>> {
        if self.dev {
            bail!(self.not_running());
        }
        Ok(store::open(&self.config.store_url())?)
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    fn not_running(&self) -> String {
        let how = if self.dev {
            "start one with `reveille serve --dev`, or name a configuration with --config"
        } else {
            "start it with `reveille serve`"
        };
        format!("no server answers at {}: {how}", self.url)
    }
}

/// A path with a part that may hold anything.
pub(super) fn path(prefix: &str, part: &str) -> String {
    let mut text = prefix.to_owned();
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'@' => {
                text.push(char::from(byte));
            }
            _ => {
                // Writing to a string does not fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}
