//! Route values: those that are ours come off when a request arrives (RFC 3261 §16.4), and a strict router ahead gets
//! the request in the form that it understands (§16.6 item 6).

use crate::endpoint::IsOurs;
use crate::{Edit, HeaderName, Message, NameAddr, Uri};

/// A request as it is to be understood.
pub(crate) struct Arrived {
    /// With the address that it is for in the Request-URI, and without the Route values that brought it here.
    pub(crate) request: Message,
    /// The user part of the value of ours that brought it here: the mark that our Record-Route carries.
    pub(crate) mark: Option<String>,
}

/// Takes off what brought the request here. Where we put in two values, one for each side, they are one stop: they have
/// one mark. A value of ours with another mark is another stop, as when a call was forwarded from one user of ours to
/// another; and one without a mark is only the way to us.
pub(crate) fn preprocessed(is_ours: &IsOurs, request: Message) -> Arrived {
    if !request.has(HeaderName::Route) {
        return Arrived {
            request,
            mark: None,
        };
    }
    let Arrived { request, mark } = past_strict_router(is_ours, request);
    let (mut mark, mut request) = (mark, request);
    loop {
        let Some(Ok(top)) = request.routes().next() else {
            break;
        };
        if !names_us(is_ours, &top.uri) {
            break;
        }
        match (&mark, mark_of(&top.uri)) {
            (Some(known), Some(other)) if *known != other => break,
            (None, found @ Some(_)) => mark = found,
            _ => {}
        }
        request = request.without_first_value(HeaderName::Route);
    }
    Arrived { request, mark }
}

/// A strict router before us put our Record-Route value into the Request-URI, and the Request-URI at the end of the
/// route. Only a value of Record-Route has `lr`, so it tells itself from an address of record.
fn past_strict_router(is_ours: &IsOurs, request: Message) -> Arrived {
    let uri = Uri::parse(request.request_uri())
        .filter(|uri| uri.params.has("lr") && names_us(is_ours, uri));
    let (Some(uri), Some(Ok(last))) = (uri, request.routes().last()) else {
        return Arrived {
            request,
            mark: None,
        };
    };
    let mark = mark_of(&uri);
    let mut routes: Vec<_> = request.values(HeaderName::Route).collect();
    routes.pop();
    let edit = Edit::new(&request).request_uri(last.uri.as_str());
    let edit = if routes.is_empty() {
        edit.remove_all(HeaderName::Route)
    } else {
        edit.set(HeaderName::Route, routes.join(&b", "[..]))
    };
    Arrived {
        request: edit.finish(),
        mark,
    }
}

fn mark_of(uri: &Uri<'_>) -> Option<String> {
    uri.user.map(str::to_owned)
}

/// If the next hop is a strict router, its URI becomes the Request-URI, and the Request-URI the last of the route.
pub(super) fn postprocessed(request: Message) -> Message {
    let Some(Ok(next)) = request.routes().next() else {
        return request;
    };
    if next.uri.params.has("lr") {
        return request;
    }
    let target = format!("<{}>", request.request_uri());
    Edit::new(&request)
        .request_uri(next.uri.as_str())
        .remove_first_value(HeaderName::Route)
        .append(HeaderName::Route, target)
        .finish()
}

/// The route from us to the one who answered, out of the Record-Route of its response (RFC 3261 §12.1.2 seen from the
/// middle): what is above our own value, nearest hop first.
pub(super) fn onward<'r>(is_ours: &IsOurs, response: &'r Message) -> Vec<&'r [u8]> {
    let mut above: Vec<_> = response
        .values(HeaderName::RecordRoute)
        .take_while(|value| {
            !NameAddr::parse(value).is_some_and(|route| names_us(is_ours, &route.uri))
        })
        .collect();
    above.reverse();
    above
}

