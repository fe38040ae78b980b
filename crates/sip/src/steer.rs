//! Whose a message is, from the message alone: which shard it goes to is settled before anybody keeps state for it.
//!
//! Where a shard has written its number into a message (our Via branch, the user part of our Route), the number
//! stands at a fixed place and is read without a key. A foreign text may happen to read like one of ours: that is
//! harmless, since the shard which gets it checks its own seal.

use crate::{HeaderName, MAGIC_COOKIE, Message, Method, NameAddr, Uri};

/// Small hexadecimal digits of a shard's number: right behind the magic cookie of our branch, and at the start of our
/// Route token.
pub const SHARD_DIGITS: usize = 2;

/// What stands between the shard's number and the rest of a Route token.
pub const TOKEN_DOT: char = '.';

/// Whose a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'m> {
    /// Of the shard that wrote its number into it.
    Shard(u8),
    /// Of the user that this URI names.
    Uri(Uri<'m>),
    /// Nobody's in particular.
    Anyone,
}

/// Says whose a message is: a response by our Via, REGISTER by its To (RFC 3261 §10.3), a request in a dialog of ours
/// by our Route or, where we are an end of the dialog ourselves, by our Contact, what asks for somebody's presence by its From,
/// since a watcher's subscriptions are theirs, everything else by its Request-URI. An INVITE, its CANCEL and its ACK have the same Route and
/// Request-URI (RFC 3261 §9.1, §17.1.1.3), and so the same owner.
pub fn steer(message: &Message) -> Whose<'_> {
    let uri = |uri: Option<_>| uri.map_or(Whose::Anyone, Whose::Uri);
    let Some(method) = message.method() else {
        let via = message.top_via().ok();
        let shard = via.and_then(|via| branch_shard(via.branch()?));
        return shard.map_or(Whose::Anyone, Whose::Shard);
    };
    if method == Method::Register {
        return uri(message.to().ok().map(|to| to.uri));
    }
    let target = Uri::parse(message.request_uri());
    if method == Method::Subscribe && is_for_presence(message) {
        if message.to_tag().is_none() {
            return uri(message.from().ok().map(|from| from.uri));
        }
        if let Some(shard) = target.and_then(|target| token_shard(target.user?)) {
            return Whose::Shard(shard);
        }
    }
    let route = message.values(HeaderName::Route).next();
    // A strict router before us put our Route value into the Request-URI (RFC 3261 §16.4).
    let strict = target.filter(|target| route.is_some() && target.params.has("lr"));
    let ours = strict.or_else(|| Some(NameAddr::parse(route?)?.uri));
    match ours.and_then(|ours| token_shard(ours.user?)) {
        Some(shard) => Whose::Shard(shard),
        None => uri(target),
    }
}

/// Whether a request is about presence (RFC 3856 §6.1).
pub fn is_for_presence(request: &Message) -> bool {
    let event = request.header_text(HeaderName::Event).unwrap_or_default();
    let package = event.split(';').next().unwrap_or_default();
    package.trim().eq_ignore_ascii_case("presence")
}

/// The shard that wrote a branch, if it is like ours: magic cookie, two digits, the rest.
pub fn branch_shard(branch: &str) -> Option<u8> {
    split_shard(branch.strip_prefix(MAGIC_COOKIE)?).map(|(shard, _)| shard)
}

/// The shard that wrote the user part of a Route, if it is like ours: two digits, a dot, the rest.
pub fn token_shard(token: &str) -> Option<u8> {
    split_token(token).map(|(shard, _)| shard)
}

/// The shard that wrote a Route token, and the rest of the token.
pub fn split_token(token: &str) -> Option<(u8, &str)> {
    let (shard, rest) = split_shard(token)?;
    Some((shard, rest.strip_prefix(TOKEN_DOT)?))
}

