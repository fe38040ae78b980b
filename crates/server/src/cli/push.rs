//! `reveille push`: one push to one device, hop by hop; and by what our apps' providers know us.

use super::{
    admin::{Which, path},
    output::{self, plain},
    push_app,
};
use crate::push_test::{Order, Tested};
use anyhow::Result;
use domain::{Channel, Outcome};
use http::Method;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Push to a device, by its own app and token, and print the way hop by hop
    Test(Test),
    /// Apps and their credentials in the store: add, list, rotate, remove
    #[command(subcommand)]
    App(push_app::Command),
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// As `device list` shows it, or its beginning
    #[arg(long, value_name = "ID")]
    device: String,
    /// As a call, which rings, or a message
    #[arg(long, value_name = "CHANNEL", value_parser = ["voip", "message"])]
    channel: Option<String>,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Test(wanted) => test(wanted).await,
        Command::App(command) => push_app::run(command).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn test(wanted: Test) -> Result<ExitCode> {
    let Test {
        device,
        channel,
        json,
        which,
    } = wanted;
    let server = which.server()?;
    let device = server.device(&device).await?.device.id;
    let channel = channel.map(|name| match &*name {
        "voip" => Channel::Voip,
        _ => Channel::Message,
    });
    let order = serde_json::to_value(Order { channel })?;
    let at = path("/api/v1/devices/", device.as_str()) + "/push-test";
    let told = server.must_ask(Method::POST, &at, Some(&order)).await?;
    let tested: Tested = serde_json::from_value(told.clone())?;
    let taken = matches!(tested.outcome, Outcome::Accepted { .. });
    if json {
        output::json(&told);
    } else {
        tell(&tested);
    }
    Ok(if taken {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn tell(tested: &Tested) {
    let mut rows = vec![output::heading(&["after", "hop", "where", "what"])];
    for hop in &tested.hops {
        let status = hop.status.map(|status| format!("HTTP {status} "));
        rows.push(vec![
            format!("{:>6} ms", hop.after_ms),
            hop.hop.clone(),
            hop.endpoint.clone().unwrap_or_default(),
            format!("{}{}", status.unwrap_or_default(), hop.detail),
        ]);
    }
    output::table(&rows);
    say!();
    match &tested.outcome {
        Outcome::Accepted { provider_id } => {
            say!("taken by the provider: {}", plain(provider_id));
            say!(
                "if the phone stays silent all the same, `reveille device list` tells whether it has registered again"
            );
        }
        other => say!("{}: {}", other.name(), plain(other.reason())),
    }
    if let Some(remedy) = &tested.remedy {
        say!("what to do: {remedy}");
    }
    say!(
        "its story: reveille trace {}",
        plain(tested.tracking.as_str())
    );
}