fn names_us(is_ours: &IsOurs, uri: &Uri<'_>) -> bool {
    let (_, port) = crate::Transport::for_uri(uri);
    uri.is_sip() && is_ours(uri.host, port)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Limits;

    fn request(uri: &str, routes: &str) -> Message {
        let text = format!("BYE {uri} SIP/2.0\r\nX-First: 1\r\n{routes}X-Last: 2\r\n\r\n");
        Message::parse(text.into(), &Limits::default()).unwrap()
    }

    fn seen(uri: &str, routes: &str) -> String {
        let is_ours: IsOurs =
            Arc::new(|host, port| host == "us.example" && matches!(port, 5060 | 5061));
        let Arrived { request, mark } = preprocessed(&is_ours, request(uri, routes));
        let routes: Vec<_> = request
            .values(HeaderName::Route)
            .map(String::from_utf8_lossy)
            .collect();
        let mark = mark.unwrap_or_default();
        format!("{} via [{}]{mark}", request.request_uri(), routes.join(" "))
    }

    #[test]
    fn our_own_routes_come_off_and_others_stay() {
        assert_eq!(seen("sip:bob@b", ""), "sip:bob@b via []");
        assert_eq!(
            seen("sip:bob@b", "Route: <sip:us.example;lr>\r\n"),
            "sip:bob@b via []"
        );
        assert_eq!(
            seen(
                "sip:bob@b",
                "Route: <sip:us.example;lr>, <sip:us.example;transport=tls;lr>\r\nRoute: <sip:next;lr>\r\n"
            ),
            "sip:bob@b via [<sip:next;lr>]"
        );
        assert_eq!(
            seen("sip:bob@b", "Route: <sip:us.example:5080;lr>\r\n"),
            "sip:bob@b via [<sip:us.example:5080;lr>]"
        );
    }

    #[test]
    fn a_route_of_ours_with_another_mark_is_another_stop() {
        let routes = "Route: <sip:us.example;lr>, <sip:one@us.example;lr>, <sip:one@us.example:5061;lr>, \
            <sip:two@us.example;lr>\r\n";
        assert_eq!(
            seen("sip:bob@b", routes),
            "sip:bob@b via [<sip:two@us.example;lr>]one"
        );
    }

    #[test]
    fn a_strict_router_before_us_is_seen_through() {
        assert_eq!(
            seen(
                "sip:us.example;lr",
                "Route: <sip:next;lr>\r\nRoute: <sip:bob@b>\r\n"
            ),
            "sip:bob@b via [<sip:next;lr>]"
        );
        assert_eq!(
            seen("sip:us.example;lr", "Route: <sip:bob@b>\r\n"),
            "sip:bob@b via []"
        );
        assert_eq!(
            seen("sip:us.example", "Route: <sip:next;lr>\r\n"),
            "sip:us.example via [<sip:next;lr>]"
        );
    }

    #[test]
    fn the_mark_in_our_record_route_is_found_again() {
        assert_eq!(
            seen(
                "sip:bob@b",
                "Route: <sip:mark@us.example;lr>, <sip:mark@us.example:5061;lr>\r\n"
            ),
            "sip:bob@b via []mark"
        );
        assert_eq!(
            seen(
                "sip:mark@us.example;lr",
                "Route: <sip:next;lr>\r\nRoute: <sip:bob@b>\r\n"
            ),
            "sip:bob@b via [<sip:next;lr>]mark"
        );
        assert_eq!(
            seen("sip:bob@b", "Route: <sip:mark@next;lr>\r\n"),
            "sip:bob@b via [<sip:mark@next;lr>]"
        );
    }

    #[test]
    fn a_strict_router_ahead_gets_its_address_in_the_request_uri() {
        let loose = request("sip:bob@b", "Route: <sip:next;lr>\r\n");
        assert_eq!(postprocessed(loose.clone()), loose);
        let strict = postprocessed(request("sip:bob@b", "Route: <sip:next>, <sip:far;lr>\r\n"));
        assert_eq!(strict.request_uri(), "sip:next");
        let routes: Vec<_> = strict.values(HeaderName::Route).collect();
        assert_eq!(routes, [&b"<sip:far;lr>"[..], b"<sip:bob@b>"]);
    }
}