/// The shard's number at the start of a text, and what follows it.
pub fn split_shard(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.split_at_checked(SHARD_DIGITS)?;
    let shard = digits.bytes().try_fold(0, |sum: u8, digit| {
        let value = char::from(digit).to_digit(16)?;
        Some(sum << 4 | u8::try_from(value).ok()?)
    })?;
    Some((shard, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn message(start: &str, headers: &str) -> Message {
        let text = format!("{start}\r\nTo: <sip:anna@r.example>\r\n{headers}\r\n");
        Message::parse(text.into(), &Limits::default()).unwrap()
    }

    fn uri(text: &str) -> Whose<'_> {
        Whose::Uri(Uri::parse(text).unwrap())
    }

    #[test]
    fn a_response_is_the_shards_whose_branch_is_on_top() {
        for (via, whose) in [
            (
                "SIP/2.0/UDP us;branch=z9hG4bK1f00ab, SIP/2.0/UDP them;branch=z9hG4bK02",
                Whose::Shard(0x1f),
            ),
            (
                "SIP/2.0/UDP us;rport=1;branch=z9hG4bKFFx",
                Whose::Shard(255),
            ),
            ("SIP/2.0/UDP us;branch=z9hG4bKxy", Whose::Anyone),
            ("SIP/2.0/UDP us;branch=z9hG4bK+1", Whose::Anyone),
            ("SIP/2.0/UDP us", Whose::Anyone),
            ("nonsense", Whose::Anyone),
        ] {
            let response = message("SIP/2.0 200 OK", &format!("Via: {via}\r\n"));
            assert_eq!(steer(&response), whose, "{via}");
        }
    }

    #[test]
    fn a_registration_is_the_users_whose_address_it_binds() {
        let route = "Route: <sip:01.token@us.example;lr>\r\n";
        let request = message("REGISTER sip:r.example SIP/2.0", route);
        assert_eq!(steer(&request), uri("sip:anna@r.example"));
    }

    #[test]
    fn a_request_in_a_dialog_of_ours_is_the_shards_that_wrote_the_route() {
        for (target, routes, whose) in [
            (
                "sip:b@192.0.2.1",
                "<sip:0a.token@us.example;lr>, <sip:0b.x@next;lr>",
                Whose::Shard(10),
            ),
            (
                "sip:0c.token@us.example;lr",
                "<sip:b@192.0.2.1>",
                Whose::Shard(12),
            ),
            (
                "sip:b@192.0.2.1",
                "<sip:us.example;lr>, <sip:0b.x@next;lr>",
                uri("sip:b@192.0.2.1"),
            ),
            (
                "sip:b@192.0.2.1",
                "<sip:someone@next;lr>",
                uri("sip:b@192.0.2.1"),
            ),
            ("sip:b@192.0.2.1", "nonsense", uri("sip:b@192.0.2.1")),
        ] {
            for method in ["BYE", "INVITE", "CANCEL", "ACK"] {
                let start = format!("{method} {target} SIP/2.0");
                let request = message(&start, &format!("Route: {routes}\r\n"));
                assert_eq!(steer(&request), whose, "{method} {routes}");
            }
        }
    }

    #[test]
    fn every_other_request_is_the_users_in_its_request_uri() {
        for method in ["INVITE", "CANCEL", "ACK", "MESSAGE", "BYE"] {
            // A user whose name reads like a token of ours is a user all the same.
            let request = message(&format!("{method} sip:0a.b@r.example SIP/2.0"), "");
            assert_eq!(steer(&request), uri("sip:0a.b@r.example"));
        }
        let odd = message("INVITE nonsense SIP/2.0", "");
        assert_eq!(steer(&odd), Whose::Anyone);
    }

    #[test]
    fn a_subscription_to_presence_is_its_watchers_and_the_shards_that_has_it() {
        let headers =
            |event: &str| format!("From: <sip:alice@r.example>;tag=1\r\nEvent: {event}\r\n");
        let start = "SUBSCRIBE sip:0b.tag@us.example SIP/2.0";
        let begins = message(start, &headers("Presence;id=1"));
        assert_eq!(steer(&begins), uri("sip:alice@r.example"));
        let other = message(start, &headers("dialog"));
        assert_eq!(steer(&other), uri("sip:0b.tag@us.example"));
        let inside = "To: <sip:anna@r.example>;tag=t\r\nEvent: presence\r\n";
        let text = format!("{start}\r\n{inside}\r\n");
        let inside = Message::parse(text.into(), &Limits::default()).unwrap();
        assert_eq!(steer(&inside), Whose::Shard(11));
    }

    #[test]
    fn a_token_is_read_as_it_is_written() {
        for shard in [0, 9, 10, 255] {
            let token = format!("{shard:02x}{TOKEN_DOT}rest");
            assert_eq!(split_token(&token), Some((shard, "rest")));
            let branch = format!("{MAGIC_COOKIE}{shard:02x}rest");
            assert_eq!(branch_shard(&branch), Some(shard));
        }
        for foreign in ["", "1", "ü", "0arest", "anna", "+1.rest"] {
            assert_eq!(token_shard(foreign), None, "{foreign}");
        }
    }
}
