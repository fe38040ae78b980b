//! The Grafana dashboard and the Prometheus rules in `contrib/` name only what the server exports. That Prometheus can evaluate
//! them, and that something is drawn, is tried in `e2e`.

use domain::{AppId, Channel, Outcome, Provider, Refusal, wake::Verdict};
use push::Observer;
use reveille::{alarms::Alarm, metrics::Metrics};
use std::{collections::BTreeSet, time::Duration};

const FILES: [(&str, &str); 2] = [
    (
        "rules",
        include_str!("../../../contrib/prometheus/reveille.rules.yml"),
    ),
    (
        "dashboard",
        include_str!("../../../contrib/grafana/reveille.json"),
    ),
];

/// All that is exported once each thing has happened.
fn exported() -> String {
    let metrics = Metrics::default();
    metrics.wake_ended(Verdict::Unreachable);
    for stage in [
        "invite_to_push",
        "push_to_register",
        "register_to_invite",
        "invite_to_ring",
    ] {
        metrics.wake_stage(stage, Duration::from_millis(1));
    }
    metrics.request("INVITE", sip::Transport::Tls);
    metrics.message("stored");
    for outcome in [
        Outcome::Accepted {
            provider_id: String::new(),
        },
        Outcome::TokenDead {
            since: None,
            reason: String::new(),
        },
    ] {
        metrics.on(&push::Event::Pushed {
            app: &AppId::from("app"),
            provider: Provider::Apns,
            channel: Channel::Voip,
            purpose: "call",
            outcome: &outcome,
            took: Duration::ZERO,
        });
    }
    metrics.render()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

#[test]
fn every_metric_that_they_name_is_exported() {
    let exported = exported();
    let known: BTreeSet<_> = words(&exported)
        .filter(|it| it.starts_with("reveille_"))
        .collect();
    for (file, text) in FILES {
        let named: BTreeSet<_> = words(text)
            .filter(|it| it.starts_with("reveille_"))
            .collect();
        assert!(!named.is_empty(), "{file}");
        for name in named {
            assert!(known.contains(name), "the {file} name {name}");
        }
    }
}

/// A label's values that an expression asks for: `reason=~"no_room|calls"`.
fn asked<'a>(text: &'a str, label: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for operator in ["=~\"", "!~\"", "=\"", "!=\""] {
        let beginning = format!("{label}{operator}");
        for rest in text.split(&beginning).skip(1) {
            let values = rest.split('"').next().unwrap_or_default();
            found.extend(values.split('|'));
        }
    }
    found
}

#[test]
fn every_value_of_a_label_that_they_ask_for_exists() {
    let exported = exported();
    let alarms: Vec<_> = Alarm::ALL.iter().map(|alarm| alarm.name()).collect();
    let refusals = Refusal::ALL.map(Refusal::name);
    let is_alarm = |value: &str| match value.strip_suffix(".*") {
        Some(beginning) => alarms.iter().any(|name| name.starts_with(beginning)),
        None => alarms.contains(&value),
    };
    let (_, rules) = FILES[0];
    for (label, is_known) in [
        ("{name", &is_alarm as &dyn Fn(&str) -> bool),
        ("{reason", &|value| refusals.contains(&value)),
        ("{stage", &|value| {
            exported.contains(&format!("stage=\"{value}\""))
        }),
        ("{outcome", &|value| {
            exported.contains(&format!("outcome=\"{value}\""))
        }),
    ] {
        let values = asked(rules, label);
        assert!(!values.is_empty(), "{label}");
        for value in values {
            assert!(is_known(value), "{label}: {value}");
        }
    }
}
