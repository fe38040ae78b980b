//! How the command line reaches a server: by its admin API while it runs, else by its store.

use super::{
    options::{config_file, load_config},
    output,
};
use crate::{
    accounts,
    config::Config,
    dev,
    meant::{Unclear, meant},
};
use anyhow::{Context, Result, anyhow, bail};
use domain::Address;
use http::{Method, StatusCode};
use hub::DeviceView;
use net::http::{HttpError, Lines, Opened};
use serde_json::Value;
use std::{fmt::Write, path::PathBuf};
use store::Store;

/// Which server.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Configuration; else a usual place, else serve --dev
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

// What every listing takes. No doc comment: it would stand in place of each command's own.
#[derive(Debug, clap::Args)]
pub(super) struct Listing {
    /// For machines
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) which: Which,
}

/// A server that can be asked.
pub(super) struct Admin {
    /// Where the admin API is reached: by its socket, if it has one.
    socket: Option<PathBuf>,
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
        let socket = Some(config.listen.admin_socket.clone());
        let socket = socket.filter(|path| !path.as_os_str().is_empty());
        let url = match (&socket, config.listen.admin.0.first()) {
            // Of no meaning, but a request must name a host.
            (Some(_), _) => "http://localhost".to_owned(),
            (None, Some(address)) => format!("http://{address}"),
            (None, None) => bail!(
                "listen.admin and listen.admin_socket are empty: the command line needs the admin API"
            ),
        };
        let token = if dev {
            Some(dev::ADMIN_TOKEN.to_owned())
        } else {
            let path = config.server.data_dir.join("admin.token");
            std::fs::read_to_string(path)
                .ok()
                .map(|token| token.trim().to_owned())
        };
        Ok(Admin {
            socket,
            url,
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
        let (url, token) = (format!("{}{path}", self.url), self.token.as_deref());
        let answer = match &self.socket {
            Some(socket) => net::http::request_over(socket, method, &url, body).await,
            None => net::http::request(method, &url, token, body).await,
        };
        let (status, bytes) = match answer {
            Ok(answer) => answer,
            Err(HttpError::Failed { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if status.is_success() {
            return Ok(Some(serde_json::from_slice(&bytes).unwrap_or(Value::Null)));
        }
        Err(self.refused(status, &bytes))
    }

    /// Lines that come from the running server for as long as they are read.
    pub(super) async fn lines(&self, path: &str) -> Result<Lines> {
        let (url, token) = (format!("{}{path}", self.url), self.token.as_deref());
        match net::http::lines(self.socket.as_deref(), &url, token).await {
            Ok(Opened::Lines(lines)) => Ok(*lines),
            Ok(Opened::Refused(status, bytes)) => Err(self.refused(status, &bytes)),
            Err(HttpError::Failed { .. }) => bail!(self.not_running()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the server said, in its words.
    fn refused(&self, status: StatusCode, bytes: &[u8]) -> anyhow::Error {
        let document: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
        let detail = document
            .get("detail")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if status == StatusCode::UNAUTHORIZED {
            return anyhow!(
                "{} refused the admin token: name the configuration of that server with --config, and read access to its data_dir is needed",
                self.url
            );
        }
        if detail.is_empty() {
            return anyhow!("{status}");
        }
        anyhow!(output::plain(detail))
    }

    /// The device that is meant by an id, or by the beginning of one.
    pub(super) async fn device(&self, given: &str) -> Result<DeviceView> {
        let path = path("/api/v1/devices?begins=", given);
        let found = self.must_ask(Method::GET, &path, None).await?;
        let mut found: Vec<DeviceView> = serde_json::from_value(found)?;
        let ids = found.iter().map(|it| it.device.id.to_string());
        let id = one(given, ids, "device", "`reveille device list` shows all")?;
        let at = found.iter().position(|it| it.device.id.as_str() == id);
        Ok(found.swap_remove(at.unwrap_or_default()))
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

    /// Does this with the store of a server that does not run.
    pub(super) async fn in_store<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Store) -> Result<T>,
    ) -> Result<T> {
        if self.dev {
            bail!(self.not_running());
        }
        self.beside_server(work).await
    }

    /// The same with the store of one that may run on it. What a database has beside it while it is open is gone when this
    /// returns: whoever runs this may be root, and the server is not.
    pub(super) async fn beside_server<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Store) -> Result<T>,
    ) -> Result<T> {
        self.store_url()?;
        let store = store::open(&self.known_store()?)?;
        let done = work(store.as_ref()).await;
        store.close().await?;
        done
    }

    /// The URL of a store that others than its server find.
    pub(super) fn store_url(&self) -> Result<String> {
        let url = self.config.store_url();
        if url.starts_with("memory:") {
            bail!("store.url is memory: nobody but the server itself can read it");
        }
        if self.dev && self.config.server.data_dir.as_os_str().is_empty() {
            bail!(
                "`serve --dev` keeps its data where nobody finds them: name server.data_dir, or a configuration with --config"
            );
        }
        Ok(url)
    }

    /// The URL of a store that opening changes nothing of but what is asked for: to bring it up to date is for the server,
    /// since an older one may run on it.
    fn known_store(&self) -> Result<String> {
        let url = self.config.store_url();
        if let Some(found) = store::glance(&url)?
            && found.schema != found.newest
        {
            bail!(
                "{url} has schema {}, and this version writes schema {}: start the server, which brings it up to date",
                found.schema,
                found.newest
            );
        }
        Ok(url)
    }

    /// The address of a user who may be named without a domain.
    ///
    /// A URI is one's address as well.
    pub(super) fn address(&self, user: &str) -> Result<Address> {
        let schemes = ["sip:", "sips:", "xmpp:"];
        let bare = schemes.iter().find_map(|scheme| user.strip_prefix(scheme));
        let user = bare.unwrap_or(user);
        // Rather another address than a name like that.
        if user.contains(['/', ':']) {
            bail!(
                "{user:?} is no name for an account: write the name alone, or name@domain; a / or : that belongs to it is \\2f or \\3a (XEP-0106)"
            );
        }
        Ok(if user.contains('@') {
            accounts::given(user)
        } else {
            Address::given(user, self.config.domain())
        }?)
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether it is one of `serve --dev`.
    pub(super) fn is_dev(&self) -> bool {
        self.dev
    }

    fn not_running(&self) -> String {
        let how = if self.dev {
            "start one with `reveille serve --dev`, or name a configuration with --config"
        } else {
            "start it with `reveille serve`"
        };
        let at = self.socket.as_ref().map(|it| it.display().to_string());
        let at = at.as_ref().unwrap_or(&self.url);
        format!("no server answers at {at}: {how}")
    }
}

/// The only one of these ids that is meant, or that begins so.
pub(super) fn one(
    given: &str,
    ids: impl IntoIterator<Item = String>,
    what: &str,
    remedy: &str,
) -> Result<String> {
    meant(given, ids).map_err(|why| match why {
        Unclear::None => anyhow!("there is no {what} {}: {remedy}", output::plain(given)),
        several @ Unclear::Several(_) => {
            anyhow!(output::plain(&format!("{what} {given}: {several}")))
        }
    })
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
