//! A dialog as the side sees it that was asked (RFC 3261 §12.1.1): what of its first request is kept, how a later one is known,
//! and how requests of our own are written. For whoever is an end of dialogs themselves; a proxy keeps none.

use crate::{Contacts, HeaderName, Message, Method, NameAddr, RequestBuilder};

/// Most octets of all that a dialog keeps.
const LARGEST: usize = 8_192;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Dialog {
    call_id: String,
    local: String,
    local_tag: String,
    remote: String,
    remote_tag: String,
    target: String,
    routes: Vec<String>,
    sent: u32,
    received: u32,
}

/// Why a request is none of a dialog.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotOfDialog {
    /// It says not where its sender is reached, or not in one way, or it is malformed: 400.
    #[error("no usable Contact, From or To")]
    Malformed,
    /// It is more than anybody keeps: 513.
    #[error("too large to be kept")]
    TooLarge,
    /// It came after a later one: 500 (RFC 3261 §12.2.2).
    #[error("out of order")]
    OutOfOrder,
}

impl Dialog {
    /// The dialog that this request begins, if it is answered with this To tag.
    ///
    /// # Errors
    /// The request is malformed, or too large.
    pub fn begun_by(request: &Message, tag: &str) -> Result<Self, NotOfDialog> {
        let malformed = NotOfDialog::Malformed;
        let text = |name| request.header_text(name).ok_or(malformed);
        let (remote, to) = (text(HeaderName::From)?, text(HeaderName::To)?);
        let routes = request.values(HeaderName::RecordRoute);
        let routes = routes.map(|it| std::str::from_utf8(it).map(str::to_owned));
        let dialog = Self {
            call_id: request.call_id().map_err(|_| malformed)?.to_owned(),
            local: format!("{to};tag={tag}"),
            local_tag: tag.to_owned(),
            remote: remote.to_owned(),
            remote_tag: request.from_tag().unwrap_or_default().to_owned(),
            target: target(request)?.ok_or(malformed)?,
            routes: routes.collect::<Result<_, _>>().map_err(|_| malformed)?,
            sent: 0,
            received: request.cseq().map_err(|_| malformed)?.number,
        };
        if dialog.octets() > LARGEST {
            return Err(NotOfDialog::TooLarge);
        }
        Ok(dialog)
    }

    fn octets(&self) -> usize {
        let parts = [&self.call_id, &self.local, &self.remote, &self.target];
        let parts = parts.into_iter().chain(&self.routes);
        parts.map(String::len).sum()
    }

    /// The tag by which it is ours.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// Whether a request is inside it (RFC 3261 §12.2.2).
    pub fn has(&self, request: &Message) -> bool {
        request.call_id() == Ok(&*self.call_id)
            && request.to_tag() == Some(&*self.local_tag)
            && request.from_tag().unwrap_or_default() == self.remote_tag
    }

    /// Takes in a request inside it that refreshes its target (RFC 3261 §12.2.2).
    ///
    /// # Errors
    /// It is malformed, too large, or came after a later one; then nothing has changed.
    pub fn refreshed_by(&mut self, request: &Message) -> Result<(), NotOfDialog> {
        let number = request.cseq().map_err(|_| NotOfDialog::Malformed)?.number;
        if number <= self.received {
            return Err(NotOfDialog::OutOfOrder);
        }
        if let Some(target) = target(request)? {
            if target.len() > LARGEST {
                return Err(NotOfDialog::TooLarge);
            }
            self.target = target;
        }
        self.received = number;
        Ok(())
    }

    /// Begins a request of ours inside it (RFC 3261 §12.2.1.1).
    pub fn request(&mut self, method: Method<'_>) -> RequestBuilder {
        self.sent += 1;
        let is_loose = |route: &String| {
            let route = NameAddr::parse(route.as_bytes());
            route.is_some_and(|it| it.uri.params.has("lr"))
        };
        let mut routes = self.routes.clone();
        let mut uri = self.target.clone();
        if routes.first().is_some_and(|first| !is_loose(first)) {
            // A strict router finds itself in the Request-URI, and the target at the end.
            let first = routes.remove(0);
            routes.push(format!("<{uri}>"));
            if let Some(strict) = NameAddr::parse(first.as_bytes()) {
                strict.uri.as_str().clone_into(&mut uri);
            }
        }
        let mut request = RequestBuilder::new(method, &uri)
            .header(HeaderName::From, &self.local)
            .header(HeaderName::To, &self.remote)
            .header(HeaderName::CallId, &self.call_id)
            .header(HeaderName::CSeq, format!("{} {method}", self.sent));
        for route in routes {
            request = request.header(HeaderName::Route, route);
        }
        request
    }
}

