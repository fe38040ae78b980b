//! The alert rules and the dashboard that we ship, with the real Prometheus and a server under which something happens.

use std::{collections::BTreeSet, fs};

use reveille_e2e::{
    Process, Prometheus, Reveille, SOON, SipClient, Transport, contrib, documented,
    iphone_with_two_tokens, new_token, poll, promtool_check_rules, rules,
};
use serde_json::Value;

/// Names of metrics of ours in a text.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !word(c))
        .filter(|word| word.starts_with("reveille_"))
        .map(str::to_owned)
        .collect()
}

/// The expressions of the dashboard, with what Grafana would put in.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|it| it["targets"].as_array());
    targets
        .flatten()
        .map(|target| target["expr"].as_str().expect("an expression"))
        .map(|it| it.replace("$instance", ".*"))
        .map(|it| it.replace("$__rate_interval", "1m"))
        .collect()
}

#[test]
fn the_rules_are_rules() {
    let said = promtool_check_rules();
    assert!(said.status.success(), "{said:?}");
}

#[test]
fn what_happens_is_seen_in_the_dashboard_and_raises_alerts() {
    let mut server = Reveille::started();
    let config = documented("operations/monitoring.md", "prometheus.yml");
    let prometheus = Prometheus::started(&config, server.health());
    a_phone_wakes_for_a_call_and_a_message(&server);

    let dashboard = fs::read_to_string(contrib("grafana/reveille.json")).expect("ours");
    let rules_text = fs::read_to_string(rules()).expect("ours");
    let exported = named(&server.metrics());
    for name in named(&dashboard).into_iter().chain(named(&rules_text)) {
        assert!(exported.contains(&name), "nobody exports {name}");
    }
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    for expression in expressions(&dashboard) {
        // Only what stands is drawn of the alarms, and none does.
        if !expression.contains("alarm_active") {
            let seen = || (!prometheus.query(&expression).is_empty()).then_some(());
            assert!(
                poll(SOON, seen).is_some(),
                "nothing is drawn of {expression}"
            );
        }
    }
    let evaluated = || {
        let rules = prometheus.rules();
        let done = rules.iter().all(|rule| rule["health"] == "ok");
        (done && !rules.is_empty()).then_some(rules)
    };
    let rules = poll(SOON, evaluated).unwrap_or_else(|| panic!("{:#?}", prometheus.rules()));
    let quiet = |rule: &Value| rule["state"] == "inactive";
    assert!(rules.iter().all(quiet), "all is well: {rules:#?}");

    a_cloud_refuses_us(&server);
    wait_for_alert(&prometheus, "ReveilleAlarm", "push_credentials_refused");
    wait_for_alert(
        &prometheus,
        "ReveilleCannotPush",
        "push_credentials_refused",
    );
    server.stop();
    wait_for_alert(&prometheus, "ReveilleDown", "");
}

/// Each metric that is counted when something happens is counted here.
fn a_phone_wakes_for_a_call_and_a_message(server: &Reveille) {
    let phone = |user: &str| {
        let mut command = server.command();
        Process::spawn(user, command.args(["lab", "phone", user]))
    };
    let [mut bob, mut alice] = ["bob", "alice"].map(phone);
    alice.expect("registered for", SOON);
    bob.expect("registered for", SOON);
    bob.say("suspend");
    bob.expect("asleep", SOON);
    alice.say("call bob");
    bob.expect("ringing", SOON);
    bob.say("answer");
    alice.expect("answered", SOON);
    alice.say("hangup");
    bob.expect("call ended", SOON);
    bob.say("suspend");
    bob.expect("asleep", SOON);
    alice.say("send bob hello");
    bob.expect("shown: message", SOON);
    bob.say("tap");
    bob.expect("message from", SOON);
}

fn a_cloud_refuses_us(server: &Reveille) {
    let [voip, message] = [new_token(), new_token()];
    let phone = iphone_with_two_tokens(&voip, &message);
    let mut carol = SipClient::udp("carol", server.sip(Transport::Udp));
    assert_eq!(carol.register(&phone.in_uri()).status, 200);
    drop(carol);
    server
        .lab()
        .fate(&message, 403, "InvalidProviderToken", None);
    let mut dave = SipClient::udp("dave", server.sip(Transport::Udp));
    // It waits for her phone.
    let taken = dave.message("carol", "hello");
    assert_eq!(taken.map(|it| it.status), Some(202));
}

/// Waits until an alert is raised; some then wait for a while before anybody is called.
fn wait_for_alert(prometheus: &Prometheus, alert: &str, name: &str) {
    let raised = || {
        let rules = prometheus.rules();
        let rule = rules.iter().find(|rule| rule["name"] == alert)?;
        let alerts = rule["alerts"].as_array()?;
        let labelled = |it: &&Value| it["labels"]["name"].as_str().unwrap_or_default() == name;
        alerts.iter().find(labelled).map(drop)
    };
    let raised = poll(SOON, raised);
    assert!(raised.is_some(), "no {alert}: {:#?}", prometheus.rules());
}
