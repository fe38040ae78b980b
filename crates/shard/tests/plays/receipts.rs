//! What phones write beside texts: receipts (RFC 5438) and typing notices (RFC 3994).

use crate::{users::DOMAIN, world::World};
use domain::cpim;
use sip::{HeaderName, Message};

impl World {
    /// A text in an envelope, whose writer wants to know that it arrived and was seen.
    pub(crate) fn phone_wants_receipts(
        &mut self,
        user: &str,
        to: &str,
        text: &str,
    ) -> Result<(), String> {
        let envelope = format!(
            "From: <sip:{user}@{DOMAIN}>\r\nTo: <sip:{to}@{DOMAIN}>\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m1\r\n\
             imdn.Disposition-Notification: positive-delivery, display\r\n\r\nContent-Type: text/plain;charset=UTF-8\r\n\r\n{text}"
        );
        self.phone_says(user, to, "message/cpim", &envelope, 202)
    }

    pub(crate) fn phone_tells(&mut self, user: &str, to: &str, what: &str) -> Result<(), String> {
        if let Some((status, id)) = what.split_once(' ') {
            let kind = if status == "displayed" {
                "display"
            } else {
                "delivery"
            };
            let imdn = format!(
                "<?xml version=\"1.0\"?>\n<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{id}</message-id>\
                 <datetime>2006-04-04T12:16:49-05:00</datetime><{kind}-notification><status><{status}/></status></{kind}-notification></imdn>"
            );
            let envelope = format!(
                "From: <sip:{user}@{DOMAIN}>\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: d1\r\n\r\n\
                 Content-type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n{imdn}"
            );
            return self.phone_says(user, to, "Message/CPIM", &envelope, 202);
        }
        let composing = format!(
            "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>{what}</state></isComposing>"
        );
        self.phone_says(user, to, "application/im-iscomposing+xml", &composing, 200)
    }

    fn phone_says(
        &mut self,
        user: &str,
        to: &str,
        content_type: &str,
        body: &str,
        wanted: u16,
    ) -> Result<(), String> {
        let flow = self.flow_of(user)?;
        let uri = format!("sip:{to}@{DOMAIN}");
        let kind = format!("Content-Type: {content_type}\r\n");
        self.asks(flow, "MESSAGE", &uri, (user, to), &kind, body, wanted)
            .map(drop)
    }
}

/// What a phone gets: a text as it is, everything else in short.
pub(crate) fn in_short(message: &Message) -> String {
    let content_type = message
        .header_text(HeaderName::ContentType)
        .unwrap_or_default();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let between = |body: &str, name: &str| {
        let rest = body.split_once(&format!("<{name}>"))?.1;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    };
    let body = message.body();
    match cpim::media(content_type) {
        "text/plain" => text(body),
        "application/im-iscomposing+xml" => {
            format!("[{}]", between(&text(body), "state").unwrap_or_default())
        }
        cpim::MEDIA => {
            let envelope = cpim::open(body).unwrap();
            let inside = text(envelope.body);
            if envelope.content_type != cpim::RECEIPT {
                let mut said = vec![format!("{}: {inside}", envelope.content_type)];
                said.extend(envelope.id.map(|id| format!("by the id {id}")));
                for (wants, what) in [
                    (envelope.wants_delivery, "delivered"),
                    (envelope.wants_display, "displayed"),
                ] {
                    said.extend(wants.then(|| format!("to be confirmed: {what}")));
                }
                return format!("[{}]", said.join("; "));
            }
            let status = between(&inside, "status").unwrap_or_default();
            let id = between(&inside, "message-id").unwrap_or_default();
            format!("[{} {id}]", status.trim_matches(['<', '/', '>']))
        }
        other => format!("[{other}]"),
    }
}
