//! What expires: our certificate, and those by which push clouds and we know each other. An alarm stands 30, 7 and 1 days
//! ahead, each time a worse one; the metrics count the days. Keys of APNs (`.p8`), of Web Push and of service accounts have
//! no end, nor have the secrets that we make ourselves.

use crate::{
    alarms::{Alarm, Notice, Severity},
    clock,
    config::Config,
    metrics::Metrics,
    upkeep::{CertificateFiles, until},
};
use domain::{Timestamp, date};
use net::Certificate;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// How often it is looked at.
const LOOK: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// So many days ahead it is so bad. What lives for a short time only is not looked at so long ahead, see [`severity`].
const AHEAD: [(u32, Severity); 3] = [
    (1, Severity::Critical),
    (7, Severity::Warning),
    (30, Severity::Notice),
];

/// What helps against a CA that expires.
const NEW_CA: &str = "put the cloud's new CA into push.ca, and `reveille reload`";

/// Something that expires.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Expiring {
    /// What it is called in the metrics and alarms.
    name: String,
    alarm: Alarm,
    remedy: &'static str,
    /// From when and until when it is good, since the Unix epoch.
    good: (Duration, Duration),
}

impl Expiring {
    fn of(name: &str, alarm: Alarm, certificate: &Certificate) -> Self {
        Self {
            name: name.to_owned(),
            alarm,
            remedy: alarm.remedy(),
            good: (certificate.not_before, certificate.not_after),
        }
    }

    /// What there is to say of it now, if anything.
    fn notice(&self, now: Duration) -> Option<Notice> {
        let (_, end) = self.good;
        let severity = severity(self.good, now)?;
        let left = end.saturating_sub(now);
        let days = left.as_secs() / DAY.as_secs();
        let at = date::iso8601(Timestamp::default().plus(end));
        let detail = match days {
            _ if left.is_zero() => format!("it expired on {at}"),
            0 => format!("it expires within a day, on {at}"),
            1 => format!("it expires in a day, on {at}"),
            days => format!("it expires in {days} days, on {at}"),
        };
        Some(Notice {
            severity,
            detail,
            remedy: self.remedy,
        })
    }
}

/// How bad it is that something ends then. What is made for a week is not looked at 30 days ahead, since it would be so all
/// its life: no longer ahead than two thirds of that.
pub(crate) fn severity((begin, end): (Duration, Duration), now: Duration) -> Option<Severity> {
    let left = end.saturating_sub(now);
    if left.is_zero() {
        return Some(Severity::Critical);
    }
    let life = end.saturating_sub(begin);
    let of = AHEAD.iter().find(|(days, _)| {
        let ahead = DAY * *days;
        left <= ahead && ahead <= life / 3 * 2
    });
    of.map(|(_, severity)| *severity)
}

/// See the module.
pub(crate) struct Expiry {
    /// The certificate that is shown now.
    ours: Option<Arc<CertificateFiles>>,
    /// Of what the section `push` names.
    push: Mutex<Vec<Expiring>>,
    /// What was told of at the last look.
    told: Mutex<BTreeSet<(String, Alarm)>>,
}

impl Expiry {
    pub(crate) fn new(ours: Option<Arc<CertificateFiles>>) -> Self {
        Self {
            ours,
            push: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// From now on these apps are pushed to, by this configuration.
    pub(crate) fn take(&self, config: &Config, apps: &[push::App]) {
        let mut push: Vec<_> = apps.iter().filter_map(of_app).collect();
        push.extend(of_ca(config));
        *self.push.lock().unwrap_or_else(PoisonError::into_inner) = push;
    }

    /// Looks now and then, until the server stops.
    pub(crate) async fn watch(
        self: Arc<Self>,
        metrics: Arc<Metrics>,
        stopped: watch::Receiver<bool>,
    ) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = until(stopped.clone()) => return,
                _ = looks.tick() => self.look(clock::now(), &metrics),
            }
        }
    }

    fn look(&self, now: Timestamp, metrics: &Metrics) {
        let now = Duration::from_millis(now.0);
        let push = self.push.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = self.ours.as_ref().and_then(|files| files.good());
        let ours = ours.map(|good| Expiring {
            name: "tls".to_owned(),
            alarm: Alarm::CertificateExpires,
            remedy: Alarm::CertificateExpires.remedy(),
            good,
        });
        let all: Vec<_> = ours.into_iter().chain(push.iter().cloned()).collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *told);
        for it in &all {
            metrics.certificate_days(&it.name, Some(days(it.good.1, now)));
            let notice = it.notice(now);
            let alarms = metrics.alarms();
            alarms.about(it.alarm, &it.name, notice.as_ref());
            told.insert((it.name.clone(), it.alarm));
        }
        for (name, alarm) in before.difference(&told) {
            metrics.certificate_days(name, None);
            metrics.alarms().about(*alarm, name, None);
        }
    }
}

