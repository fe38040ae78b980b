use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// Metrics of which each has something to show.
fn touched() -> Metrics {
    let metrics = Metrics::default();
    let app = AppId::from("com.example.phone");
    metrics.pushed(&app, Provider::Apns, Channel::Voip, &Outcome::TooLarge);
    metrics.wake_ended(wake::Verdict::Answered);
    metrics.wake_stage("invite_to_push", Duration::from_millis(1));
    metrics.request("INVITE", sip::Transport::Tls);
    metrics.request("MADE-UP", sip::Transport::Udp);
    metrics.message("stored");
    metrics.refused(Refusal::NoRoom);
    metrics.refused_at(Door::Xmpp, Refusal::Password);
    metrics.connections_are("sip", "tls", 7);
    metrics.bans_are(1, 2);
    metrics.certificate_days("tls", Some(6.5));
    metrics.push_service_has((3, 1));
    metrics.push_service().told("accepted");
    metrics.push_service().ended("accepted");
    metrics
        .push_service()
        .left_alone(&[AppId::from("com.example.phone")]);
    metrics.edge_refused("no_inside", 1);
    metrics.tunnel_is(&tunnel());
    metrics.media_missing("down");
    metrics.media_relay_is("127.0.0.1:2223", false);
    let served = push::Served {
        app,
        provider: Provider::Apns,
        environment: push::Environment::Sandbox,
    };
    metrics.reach("cloud:443", &[served], Err("refused"));
    let mut commits = ::store::Times::default();
    commits.counts[3] = 2;
    metrics.store_is(Stats {
        octets: 4096,
        commits,
        ..Stats::default()
    });
    metrics
}

/// To an edge that is not there.
fn tunnel() -> tunnel::Link {
    let key = "A".repeat(43);
    tunnel::Link {
        who: key.parse().unwrap(),
        at: "edge.example.org:4433".into(),
        name: "edge".into(),
        state: tunnel::State::Down {
            since: std::time::Instant::now(),
            why: "timed out".into(),
            reached: false,
        },
    }
}

#[test]
fn names_are_those_of_the_contract() {
    let text = touched().render();
    for line in [
        r#"reveille_push_requests_total{provider="apns",channel="voip",outcome="too_large"} 1"#,
        r#"reveille_wake_total{outcome="answered"} 1"#,
        r#"reveille_wake_seconds_count{stage="invite_to_push"} 1"#,
        r#"reveille_sip_requests_total{method="INVITE",transport="TLS"} 1"#,
        r#"reveille_sip_requests_total{method="other",transport="UDP"} 1"#,
        r#"reveille_messages_total{outcome="stored"} 1"#,
        r#"reveille_alarm_active{name="push_unreachable"} 1"#,
        r#"reveille_alarm_active{name="store_failed"} 0"#,
        r#"reveille_refused_total{reason="no_room"} 1"#,
        r#"reveille_refused_total{reason="banned"} 0"#,
        r#"reveille_auth_failures_total{door="xmpp"} 1"#,
        r#"reveille_auth_failures_total{door="sip"} 0"#,
        r#"reveille_connections{protocol="sip",transport="tls"} 7"#,
        r#"reveille_bans{by="guessing"} 2"#,
        r#"reveille_certificate_days{certificate="tls"} 6.5"#,
        r#"reveille_push_reachable{provider="apns",environment="sandbox",app="com.example.phone"} 0"#,
        r#"reveille_store_commit_seconds_bucket{le="0.0005"} 0"#,
        r#"reveille_store_commit_seconds_bucket{le="+Inf"} 2"#,
        "reveille_store_bytes 4096",
        "reveille_push_queue 3",
        "reveille_registrations 0",
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
}

#[test]
fn the_process_is_seen() {
    let text = Metrics::default().render();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {text}"))
            .trim()
            .parse()
            .unwrap()
    };
    assert!(value("process_resident_memory_bytes ") > 100_000.0);
    assert!(value("process_open_fds ") >= 3.0);
    assert!(value("process_max_fds ") >= value("process_open_fds "));
    assert!(value("process_cpu_seconds_total ") > 0.0);
    let now = Duration::from_millis(crate::clock::now().0).as_secs_f64();
    let age = now - value("process_start_time_seconds ");
    assert!((0.0..60.0).contains(&age), "{age}");
}

#[test]
fn every_metric_is_a_row_of_the_table_with_its_labels_and_every_row_is_shown() {
    let text = touched().render();
    let mut shown = BTreeMap::new();
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            let end = if kind == "counter" { "_total" } else { "" };
            shown.insert(format!("{name}{end}"), kind.to_owned());
        } else if !line.starts_with('#') {
            let (sample, of) = line.split_once('{').unwrap_or((line, ""));
            let sample = sample.split(' ').next().unwrap();
            let ends = ["_bucket", "_sum", "_count"];
            let bare = ends.iter().find_map(|end| sample.strip_suffix(end));
            let name = bare.filter(|it| shown.contains_key(*it)).unwrap_or(sample);
            let pairs = of.rsplit_once('}').map_or("", |(pairs, _)| pairs);
            let names = pairs.split(',').filter_map(|pair| pair.split_once('='));
            let names = names.map(|(name, _)| name.to_owned());
            labels
                .entry(name.to_owned())
                .or_default()
                .extend(names.filter(|name| name != "le"));
        }
    }
    let rows: BTreeMap<_, _> = METRICS
        .iter()
        .map(|row| (row.name.to_owned(), row.kind.name().to_owned()))
        .collect();
    assert_eq!(shown, rows);
    for row in METRICS {
        let wanted: BTreeSet<_> = row.labels.iter().map(|&it| it.to_owned()).collect();
        assert_eq!(labels[row.name], wanted, "{}", row.name);
    }
}
