//! Push notifications (XEP-0357), as clients switch them on and off. The push service is our own, at an address of ours, and
//! takes what the device API takes: the app, its tokens, and the key to seal with. Or it is an app's own server, a component, of
//! which the client knows a node, and what is to be said with each publication there.

use super::{Asked, Deed};
use crate::{enabled::Enabled, settings::CALLS};
use domain::device::SealingKey;
use hub::{DeviceUpdate, Meant};
use std::borrow::Cow;
use xmpp::{
    jid::Jid,
    ns,
    stanza::{StanzaCondition, StanzaError},
    xml::Element,
};

/// Longest token that is taken, in bytes.
const TOKEN_BYTES: usize = 4096;
/// Longest name of an app or a device, in bytes.
const NAME_BYTES: usize = 256;
/// What a form says of a device.
const FIELDS: [&str; 5] = ["app", "voip", "message", "p256dh", "auth"];

/// XEP-0357 §5.
pub(super) fn enable(asked: &Asked<'_>) -> Deed {
    let wanted = meant(asked).and_then(|service| match service {
        Service::Ours(node) => Ok((node, options(asked)?)),
        Service::Theirs(jid, node) => Ok((None, at_server(asked, jid, node)?)),
    });
    match wanted {
        Ok((node, update)) => Deed::Enable(node, Box::new(update)),
        Err(error) => Deed::Explain(error),
    }
}

/// XEP-0357 §6.
pub(super) fn disable(asked: &Asked<'_>) -> Deed {
    match meant(asked) {
        Ok(Service::Ours(node)) => Deed::Disable(node),
        Ok(Service::Theirs(jid, node)) => Deed::DisableAt(Meant::AtServer {
            app: jid.domain().into(),
            like: Enabled::like(&jid, node.as_deref()).into(),
            exists: node.is_some(),
        }),
        Err(error) => Deed::Explain(error),
    }
}

/// Whose push service it is, with the node that is named there.
enum Service {
    Ours(Option<Box<str>>),
    Theirs(Jid, Option<Box<str>>),
}

/// What the push service says of itself (XEP-0357 §4.2).
pub(crate) fn service() -> Element {
    let identity = Element::new(ns::DISCO_INFO, "identity")
        .with_attr("category", "pubsub")
        .with_attr("type", "push");
    let mut query = Element::new(ns::DISCO_INFO, "query").with_child(identity);
    for feature in [ns::DISCO_INFO, ns::PUSH] {
        query.push(Element::new(ns::DISCO_INFO, "feature").with_attr("var", feature));
    }
    query
}

/// The push service stops to push to a device (XEP-0357 §8): its token is dead.
pub(crate) fn disabled(service: &str, node: &str, to: &Jid) -> Element {
    let affiliation = Element::new(ns::PUBSUB, "affiliation")
        .with_attr("jid", to.bare_str())
        .with_attr("affiliation", "none");
    let pubsub = Element::new(ns::PUBSUB, "pubsub").with_attr("node", node);
    Element::new(ns::CLIENT, "message")
        .with_attr("from", service)
        .with_attr("to", to.as_str())
        .with_child(pubsub.with_child(affiliation))
}

/// Which service is meant; or why it is none that we can push to.
fn meant(asked: &Asked<'_>) -> Result<Service, Box<StanzaError>> {
    let ours = asked.settings.push_service(asked.user.domain());
    if !asked.of_account {
        let text = "pushes are of an account: ask your own";
        return Err(wrong(StanzaCondition::ServiceUnavailable, text));
    }
    let Some(jid) = asked.payload.attr("jid") else {
        return Err(bad(format!("which push service? Ours is jid='{ours}'")));
    };
    let Ok(jid) = Jid::parse(jid) else {
        return Err(wrong(StanzaCondition::JidMalformed, "no address"));
    };
    let node = asked.payload.attr("node");
    if jid.as_str() == ours {
        return match node {
            Some(node) if node.len() > NAME_BYTES => Err(bad("the node is too long")),
            node => Ok(Service::Ours(node.map(Into::into))),
        };
    }
    // Nobody makes us send anything to whoever the operator has not named.
    if asked.settings.component(jid.domain()).is_none() {
        let text = format!("there is no way to that push service; ours is jid='{ours}'");
        return Err(wrong(StanzaCondition::RemoteServerNotFound, text));
    }
    match node {
        Some(node) if node.len() > TOKEN_BYTES => Err(bad("the node is too long")),
        node => Ok(Service::Theirs(jid, node.map(Into::into))),
    }
}

