//! `reveille user`: accounts.

use super::{
    admin::{Admin, Listing, Which, path},
    invite, output,
};
use crate::{
    accounts::{self, UserChange, Ways},
    api::UserView,
    clock,
    entropy::fresh,
    export,
};
use anyhow::{Context, Result, bail};
use domain::{Address, Change};
use http::Method;
use serde_json::json;
use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};
use store::Store;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create an account; without --password one is made up and printed
    Add(Add),
    /// Invite somebody to make an account: prints a link, and a code for a phone's camera
    Invite(invite::Invite),
    /// List the accounts
    List(Listing),
    /// Set a password; without --password one is made up and printed
    Passwd(Passwd),
    /// End all tokens of an account, and send away whatever has signed in with it
    SignOut(SignOut),
    /// Say where calls go that nobody answers: sip:voicemail@example.org; empty: nowhere
    Forward(Forward),
    /// Write all that is kept of an account, as lines of JSON
    Export(Export),
    /// Remove an account with all that is kept of it
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// name, or name@domain
    user: String,
    #[command(flatten)]
    password: Password,
    /// Their name as others see it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct Password {
    /// The password; "-" reads it from standard input
    #[arg(long, env = "REVEILLE_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Passwd {
    /// name, or name@domain
    user: String,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct SignOut {
    /// name, or name@domain
    user: String,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct Forward {
    /// name, or name@domain
    user: String,
    /// A SIP URI
    to: String,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// name, or name@domain
    user: String,
    /// Where to write; else standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// name, or name@domain
    user: String,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(command: Command) -> Result<()> {
    match command {
        Command::Add(add) => run_add(add).await,
        Command::Invite(command) => invite::run(command).await,
        Command::Passwd(passwd) => run_passwd(passwd).await,
        Command::SignOut(sign_out) => run_sign_out(sign_out).await,
        Command::Forward(forward) => run_forward(forward).await,
        Command::List(list) => run_list(list).await,
        Command::Export(export) => run_export(export).await,
        Command::Remove(remove) => run_remove(remove).await,
    }
}

async fn run_add(command: Add) -> Result<()> {
    let Add {
        user,
        password,
        name,
        which,
    } = command;
    let (password, made_up) = password.get()?;
    let change = UserChange {
        password: Some(password.clone()),
        display_name: name,
        new: true,
        ..UserChange::default()
    };
    let address = change_user(&which, &user, &change).await?;
    say!("added {address}{}", shown(&password, made_up));
    Ok(())
}

async fn run_passwd(command: Passwd) -> Result<()> {
    let Passwd {
        user,
        password,
        which,
    } = command;
    must_exist(&which, &user).await?;
    let (password, made_up) = password.get()?;
    let change = UserChange {
        password: Some(password.clone()),
        ..UserChange::default()
    };
    let address = change_user(&which, &user, &change).await?;
    say!("new password for {address}{}", shown(&password, made_up));
    Ok(())
}

async fn run_sign_out(command: SignOut) -> Result<()> {
    let SignOut { user, which } = command;
    must_exist(&which, &user).await?;
    let change = UserChange {
        sign_out: true,
        ..UserChange::default()
    };
    let address = change_user(&which, &user, &change).await?;
    say!("signed out {address}: the password is as it was");
    Ok(())
}

async fn run_forward(command: Forward) -> Result<()> {
    let Forward { user, to, which } = command;
    must_exist(&which, &user).await?;
    let address = change_user(
        &which,
        &user,
        &UserChange {
            forward: Some(to.clone()),
            ..UserChange::default()
        },
    )
    .await?;
    say!(
        "unanswered calls for {address} go to {}",
        if to.is_empty() { "nobody" } else { &to }
    );
    Ok(())
}

async fn run_list(command: Listing) -> Result<()> {
    let Listing { json, which } = command;
    let users = list(&which.server()?).await?;
    if json {
        output::json(&serde_json::to_value(&users)?);
        return Ok(());
    }
    let mut rows = vec![output::heading(&["address", "name", "forward"])];
    for user in users {
        rows.push(vec![
            user.address.to_string(),
            user.display_name,
            user.forward.unwrap_or_default(),
        ]);
    }
    output::table(&rows);
    Ok(())
}

/// Reads the store itself, whether a server runs on it or not: the archive of years need not go through the API.
async fn run_export(command: Export) -> Result<()> {
    let Export { user, out, which } = command;
    let server = which.server()?;
    let address = server.address(&user)?;
    let now = clock::now();
    let Some(file) = out else {
        let mut out = std::io::stdout().lock();
        let export = async |store: &dyn Store| export::export(store, &address, now, &mut out).await;
        return match server.beside_server(export).await {
            // Whoever reads has enough.
            Err(error) if is_broken_pipe(&error) => Ok(()),
            done => done.map(drop),
        };
    };
    let mut writer = BufWriter::new(private(&file)?);
    let export = async |store: &dyn Store| export::export(store, &address, now, &mut writer).await;
    let lines = server.beside_server(export).await?;
    say!("{lines} records of {address} are in {}", file.display());
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A new file for its owner's eyes only.
fn private(file: &Path) -> Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).with_context(|| {
        format!(
            "cannot create {}: name a file that is not there yet with --out",
            file.display()
        )
    })
}

async fn run_remove(command: Remove) -> Result<()> {
    let Remove { user, which } = command;
    must_exist(&which, &user).await?;
    let server = which.server()?;
    let address = server.address(&user)?;
    let asked = server
        .ask(
            Method::DELETE,
            &path("/api/v1/users/", address.as_str()),
            None,
        )
        .await?;
    if asked.is_none() {
        let remove = async |store: &dyn Store| Ok(accounts::remove(store, &address).await?);
        server.in_store(remove).await?;
    }
    say!("removed {address}");
    Ok(())
}

impl Password {
    /// The password, and whether we made it up.
    fn get(self) -> Result<(String, bool)> {
        match self.password.as_deref() {
            None => Ok((fresh(), true)),
            Some("-") => {
                let mut line = String::new();
                std::io::stdin()
                    .read_line(&mut line)
                    .context("no password on standard input")?;
                let password = line.trim_end_matches(['\r', '\n']);
                anyhow::ensure!(
                    !password.is_empty(),
                    "the password on standard input is empty"
                );
                Ok((password.to_owned(), false))
            }
            Some("") => bail!("the password is empty"),
            Some(password) => Ok((password.to_owned(), false)),
        }
    }
}

fn shown(password: &str, made_up: bool) -> String {
    if made_up {
        format!(" with password {password}")
    } else {
        String::new()
    }
}

async fn list(server: &Admin) -> Result<Vec<UserView>> {
    if let Some(users) = server.ask(Method::GET, "/api/v1/users", None).await? {
        return Ok(serde_json::from_value(users)?);
    }
    let read = async |store: &dyn Store| Ok(store.users().await?);
    let users = server.in_store(read).await?;
    Ok(users.into_iter().map(UserView::from).collect())
}

async fn must_exist(which: &Which, user: &str) -> Result<()> {
    let server = which.server()?;
    let address = server.address(user)?;
    if list(&server)
        .await?
        .iter()
        .any(|known| known.address == address)
    {
        Ok(())
    } else {
        bail!(
            "there is no user {address}: `reveille user list` shows all, `reveille user add` makes one"
        )
    }
}

/// Changes an account, by the running server or in its store.
async fn change_user(which: &Which, user: &str, change: &UserChange) -> Result<Address> {
    let server = which.server()?;
    let address = server.address(user)?;
    let asked = server
        .ask(
            Method::PUT,
            &path("/api/v1/users/", address.as_str()),
            Some(&json!(change)),
        )
        .await?;
    if asked.is_none() {
        let put = async |store: &dyn Store| {
            let known = store.user(&address).await?;
            let config = server.config();
            let made = (&config.server.domains.0[..], Ways::of(config));
            let changed = accounts::change(&address, known, change, made)?;
            Ok(accounts::write(store, Change::PutUser(Box::new(changed))).await?)
        };
        server.in_store(put).await?;
    }
    Ok(address)
}
