use super::*;
use domain::{AppId, Outcome, Provider};
use push::{Environment, Served};
use push_apps::SUSPICIOUS;

fn standing(alarms: &Alarms) -> Vec<String> {
    let standing = alarms.standing().into_iter();
    standing.map(|it| it.name).collect()
}

fn accepted() -> Outcome {
    Outcome::Accepted {
        provider_id: String::new(),
    }
}

fn unavailable(reason: &str) -> Outcome {
    Outcome::Unavailable {
        retry_after: std::time::Duration::ZERO,
        reason: reason.to_owned(),
    }
}

#[test]
fn a_good_app_does_not_silence_the_alarm_of_a_bad_one() {
    let alarms = Alarms::default();
    let (bad, good) = (AppId::from("bad"), AppId::from("good"));
    let unauthorized = Outcome::Unauthorized {
        reason: "InvalidProviderToken".to_owned(),
    };
    alarms.pushed(&bad, &unauthorized);
    alarms.pushed(&good, &accepted());
    alarms.pushed(&bad, &Outcome::TooLarge);
    assert_eq!(standing(&alarms), ["push_credentials_refused"]);
    alarms.pushed(&bad, &accepted());
    assert_eq!(standing(&alarms), [""; 0]);
}

#[test]
fn a_fleet_that_dies_at_once_is_an_alarm_about_our_settings_and_not_about_tokens() {
    let alarms = Alarms::default();
    let app = AppId::from("com.example.phone");
    let dies = || {
        let dead = Outcome::TokenDead {
            since: None,
            reason: "BadDeviceToken".to_owned(),
        };
        alarms.pushed(&app, &dead);
        alarms.dead_tokens(1);
    };
    for _ in 1..SUSPICIOUS {
        dies();
    }
    alarms.pushed(&app, &accepted());
    dies();
    assert_eq!(standing(&alarms), ["tokens_dead"], "one after another");
    for _ in 1..SUSPICIOUS {
        dies();
    }
    let stands = alarms.standing();
    assert_eq!(standing(&alarms), ["push_settings_suspect"]);
    assert_eq!(stands[0].subject, "com.example.phone");
    assert!(stands[0].detail.contains("BadDeviceToken"));
    assert!(stands[0].remedy.contains("[[push.app]]"));
    // It was mended; the tokens that are dead still are.
    alarms.pushed(&app, &accepted());
    assert_eq!(standing(&alarms), ["tokens_dead"]);
    alarms.dead_tokens(-2 * i64::from(SUSPICIOUS) + 1);
    assert_eq!(standing(&alarms), [""; 0]);
}

fn served(app: &str, environment: Environment) -> Served {
    Served {
        app: app.into(),
        provider: Provider::Apns,
        environment,
    }
}

#[test]
fn a_cloud_that_does_not_answer_is_told_for_each_app_in_one_line_and_so_is_its_return() {
    let log = logged(|| {
        let alarms = Alarms::default();
        let both = [
            served("one", Environment::Sandbox),
            served("two", Environment::Sandbox),
        ];
        alarms.reach("cloud:443", &both, Err("connection refused"));
        // What pushes find then is the same outage, however often.
        for _ in 0..45 {
            alarms.pushed(&"one".into(), &unavailable("cannot connect"));
        }
        let standing = alarms.standing();
        let subjects: Vec<_> = standing.iter().map(|it| it.subject.as_str()).collect();
        assert_eq!(subjects, ["one", "two"]);
        assert_eq!(
            standing[1].detail,
            "apns (sandbox) at cloud:443: connection refused"
        );
        alarms.reach("cloud:443", &both, Ok(()));
        assert!(alarms.standing().is_empty());
    });
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].contains("one, two"), "{log:?}");
    assert!(log[1].contains("alarm is over"), "{log:?}");
}

#[test]
fn a_connection_says_nothing_of_a_token_and_an_accepted_push_says_all() {
    let alarms = Alarms::default();
    let (app, cloud) = (AppId::from("one"), [served("one", Environment::Production)]);
    alarms.ready(&app, Err(&unavailable("no access token: HTTP 503")));
    alarms.reach("cloud:443", &cloud, Err("refused"));
    alarms.reach("cloud:443", &cloud, Ok(()));
    assert_eq!(standing(&alarms), ["push_unreachable"]);
    assert!(alarms.standing()[0].detail.contains("access token"));
    alarms.ready(
        &app,
        Err(&Outcome::Unauthorized {
            reason: "invalid_grant".to_owned(),
        }),
    );
    assert_eq!(standing(&alarms), ["push_credentials_refused"]);
    alarms.pushed(&app, &accepted());
    assert_eq!(standing(&alarms), [""; 0]);
}

#[test]
fn an_app_that_is_no_more_takes_its_alarms_along() {
    let alarms = Alarms::default();
    for app in ["stays", "goes"] {
        alarms.pushed(&app.into(), &unavailable("HTTP 503"));
    }
    alarms.only_apps(|app| app.as_str() == "stays");
    let standing = alarms.standing();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].subject, "stays");
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines of the log that come meanwhile.
fn logged(meanwhile: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    tracing::subscriber::with_default(subscriber.finish(), meanwhile);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    log.lines().map(str::to_owned).collect()
}

#[test]
fn an_alarm_is_logged_with_its_remedy_when_it_begins_and_when_it_is_over() {
    let lines = logged(|| {
        let alarms = Alarms::default();
        for active in [true, true, false, false] {
            alarms.set(Alarm::StoreDamaged, active, "a row");
        }
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    for word in ["ERROR", "store_damaged", "a row", "backup.md"] {
        assert!(lines[0].contains(word), "{lines:?}");
    }
    assert!(lines[1].contains("store_damaged"), "{lines:?}");
}

#[test]
fn it_is_news_that_it_is_worse_or_that_something_else_helps_and_another_detail_is_none() {
    let lines = logged(|| {
        let alarms = Alarms::default();
        let say = |severity, detail: &str| {
            let notice = Notice {
                severity,
                ..Notice::of(Alarm::CertificateExpires, detail)
            };
            alarms.about(Alarm::CertificateExpires, "tls", Some(&notice));
        };
        say(Severity::Notice, "30 days are left");
        let since = alarms.standing()[0].since;
        say(Severity::Notice, "29 days are left");
        say(Severity::Critical, "1 day is left");
        let standing = alarms.standing();
        assert_eq!((standing.len(), standing[0].since), (1, since));
        assert_eq!(standing[0].detail, "1 day is left");
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
}