/// Where the sender of a request is reached, if it says so; it says one place (RFC 3261 §8.1.1.8).
fn target(request: &Message) -> Result<Option<String>, NotOfDialog> {
    match request.contacts() {
        Ok(Contacts::List(contacts)) => match &contacts[..] {
            [] => Ok(None),
            [one] if one.uri.is_sip() => Ok(Some(one.uri.as_str().to_owned())),
            _ => Err(NotOfDialog::Malformed),
        },
        _ => Err(NotOfDialog::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn subscribe(number: u32, headers: &str) -> Message {
        let text = format!(
            "SUBSCRIBE sip:bob@r.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{number}\r\nFrom: \"A\" <sip:alice@r.example>;tag=a\r\n\
             To: <sip:bob@r.example>\r\nCall-ID: c1\r\nCSeq: {number} SUBSCRIBE\r\n{headers}\r\n"
        );
        Message::parse(text.into(), &Limits::default()).unwrap()
    }

    const CONTACT: &str = "Contact: <sip:alice@192.0.2.1:5071>\r\n";

    fn lines(request: &Message) -> String {
        String::from_utf8_lossy(request.bytes()).into_owned()
    }

    #[test]
    fn requests_of_ours_go_back_along_the_way_that_the_first_one_came() {
        let routes = "Record-Route: <sip:p2;lr>, <sip:p1;lr>\r\n";
        let mut dialog =
            Dialog::begun_by(&subscribe(7, &format!("{CONTACT}{routes}")), "b").unwrap();
        for number in 1..3 {
            let notify = lines(&dialog.request(Method::Notify).build());
            for line in [
                "NOTIFY sip:alice@192.0.2.1:5071 SIP/2.0\r\n",
                "From: <sip:bob@r.example>;tag=b\r\n",
                "To: \"A\" <sip:alice@r.example>;tag=a\r\n",
                "Call-ID: c1\r\n",
                &format!("CSeq: {number} NOTIFY\r\n"),
                "Route: <sip:p2;lr>\r\nRoute: <sip:p1;lr>\r\n",
            ] {
                assert!(notify.contains(line), "{line} in {notify}");
            }
        }
    }

    #[test]
    fn a_strict_router_finds_itself_in_the_request_uri() {
        let routes = "Record-Route: <sip:p2>, <sip:p1;lr>\r\n";
        let mut dialog =
            Dialog::begun_by(&subscribe(7, &format!("{CONTACT}{routes}")), "b").unwrap();
        let notify = lines(&dialog.request(Method::Notify).build());
        assert!(notify.starts_with("NOTIFY sip:p2 SIP/2.0\r\n"), "{notify}");
        let rest = "Route: <sip:p1;lr>\r\nRoute: <sip:alice@192.0.2.1:5071>\r\n";
        assert!(notify.contains(rest), "{notify}");
    }

    #[test]
    fn a_later_request_moves_the_target_and_an_earlier_one_does_not() {
        let mut dialog = Dialog::begun_by(&subscribe(7, CONTACT), "b").unwrap();
        let moved = subscribe(8, "Contact: <sip:alice@192.0.2.9>\r\n");
        assert_eq!(dialog.refreshed_by(&moved), Ok(()));
        let late = dialog.refreshed_by(&subscribe(8, CONTACT));
        assert_eq!(late, Err(NotOfDialog::OutOfOrder));
        let notify = lines(&dialog.request(Method::Notify).build());
        assert!(notify.starts_with("NOTIFY sip:alice@192.0.2.9 SIP/2.0"));
    }

    #[test]
    fn what_cannot_be_kept_begins_no_dialog() {
        let long = format!("Contact: <sip:{}@h>\r\n", "a".repeat(LARGEST));
        let two = "Contact: <sip:a@h>, <sip:b@h>\r\n";
        for (headers, error) in [
            ("", NotOfDialog::Malformed),
            ("Contact: *\r\n", NotOfDialog::Malformed),
            ("Contact: <tel:1>\r\n", NotOfDialog::Malformed),
            (two, NotOfDialog::Malformed),
            (&long, NotOfDialog::TooLarge),
        ] {
            let begun = Dialog::begun_by(&subscribe(1, headers), "b");
            assert_eq!(begun.map(drop), Err(error), "{headers}");
        }
    }
}
