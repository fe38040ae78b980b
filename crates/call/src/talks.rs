//! Who talks over the phone, for those who see their presence. Nothing is kept here: the hub believes it until a BYE passes, or
//! for as long as the two agreed to believe in each other. A BYE may never come.

use crate::token::{DialogId, Ends};
use domain::Address;
use hub::Input;
use sip::{HeaderName, Message, Method};
use std::time::Duration;

/// So long it is believed of a session without a timer (RFC 4028) that it goes on.
const UNTIMED: Duration = Duration::from_hours(2);
/// What passes at least: a shorter timer would be refused.
const SHORTEST: Duration = Duration::from_secs(90);
/// How much longer than agreed: a side that hears nothing says BYE a little before the end.
const GRACE: Duration = Duration::from_secs(32);

/// A call was answered so: these users talk.
pub(crate) fn begins(dialog: DialogId, users: Vec<Address>, answer: Option<&Message>) -> Input {
    let time = answer.map_or(UNTIMED, lasts);
    Input::Talks(users, dialog.octets(), Some(time))
}

/// What a request inside a dialog says of it: that it is over, or that it goes on.
pub(crate) fn goes_on(dialog: DialogId, ends: &Ends, request: &Message) -> Option<Input> {
    let time = match request.method()? {
        Method::Bye => None,
        Method::Invite | Method::Update => Some(lasts(request)),
        _ => return None,
    };
    let users = [&ends.caller, &ends.callee].map(|end| end.user.clone());
    let users = users.into_iter().flatten().collect();
    Some(Input::Talks(users, dialog.octets(), time))
}

/// How long a session lasts if nothing more is heard of it.
fn lasts(message: &Message) -> Duration {
    let agreed = message.header_text(HeaderName::SessionExpires);
    let seconds = agreed.and_then(|it| it.split(';').next()?.trim().parse().ok());
    let agreed = seconds.map(Duration::from_secs);
    agreed.map_or(UNTIMED, |it| it.clamp(SHORTEST, UNTIMED) + GRACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Limits;

    #[test]
    fn a_session_lasts_as_long_as_its_sides_agreed() {
        for (header, seconds) in [
            ("", 7_200),
            ("Session-Expires: 1800;refresher=uac\r\n", 1_832),
            ("x: 90\r\n", 122),
            ("Session-Expires: 1\r\n", 122),
            ("Session-Expires: 99999999999\r\n", 7_232),
            ("Session-Expires: soon\r\n", 7_200),
        ] {
            let text = format!("SIP/2.0 200 OK\r\nTo: <sip:a@b>\r\n{header}\r\n");
            let message = Message::parse(text.into(), &Limits::default()).unwrap();
            assert_eq!(lasts(&message).as_secs(), seconds, "{header}");
        }
    }
}
