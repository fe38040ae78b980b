//! External service discovery (XEP-0215): relays for audio and video, and what is shown there.

use super::{Asked, Deed};
use crate::turn::{Service, Turn};
use domain::date;
use xmpp::{ns, stanza::StanzaCondition, xml::Element};

/// All services, or those of one type.
pub(super) fn services(asked: &Asked<'_>) -> Deed {
    let Some(turn) = known(asked) else {
        return Deed::Refuse(StanzaCondition::ServiceUnavailable);
    };
    let kind = asked.payload.attr("type");
    let wanted = |it: &&Service| kind.is_none_or(|kind| it.kind == kind);
    answer(asked, turn, "services", turn.services.iter().filter(wanted))
}

/// What is shown at one of them.
pub(super) fn credentials(asked: &Asked<'_>) -> Deed {
    let Some(turn) = known(asked) else {
        return Deed::Refuse(StanzaCondition::ServiceUnavailable);
    };
    let mut children = asked.payload.children();
    let Some(wanted) = children.find(|it| it.is(ns::EXTERNAL_SERVICES, "service")) else {
        return Deed::Refuse(StanzaCondition::BadRequest);
    };
    let (kind, host) = (wanted.attr("type"), wanted.attr("host"));
    let port = wanted.attr("port").map(str::parse);
    let meant = |it: &&Service| {
        Some(&*it.kind) == kind
            && Some(&*it.host) == host
            && port.as_ref().is_none_or(|port| *port == Ok(it.port))
    };
    let mut found = turn.services.iter().filter(meant).peekable();
    if found.peek().is_none() {
        return Deed::Refuse(StanzaCondition::ItemNotFound);
    }
    answer(asked, turn, "credentials", found)
}

/// What we tell: nothing of an account's.
fn known<'a>(asked: &Asked<'a>) -> Option<&'a Turn> {
    let turn = asked.settings.turn.as_ref();
    turn.filter(|_| !asked.of_account)
}

fn answer<'t>(
    asked: &Asked<'_>,
    turn: &Turn,
    name: &'static str,
    services: impl Iterator<Item = &'t Service>,
) -> Deed {
    let shown = (turn.credentials)(asked.user, asked.now.wall);
    let mut all = Element::new(ns::EXTERNAL_SERVICES, name);
    for service in services {
        let mut element = Element::new(ns::EXTERNAL_SERVICES, "service")
            .with_attr("type", &*service.kind)
            .with_attr("host", &*service.host)
            .with_attr("port", service.port.to_string())
            .with_attr("transport", &*service.transport);
        if service.is_relay() {
            element = element
                .with_attr("restricted", "1")
                .with_attr("username", &*shown.username)
                .with_attr("password", &*shown.password)
                .with_attr("expires", date::iso8601(shown.expires));
        }
        all.push(element);
    }
    Deed::Answer(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::Settings, turn::Credentials};
    use domain::{Address, Now, Timestamp};
    use hub::Accounts;
    use std::{sync::Arc, time::Duration};

    fn service(kind: &str, port: u16) -> Service {
        Service {
            uri: format!("{kind}:t.example.org:{port}"),
            kind: kind.to_owned(),
            host: "t.example.org".to_owned(),
            port,
            transport: "udp".to_owned(),
        }
    }

    fn settings(turn: bool) -> Settings {
        let services: Arc<[_]> = [service("turn", 3478), service("stun", 3478)].into();
        let credentials = |user: &Address, now: Timestamp| Credentials {
            username: format!("for {user}"),
            password: "shown".to_owned(),
            expires: now.plus(Duration::from_hours(1)),
        };
        Settings {
            turn: turn.then(|| Turn {
                services,
                credentials: Arc::new(credentials),
            }),
            ..Settings::new(&["localhost".to_owned()], [0; 32]).unwrap()
        }
    }

    /// What is answered to this.
    fn asked(settings: &Settings, payload: &Element) -> Result<Element, StanzaCondition> {
        let instant = std::time::Instant::now();
        let user = Address::new("alice", "localhost").unwrap();
        let asked = Asked {
            now: Now {
                instant,
                wall: Timestamp(1_700_000_000_000),
            },
            settings,
            of_account: false,
            user: &user,
            runs_for: Duration::ZERO,
            accounts: &Accounts::default(),
            payload,
        };
        let deed = if payload.is(ns::EXTERNAL_SERVICES, "services") {
            services(&asked)
        } else {
            credentials(&asked)
        };
        match deed {
            Deed::Answer(answer) => Ok(answer.unwrap()),
            Deed::Refuse(condition) => Err(condition),
            other => panic!("{other:?}"),
        }
    }

    fn question(name: &'static str, service: Option<(&str, &str)>) -> Element {
        let question = Element::new(ns::EXTERNAL_SERVICES, name);
        let named = service.map(|(kind, port)| {
            Element::new(ns::EXTERNAL_SERVICES, "service")
                .with_attr("type", kind)
                .with_attr("host", "t.example.org")
                .with_attr("port", port)
        });
        named.into_iter().fold(question, Element::with_child)
    }

    fn kinds(answer: &Element) -> Vec<&str> {
        answer.children().filter_map(|it| it.attr("type")).collect()
    }

    #[test]
    fn services_are_told_with_what_is_shown_at_relays() {
        let settings = settings(true);
        let all = asked(&settings, &question("services", None)).unwrap();
        assert_eq!(kinds(&all), ["turn", "stun"]);
        let [turn, stun] = [0, 1].map(|at| all.children().nth(at).unwrap());
        assert_eq!(turn.attr("username"), Some("for alice@localhost"));
        assert_eq!(turn.attr("password"), Some("shown"));
        assert_eq!(turn.attr("restricted"), Some("1"));
        assert_eq!(turn.attr("expires"), Some("2023-11-14T23:13:20.000Z"));
        assert_eq!(stun.attr("username"), None);
        let of_type = question("services", None).with_attr("type", "stun");
        assert_eq!(kinds(&asked(&settings, &of_type).unwrap()), ["stun"]);
    }

    #[test]
    fn credentials_are_told_for_the_one_that_is_named() {
        let settings = settings(true);
        let named = question("credentials", Some(("turn", "3478")));
        assert_eq!(kinds(&asked(&settings, &named).unwrap()), ["turn"]);
        for (question, condition) in [
            (question("credentials", None), StanzaCondition::BadRequest),
            (
                question("credentials", Some(("turn", "1"))),
                StanzaCondition::ItemNotFound,
            ),
            (
                question("credentials", Some(("turn", "x"))),
                StanzaCondition::ItemNotFound,
            ),
        ] {
            assert_eq!(asked(&settings, &question), Err(condition));
        }
    }

    #[test]
    fn where_there_is_none_nothing_is_told() {
        let refused = asked(&settings(false), &question("services", None));
        assert_eq!(refused, Err(StanzaCondition::ServiceUnavailable));
    }
}
