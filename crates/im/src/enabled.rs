//! What a client has enabled at its app's own server (XEP-0357 §5): it is the token of its device, what is published follows from it
//! (§7), and what the server answers is sorted into what becomes of a push (§7.1).

use domain::{AppId, AppProfile, Generation, Outcome, Platform, Provider};
use std::time::Duration;
use xmpp::{
    jid::Jid,
    ns,
    stanza::{ErrorType, StanzaCondition, StanzaError},
    xml::{Context, Element, Limits, document},
};

/// An app server that has too much to do is left alone for so long.
const BUSY: Duration = Duration::from_mins(1);
/// One that has trouble, or is not there.
const TROUBLE: Duration = Duration::from_secs(5);
/// Most octets of an app server's own words that go into stories and logs.
const WORDS: usize = 120;

/// An app server's push service, with the node there that stands for a device, and what is said with each publication.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Enabled {
    pub(crate) jid: Jid,
    pub(crate) node: String,
    /// A form, secrets in it (XEP-0060 §7.1.5).
    pub(crate) options: Option<Element>,
}

impl Enabled {
    /// As it is kept: as a token, whose beginning tells service and node.
    pub(crate) fn token(&self) -> String {
        let mut enable = start(&self.jid, Some(&self.node));
        if let Some(options) = &self.options {
            enable.push(options.clone());
        }
        text(&enable)
    }

    /// How tokens begin for this service, and for this node there, if one is named.
    pub(crate) fn like(jid: &Jid, node: Option<&str>) -> String {
        let whole = text(&start(jid, node));
        whole.trim_end_matches("/>").to_owned()
    }

    /// What was kept so.
    pub(crate) fn read(token: &str) -> Option<Self> {
        let enable = document(token.as_bytes(), &Limits::default()).ok()?;
        let enable = Some(enable).filter(|it| it.is(ns::PUSH, "enable"))?;
        Some(Self {
            jid: Jid::parse(enable.attr("jid")?).ok()?,
            node: enable.attr("node")?.to_owned(),
            options: enable.child(ns::DATA, "x").cloned(),
        })
    }

    /// What is published there: how many messages wait, and neither by whom nor what (`behaviour.md` 9).
    pub(crate) fn publication(&self, from: &str, waiting: u64) -> Element {
        let field = |name: &str, value: &str| {
            let value = Element::new(ns::DATA, "value").with_text(value);
            Element::new(ns::DATA, "field")
                .with_attr("var", name)
                .with_child(value)
        };
        let summary = Element::new(ns::DATA, "x")
            .with_attr("type", "form")
            .with_child(field("FORM_TYPE", ns::PUSH_SUMMARY))
            .with_child(field("message-count", &waiting.to_string()));
        let notification = Element::new(ns::PUSH, "notification").with_child(summary);
        let item = Element::new(ns::PUBSUB, "item").with_child(notification);
        let publish = Element::new(ns::PUBSUB, "publish").with_attr("node", self.node.as_str());
        let mut pubsub = Element::new(ns::PUBSUB, "pubsub").with_child(publish.with_child(item));
        if let Some(options) = &self.options {
            let all = Element::new(ns::PUBSUB, "publish-options");
            pubsub.push(all.with_child(options.clone()));
        }
        Element::new(ns::CLIENT, "iq")
            .with_attr("type", "set")
            .with_attr("from", from)
            .with_attr("to", self.jid.as_str())
            .with_child(pubsub)
    }
}

fn start(jid: &Jid, node: Option<&str>) -> Element {
    let enable = Element::new(ns::PUSH, "enable").with_attr("jid", jid.as_str());
    match node {
        Some(node) => enable.with_attr("node", node),
        None => enable,
    }
}

fn text(element: &Element) -> String {
    String::from_utf8(element.to_octets(Context::DOCUMENT)).unwrap_or_default()
}

/// How apps are pushed to whose own server is the component of this domain: by one way for calls and messages.
pub fn app_of(component: &str) -> AppProfile {
    AppProfile {
        app: AppId::from(component),
        platform: Platform::Unknown,
        provider: Provider::AppServer,
        generation: Generation::DualChannel,
    }
}

/// The app server is not there, or says nothing.
pub(crate) fn unavailable(why: &str) -> Outcome {
    Outcome::Unavailable {
        reason: why.to_owned(),
        retry_after: TROUBLE,
    }
}

/// Too much is under way there.
pub(crate) fn busy(reason: String) -> Outcome {
    Outcome::Throttled {
        retry_after: BUSY,
        reason,
    }
}

