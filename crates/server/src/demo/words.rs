//! What phones and clouds did, in words for people who watch.

use super::stage::kind;
use domain::Provider;
use lab::{
    cloud::Record,
    phone::{PhoneEvent, terminal},
};

/// A phone's event; `None` if it only clutters the view.
pub(super) fn of_phone(event: &PhoneEvent) -> Option<String> {
    let words = match event {
        PhoneEvent::Progress { status: 100, .. } => return None,
        PhoneEvent::Ringing { .. } => "rings".to_owned(),
        PhoneEvent::Progress { status: 180, .. } => "hears ringing".to_owned(),
        PhoneEvent::Ended { by_us: true, .. } => "hangs up".to_owned(),
        PhoneEvent::Answered { .. } => "answered".to_owned(),
        PhoneEvent::Tapped => "is tapped".to_owned(),
        PhoneEvent::Cancelled {
            reason: Some(reason),
            ..
        } if reason == "push" => "learns that the call is over".to_owned(),
        other => terminal::describe(other),
    };
    Some(words)
}

/// Who a cloud belongs to.
pub(super) fn cloud(record: &Record) -> &'static str {
    match record.provider {
        Provider::Apns => "Apple",
        Provider::Fcm => "Google",
        Provider::WebPush => "the push service",
        Provider::AppServer => "the app's server",
    }
}

/// What a cloud was asked, and what it said.
pub(super) fn of_cloud(record: &Record) -> String {
    let app = record.topic.as_ref().or(record.project.as_ref());
    let push = match app {
        Some(app) => format!("{} push for {app}", kind(record).replace('_', " ")),
        // For whom, and what for, only the browser can read.
        None => "sealed push".to_owned(),
    };
    match &record.answer {
        Some(answer) if answer.is_taken() => format!("takes a {push}"),
        Some(answer) => format!(
            "refuses a {push}: {} {}",
            answer.status,
            answer.reason.as_deref().unwrap_or_default()
        ),
        None => format!("loses a {push}"),
    }
}
