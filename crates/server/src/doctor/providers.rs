//! The providers of our apps: whether they take our credentials, asked without pushing to anybody, and what their clocks say.

use super::report::Report;
use crate::{apps, clock, config::Config, kept_apps::All, remedies};
use domain::{Outcome, Timestamp, date};
use push::hops::{Hop, seen};
use std::collections::HashSet;

/// Tokens of ours are good for an hour, and those of WebSocket and XMPP clients for less; a clock that goes wrong goes on so.
const OFF: u64 = 5;
/// Providers refuse what is signed by such a clock.
const FAR_OFF: u64 = 120;

pub(super) async fn look(config: &Config, report: &mut Report) {
    let apps = match All::glance(config).await {
        Ok(all) => all.apps,
        Err(error) => return report.broken("providers", &error),
    };
    if apps.is_empty() {
        return report.warn(
            "providers",
            "no app can be pushed to: sleeping phones cannot be woken",
            "describe it in [[push.app]]",
        );
    }
    let pusher = match apps::check(apps.clone(), &config.push) {
        Ok(pusher) => pusher,
        Err(error) => return report.broken("providers", &error),
    };
    let mut clocks = HashSet::new();
    for app in &apps {
        let (name, provider) = (&app.profile.app, app.profile.provider.name());
        let (outcome, hops) = seen(pusher.probe(name)).await;
        let Some(outcome) = outcome else {
            continue;
        };
        for hop in &hops {
            let endpoint = hop.endpoint.clone().unwrap_or_default();
            if hop.date.is_some() && clocks.insert(endpoint) {
                clock_of(hop, report);
            }
        }
        judge(&format!("{name} ({provider})"), &outcome, &hops, report);
    }
    pusher.shutdown().await;
}

fn judge(app: &str, outcome: &Outcome, hops: &[Hop], report: &mut Report) {
    let place = hops.iter().rev().find_map(|hop| hop.endpoint.as_deref());
    let Some(place) = place else {
        return report.ok(
            "providers",
            format!(
                "{app}: its key is good; nobody but the push services of browsers can say more"
            ),
        );
    };
    let reason = outcome.reason();
    let answered = hops.iter().rev().find_map(|hop| hop.status);
    let answered = answered
        .map(|status| format!("HTTP {status} "))
        .unwrap_or_default();
    match outcome {
        // The token was nobody's: whoever says so has taken us for who we are.
        Outcome::Accepted { .. } | Outcome::TokenDead { .. } => {
            report.ok("providers", format!("{app}: {place} takes our credentials"));
        }
        Outcome::Refused { .. } if is_about_token(reason) => {
            report.ok("providers", format!("{app}: {place} takes our credentials"));
        }
        Outcome::Unauthorized { .. } | Outcome::Unavailable { .. } | Outcome::Refused { .. } => {
            let remedy = remedies::of(outcome).unwrap_or_default();
            report.fail(
                "providers",
                format!("{app}: {place}: {answered}{}: {reason}", outcome.name()),
                remedy,
            );
        }
        Outcome::Throttled { .. } | Outcome::TooLarge => {
            let remedy = "try again later";
            report.warn(
                "providers",
                format!("{app}: {place}: {answered}{}: {reason}", outcome.name()),
                remedy,
            );
        }
    }
}

/// What providers say of a token that is nobody's, and of nothing else.
fn is_about_token(reason: &str) -> bool {
    const WORDS: [&str; 4] = [
        "BadDeviceToken",
        "Unregistered",
        "UNREGISTERED",
        "INVALID_ARGUMENT",
    ];
    WORDS.iter().any(|word| reason.contains(word))
}

fn clock_of(hop: &Hop, report: &mut Report) {
    let theirs = hop.date.as_deref().and_then(date::of_rfc1123);
    let (Some(Timestamp(theirs)), Some(place)) = (theirs, &hop.endpoint) else {
        return;
    };
    // Theirs is of the whole second.
    let off = clock::now().0.abs_diff(theirs) / 1000;
    let what = format!("{off} s from the clock of {place}");
    let remedy = "let it be set by NTP: `timedatectl set-ntp true`, or chrony";
    if off < OFF {
        report.ok("clock", what);
    } else if off < FAR_OFF {
        report.warn("clock", what, remedy);
    } else {
        report.fail("clock", what, remedy);
    }
}
