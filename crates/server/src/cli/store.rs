//! `reveille store`: what the database is like, and what to do with rows that cannot be read.

use super::{admin::Which, output};
use crate::lock;
use anyhow::{Result, bail};
use serde_json::json;
use std::process::ExitCode;
use store::{Checked, Damage};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read every row and name those that are damaged
    Check(Check),
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Move damaged rows out of the way; the server must be stopped
    #[arg(long)]
    set_aside: bool,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(command: &Command) -> Result<ExitCode> {
    let Command::Check(Check {
        set_aside,
        json,
        which,
    }) = command;
    let server = which.server()?;
    let url = server.store_url()?;
    let Some(checked) = store::check(&url)? else {
        bail!("there is no database yet: the first start of the server makes it");
    };
    if *json {
        output::json(&as_json(&checked));
    } else {
        tell(&checked);
    }
    let sound = checked.structure.is_empty() && checked.damaged.is_empty();
    if sound || !set_aside {
        return Ok(if sound {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        });
    }
    if !checked.structure.is_empty() {
        bail!("rows cannot be set aside while the structure is damaged: `reveille restore FILE`");
    }
    let _locks = lock::all(&server.config().server.data_dir, &url)?;
    let aside = store::set_aside(&url)?;
    if !json {
        say!(
            "{} rows are set aside in the table set_aside, with what goes with them",
            aside.len()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(checked: &Checked) {
    let Checked {
        schema,
        newest,
        structure,
        damaged,
        rows,
        set_aside,
        users,
        devices,
    } = checked;
    for line in structure {
        say!("DAMAGED  {}", output::plain(line));
    }
    for Damage {
        table, row, why, ..
    } in damaged
    {
        let (row, why) = (output::plain(row), output::plain(why));
        say!("DAMAGED  {table}  {row}  {why}");
    }
    if schema != newest {
        say!(
            "schema {schema}: the server brings it to {newest} when it starts (`reveille backup FILE` first); its rows were not read"
        );
    } else if structure.is_empty() {
        say!(
            "{rows} rows read, {} of them damaged; {users} users, {devices} devices, schema {schema}, {set_aside} rows set aside",
            damaged.len()
        );
    }
    if !structure.is_empty() {
        say!("its structure is damaged: stop the server and `reveille restore FILE`");
    } else if !damaged.is_empty() {
        say!(
            "`reveille store check --set-aside` moves them out of the way, with the server stopped; a start does so by itself where it must"
        );
    }
}

fn as_json(checked: &Checked) -> serde_json::Value {
    let damage = |it: &Damage| json!({ "table": it.table, "row": it.row, "why": it.why });
    json!({
        "schema": checked.schema,
        "newest_schema": checked.newest,
        "structure": checked.structure,
        "damaged": checked.damaged.iter().map(damage).collect::<Vec<_>>(),
        "rows": checked.rows,
        "set_aside": checked.set_aside,
        "users": checked.users,
        "devices": checked.devices,
    })
}