fn days(end: Duration, now: Duration) -> f64 {
    (end.as_secs_f64() - now.as_secs_f64()) / DAY.as_secs_f64()
}

fn of_app(app: &push::App) -> Option<Expiring> {
    let push::Credentials::ApnsCertificate {
        certificate_pem, ..
    } = &app.credentials
    else {
        return None;
    };
    let certificate = Certificate::from_pem(certificate_pem.as_bytes()).ok()?;
    let name = app.profile.app.as_str();
    Some(Expiring::of(
        name,
        Alarm::PushCredentialsExpire,
        &certificate,
    ))
}

/// The last of several: that one of them ends says nothing, since another may be the cloud's.
fn of_ca(config: &Config) -> Option<Expiring> {
    let pem = std::fs::read(&config.push.ca).ok()?;
    let all = Certificate::all_from_pem(&pem).ok()?;
    let last = all.into_iter().max_by_key(|it| it.not_after)?;
    let expiring = Expiring::of("push.ca", Alarm::PushCredentialsExpire, &last);
    Some(Expiring {
        remedy: NEW_CA,
        ..expiring
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarms::Standing;
    use domain::{AppProfile, Generation, Platform, Provider};

    const NOON: Duration = Duration::from_hours(24 * 20_000 + 12);

    /// How bad it is with so many days left of a life of so many.
    fn bad(left: u32, life: u32) -> Option<Severity> {
        let end = NOON + DAY * left;
        severity((end.saturating_sub(DAY * life), end), NOON)
    }

    #[test]
    fn it_is_worse_the_nearer_it_comes_and_what_is_made_for_a_week_is_not_bad_all_its_life() {
        use Severity::{Critical, Notice, Warning};
        for (left, life, wanted) in [
            (31, 90, None),
            (30, 90, Some(Notice)),
            (8, 90, Some(Notice)),
            (7, 90, Some(Warning)),
            (2, 90, Some(Warning)),
            (1, 90, Some(Critical)),
            (0, 90, Some(Critical)),
            (30, 47, Some(Notice)),
            (7, 7, None),
            (5, 7, None),
            (1, 7, Some(Critical)),
            (1, 1, None),
            (0, 1, Some(Critical)),
        ] {
            assert_eq!(bad(left, life), wanted, "{left} of {life}");
        }
    }

    /// An app with a certificate that ends at the first of this month of 2030.
    fn app(month: u8) -> push::App {
        let mut params = rcgen::CertificateParams::new(vec!["apns".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2029, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, month, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        push::App {
            profile: AppProfile {
                app: "com.example.phone".into(),
                platform: Platform::Ios,
                provider: Provider::Apns,
                generation: Generation::DualChannel,
            },
            credentials: push::Credentials::ApnsCertificate {
                team_id: "TEAM123456".to_owned(),
                certificate_pem: params.self_signed(&key).unwrap().pem(),
                key_pem: key.serialize_pem(),
            },
            environment: push::Environment::Production,
            endpoint: None,
        }
    }

    #[test]
    fn a_certificate_of_an_app_is_counted_down_and_another_in_its_place_ends_the_alarm() {
        let metrics = Metrics::default();
        let expiry = Expiry::new(None);
        expiry.take(&Config::default(), &[app(3)]);
        // 2030-03-01 is day 21,974 since the epoch.
        let look = |day: u32| {
            let at = DAY * day;
            expiry.look(Timestamp(u64::try_from(at.as_millis()).unwrap()), &metrics);
            metrics.alarms().standing()
        };
        assert_eq!(look(21_943), []);
        let standing: Vec<Standing> = look(21_944);
        assert_eq!(standing[0].name, "push_credentials_expire");
        assert_eq!(standing[0].subject, "com.example.phone");
        assert_eq!(standing[0].severity, Severity::Notice);
        assert_eq!(
            standing[0].detail,
            "it expires in 30 days, on 2030-03-01T00:00:00.000Z"
        );
        assert!(standing[0].remedy.contains("certificate_file"));
        assert_eq!(look(21_968)[0].severity, Severity::Warning);
        assert_eq!(look(21_973)[0].severity, Severity::Critical);
        let days = r#"reveille_certificate_days{certificate="com.example.phone"} 1.0"#;
        assert!(metrics.render().contains(days), "{}", metrics.render());
        assert!(look(21_975)[0].detail.starts_with("it expired"));
        expiry.take(&Config::default(), &[app(12)]);
        assert_eq!(look(21_975), []);
        expiry.take(&Config::default(), &[]);
        look(21_975);
        assert!(!metrics.render().contains("com.example.phone"));
    }
}