/// The form that says what is to be said with each publication, if there is one (XEP-0357 §5).
fn publish_options<'a>(asked: &Asked<'a>) -> Option<&'a Element> {
    asked.payload.child(ns::DATA, "x").filter(|form| {
        let kind = field(form, "FORM_TYPE").ok().flatten();
        kind.as_deref() == Some(ns::PUBSUB_PUBLISH_OPTIONS)
    })
}

/// What a client wants to be pushed to by, by way of its app's own server.
fn at_server(
    asked: &Asked<'_>,
    jid: Jid,
    node: Option<Box<str>>,
) -> Result<DeviceUpdate, Box<StanzaError>> {
    let node = node.filter(|node| !node.is_empty());
    let node = node.ok_or_else(|| bad("the node that the app's server gave to the client"))?;
    let options = publish_options(asked);
    if options.is_none() && asked.payload.children().next().is_some() {
        let kind = ns::PUBSUB_PUBLISH_OPTIONS;
        return Err(bad(format!(
            "the one form there is has the FORM_TYPE {kind}"
        )));
    }
    let app = jid.domain().into();
    let enabled = Enabled {
        jid,
        node: node.into(),
        options: options.cloned(),
    };
    let token = enabled.token();
    if token.len() > TOKEN_BYTES {
        return Err(bad("node and form are too long"));
    }
    Ok(DeviceUpdate {
        of: Some(CALLS),
        app: Some(app),
        voip: Some(token.clone()),
        message: Some(token),
        key: None,
        mode: None,
    })
}

fn bad(text: impl Into<Cow<'static, str>>) -> Box<StanzaError> {
    wrong(StanzaCondition::BadRequest, text)
}

fn wrong(condition: StanzaCondition, text: impl Into<Cow<'static, str>>) -> Box<StanzaError> {
    Box::new(StanzaError::new(condition).with_text(text))
}

/// What the form says.
fn options(asked: &Asked<'_>) -> Result<DeviceUpdate, Box<StanzaError>> {
    let Some(form) = publish_options(asked) else {
        let kind = ns::PUBSUB_PUBLISH_OPTIONS;
        return Err(bad(format!(
            "a form of the FORM_TYPE {kind} says what to push to: app, and voip or message or both"
        )));
    };
    let mut said = [const { None }; FIELDS.len()];
    for (name, said) in FIELDS.into_iter().zip(&mut said) {
        *said = field(form, name)?;
    }
    let [app, voip, message, p256dh, auth] = said;
    let app = app.filter(|app| app.len() <= NAME_BYTES);
    let app = app.ok_or_else(|| bad("the field app names the app, as [[push.app]] does"))?;
    if asked.settings.component(&app).is_some() {
        let text = "that app has a server of its own: name it as jid, and a node of it";
        return Err(wrong(StanzaCondition::ItemNotFound, text));
    }
    if voip.is_none() && message.is_none() {
        return Err(bad(
            "a token is missing: voip for calls, message for messages",
        ));
    }
    let key = match (p256dh, auth) {
        (None, None) => None,
        (Some(p256dh), Some(auth)) => Some(SealingKey { p256dh, auth }),
        _ => return Err(bad("the key to seal with is two fields: p256dh and auth")),
    };
    if let Some(key) = &key {
        (asked.settings.check_key)(key).map_err(bad)?;
    }
    Ok(DeviceUpdate {
        of: Some(CALLS),
        app: Some(app.into()),
        voip,
        message,
        key,
        mode: None,
    })
}

/// The one value of a field, if there is one (XEP-0004). One that is empty says nothing.
fn field(form: &Element, name: &str) -> Result<Option<String>, Box<StanzaError>> {
    let fields = form.children().filter(|it| it.is(ns::DATA, "field"));
    let mut fields = fields.filter(|it| it.attr("var") == Some(name));
    let mut values = fields
        .next()
        .into_iter()
        .flat_map(|field| field.children().filter(|it| it.is(ns::DATA, "value")));
    let value = values.next().map(|value| value.text().into_owned());
    if values.next().is_some() || fields.next().is_some() {
        return Err(bad(format!("the field {name} has more than one value")));
    }
    match value {
        Some(value) if value.len() > TOKEN_BYTES => {
            Err(bad(format!("the field {name} is too long")))
        }
        value => Ok(value.filter(|value| !value.is_empty())),
    }
}