/// What an answer to a publication means.
pub(crate) fn outcome(answer: &Element) -> Outcome {
    use StanzaCondition::{
        BadRequest, FeatureNotImplemented, InternalServerError, JidMalformed, RecipientUnavailable,
        RemoteServerNotFound, RemoteServerTimeout, ResourceConstraint, ServiceUnavailable,
        UndefinedCondition, UnexpectedRequest,
    };
    if answer.attr("type") == Some("result") {
        let id = answer.attr("id").unwrap_or_default();
        return Outcome::Accepted {
            provider_id: id.to_owned(),
        };
    }
    let Some(error) = StanzaError::read(answer) else {
        return unavailable("an error without a reason");
    };
    let reason = words(&error);
    match (error.error_type, error.condition) {
        (_, ResourceConstraint) => busy(reason),
        (ErrorType::Wait, _)
        | (
            _,
            InternalServerError | RecipientUnavailable | RemoteServerNotFound | RemoteServerTimeout
            | ServiceUnavailable | UndefinedCondition | UnexpectedRequest,
        ) => Outcome::Unavailable {
            reason,
            retry_after: TROUBLE,
        },
        // It is what we have published that is wrong there, and not the node.
        (_, BadRequest | FeatureNotImplemented | JidMalformed) => Outcome::Refused { reason },
        // No such node, not with this secret, not any more.
        _ => Outcome::TokenDead {
            since: None,
            reason,
        },
    }
}

/// Its condition, and the beginning of its own words, if there are any.
fn words(error: &StanzaError) -> String {
    let condition = error.condition.name();
    let Some(text) = &error.text else {
        return condition.to_owned();
    };
    let text: String = text.chars().take(WORDS).collect();
    format!("{condition}: {text}")
}

/// The node for which an app server takes no more, if that is what a message says (XEP-0357 §8).
pub(crate) fn revoked(message: &Element) -> Option<&str> {
    let pubsub = message.child(ns::PUBSUB, "pubsub")?;
    let affiliation = pubsub.child(ns::PUBSUB, "affiliation")?;
    let is_none = affiliation.attr("affiliation") == Some("none");
    pubsub.attr("node").filter(|_| is_none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled(node: &str, secret: &str) -> Enabled {
        let form = format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>\
             http://jabber.org/protocol/pubsub#publish-options</value></field>\
             <field var='secret'><value>{secret}</value></field></x>"
        );
        Enabled {
            jid: Jid::parse("push.app.example").unwrap(),
            node: node.to_owned(),
            options: document(form.as_bytes(), &Limits::default()).ok(),
        }
    }

    #[test]
    fn a_token_is_what_was_enabled_and_begins_with_service_and_node() {
        let one = enabled("o'n<e", "s&t");
        let token = one.token();
        assert_eq!(Enabled::read(&token), Some(one.clone()));
        for (node, is_like) in [(None, true), (Some("o'n<e"), true), (Some("o"), false)] {
            assert_eq!(token.starts_with(&Enabled::like(&one.jid, node)), is_like);
        }
        let longer = Jid::parse("push.app.example.org").unwrap();
        assert!(!token.starts_with(&Enabled::like(&longer, None)));
        let shorter = Jid::parse("push.app").unwrap();
        assert!(!token.starts_with(&Enabled::like(&shorter, None)));
        assert_eq!(Enabled::read("token"), None);
    }

    #[test]
    fn the_beginning_of_a_token_that_is_shown_has_no_secret_in_it() {
        let token = enabled("node", "hidden").token();
        assert!(!token[..8].contains("hid") && token.contains("hidden"));
    }

    #[test]
    fn an_error_ends_a_token_only_if_it_is_about_the_token() {
        for (kind, condition, outcome_of_it) in [
            ("cancel", "item-not-found", "token_dead"),
            ("auth", "forbidden", "token_dead"),
            ("auth", "not-authorized", "token_dead"),
            ("cancel", "not-allowed", "token_dead"),
            ("cancel", "gone", "token_dead"),
            // XEP-0060 §7.1.5: another secret.
            ("cancel", "conflict", "token_dead"),
            ("modify", "not-acceptable", "token_dead"),
            ("wait", "item-not-found", "unavailable"),
            ("wait", "internal-server-error", "unavailable"),
            ("cancel", "internal-server-error", "unavailable"),
            ("cancel", "service-unavailable", "unavailable"),
            ("cancel", "undefined-condition", "unavailable"),
            ("cancel", "unheard-of", "unavailable"),
            ("wait", "resource-constraint", "throttled"),
            ("modify", "bad-request", "refused"),
            ("cancel", "feature-not-implemented", "refused"),
        ] {
            let error = Element::new(ns::CLIENT, "error")
                .with_attr("type", kind)
                .with_child(Element::new(ns::STANZA_ERRORS, condition));
            let answer = Element::new(ns::CLIENT, "iq")
                .with_attr("type", "error")
                .with_child(error);
            assert_eq!(outcome(&answer).name(), outcome_of_it, "{kind} {condition}");
        }
        let result = Element::new(ns::CLIENT, "iq").with_attr("type", "result");
        assert_eq!(outcome(&result).name(), "accepted");
        let empty = Element::new(ns::CLIENT, "iq").with_attr("type", "error");
        assert_eq!(outcome(&empty).name(), "unavailable");
    }
}
