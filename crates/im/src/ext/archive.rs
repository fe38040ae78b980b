//! The message archive (XEP-0313), and preferences of it (XEP-0441): what clients ask, and how it is answered.

use super::{Asked, Deed};
use crate::letters;
use domain::{Address, ArchivePage, ArchiveQuery, Message, MessageId, Timestamp, archive, date};
use xmpp::{jid::Jid, ns, stanza::StanzaCondition, xml::Element};

/// What is wanted of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) query: ArchiveQuery,
    pub(crate) shape: Shape,
}

/// How it is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// Message by message; with the client's name for its query, and the newest first if it wants that (XEP-0313 §4.3.4).
    Page(Option<Box<str>>, bool),
    /// Where the archive begins and ends (XEP-0313 §5): the beginning is wanted.
    Begin,
    /// It begins with this one; the end is wanted.
    End(MessageId, Timestamp),
}

/// What a field of a query says (XEP-0313 §4.1).
type Field = fn(&mut ArchiveQuery, &[String]) -> Result<(), StanzaCondition>;

/// The fields of a query, and of which type they are (XEP-0313 §4.1.5).
const FIELDS: [(&str, &str, Field); 6] = [
    ("with", "jid-single", with),
    ("start", "text-single", |query, values| {
        time(values).map(|at| query.start = Some(at))
    }),
    ("end", "text-single", |query, values| {
        time(values).map(|at| query.end = Some(at))
    }),
    ("before-id", "text-single", |query, values| {
        one(values).map(|id| query.before.push(MessageId::from(id)))
    }),
    ("after-id", "text-single", |query, values| {
        one(values).map(|id| query.after.push(MessageId::from(id)))
    }),
    ("ids", "list-multi", ids),
];

/// What can be asked (XEP-0313 §4.1.5).
pub(super) fn fields(asked: &Asked<'_>) -> Deed {
    if !asked.of_account {
        return nowhere();
    }
    let mut form = Element::new(ns::DATA, "x")
        .with_attr("type", "form")
        .with_child(field("FORM_TYPE", "hidden").with_child(value(ns::MAM)));
    for (name, kind, _) in FIELDS {
        let mut field = field(name, kind);
        if kind == "list-multi" {
            // Any id may be in the list.
            let open = Element::new(ns::VALIDATE, "open");
            let validate = Element::new(ns::VALIDATE, "validate");
            let validate = validate.with_attr("datatype", "xs:string");
            field.push(validate.with_child(open));
        }
        form.push(field);
    }
    Deed::Answer(Some(Element::new(ns::MAM, "query").with_child(form)))
}

fn field(name: &str, kind: &str) -> Element {
    Element::new(ns::DATA, "field")
        .with_attr("type", kind)
        .with_attr("var", name)
}

fn value(text: &str) -> Element {
    Element::new(ns::DATA, "value").with_text(text)
}

/// An archive is its user's alone: there is none at any other address.
fn nowhere() -> Deed {
    Deed::Refuse(StanzaCondition::ServiceUnavailable)
}

/// Messages are wanted (XEP-0313 §4).
pub(super) fn query(asked: &Asked<'_>) -> Deed {
    if !asked.of_account {
        return nowhere();
    }
    read(asked.payload).map_or_else(Deed::Refuse, |wanted| Deed::Archive(Box::new(wanted)))
}

fn read(payload: &Element) -> Result<Wanted, StanzaCondition> {
    let mut query = ArchiveQuery {
        limit: archive::ROWS,
        ..ArchiveQuery::default()
    };
    if let Some(form) = payload.child(ns::DATA, "x") {
        filter(&mut query, form)?;
    }
    if let Some(set) = payload.child(ns::RSM, "set") {
        turn_to(&mut query, set)?;
    }
    let name = payload.attr("queryid").map(Into::into);
    let flip = payload.child(ns::MAM, "flip-page").is_some();
    Ok(Wanted {
        query,
        shape: Shape::Page(name, flip),
    })
}

/// XEP-0313 §4.1: a form (XEP-0004).
fn filter(query: &mut ArchiveQuery, form: &Element) -> Result<(), StanzaCondition> {
    let mut is_ours = false;
    for field in form.children().filter(|it| it.is(ns::DATA, "field")) {
        let values = field.children().filter(|it| it.is(ns::DATA, "value"));
        let values: Vec<String> = values.map(|it| it.text().into_owned()).collect();
        let name = field.attr("var").ok_or(StanzaCondition::BadRequest)?;
        if name == "FORM_TYPE" {
            is_ours = values == [ns::MAM];
            continue;
        }
        // XEP-0313 §4.1.5.
        let row = FIELDS.iter().find(|(known, ..)| *known == name);
        let (.., read) = row.ok_or(StanzaCondition::FeatureNotImplemented)?;
        read(query, &values)?;
    }
    if !is_ours || form.attr("type") != Some("submit") {
        return Err(StanzaCondition::BadRequest);
    }
    Ok(())
}

fn one(values: &[String]) -> Result<&str, StanzaCondition> {
    match values {
        [value] if !value.is_empty() => Ok(value),
        _ => Err(StanzaCondition::BadRequest),
    }
}

fn time(values: &[String]) -> Result<Timestamp, StanzaCondition> {
    date::of_iso8601(one(values)?).ok_or(StanzaCondition::BadRequest)
}

/// XEP-0313 §4.1.1. By client nothing is found: which of them wrote a message is in the message alone.
fn with(query: &mut ArchiveQuery, values: &[String]) -> Result<(), StanzaCondition> {
    let jid = Jid::parse(one(values)?).map_err(|_| StanzaCondition::BadRequest)?;
    if !jid.is_bare() {
        return Err(StanzaCondition::FeatureNotImplemented);
    }
    let address: Option<Address> = jid.as_str().parse().ok();
    query.with = Some(address.map_or_else(|| jid.as_str().to_owned(), String::from));
    Ok(())
}

/// XEP-0313 §4.1.3: as many as are in a page.
fn ids(query: &mut ArchiveQuery, values: &[String]) -> Result<(), StanzaCondition> {
    if values.is_empty() {
        return Err(StanzaCondition::BadRequest);
    }
    if values.len() > archive::ROWS {
        return Err(StanzaCondition::PolicyViolation);
    }
    query.ids = values.iter().map(|id| MessageId::from(&**id)).collect();
    Ok(())
}

/// Which page (XEP-0059, XEP-0313 §4.3): by its place there is none.
fn turn_to(query: &mut ArchiveQuery, set: &Element) -> Result<(), StanzaCondition> {
    let said = |name| set.child(ns::RSM, name).map(|it| it.text().into_owned());
    let named = |id: Option<String>| id.filter(|id| !id.is_empty()).map(|id| id[..].into());
    if said("index").is_some() {
        return Err(StanzaCondition::FeatureNotImplemented);
    }
    if let Some(max) = said("max") {
        let max: u32 = max.parse().map_err(|_| StanzaCondition::BadRequest)?;
        query.limit = usize::try_from(max).unwrap_or(archive::ROWS);
    }
    query.from_end = said("before").is_some();
    query.before.extend(named(said("before")));
    query.after.extend(named(said("after")));
    Ok(())
}

/// XEP-0313 §5.
pub(super) fn metadata(asked: &Asked<'_>) -> Deed {
    if !asked.of_account {
        return nowhere();
    }
    let query = ArchiveQuery {
        limit: 1,
        ..ArchiveQuery::default()
    };
    let shape = Shape::Begin;
    Deed::Archive(Box::new(Wanted { query, shape }))
}

/// Everything is archived (XEP-0441 §2.1), and nobody can change that.
pub(super) fn preferences(asked: &Asked<'_>) -> Deed {
    if !asked.of_account {
        return nowhere();
    }
    let preferences = Element::new(ns::MAM, "prefs")
        .with_attr("default", "always")
        .with_child(Element::new(ns::MAM, "always"))
        .with_child(Element::new(ns::MAM, "never"));
    Deed::Answer(Some(preferences))
}

pub(super) fn set_preferences(_: &Asked<'_>) -> Deed {
    Deed::Refuse(StanzaCondition::FeatureNotImplemented)
}

/// A message of the archive for its user's client (XEP-0313 §4.2). `None`: it has nothing that can be said in a stanza.
pub(crate) fn result(
    message: &Message,
    name: Option<&str>,
    of: &Address,
    to: &Jid,
) -> Option<Element> {
    let forwarded = Element::new(ns::FORWARD, "forwarded")
        .with_child(letters::delay(of, message.at))
        .with_child(letters::archived(message, of)?);
    let mut result = Element::new(ns::MAM, "result");
    if let Some(name) = name {
        result.set_attr("queryid", name);
    }
    result.set_attr("id", message.id.as_str());
    Some(
        Element::new(ns::CLIENT, "message")
            .with_attr("from", of.as_str())
            .with_attr("to", to.as_str())
            .with_child(result.with_child(forwarded)),
    )
}

/// What follows them (XEP-0313 §4.3.2).
pub(crate) fn fin(page: &ArchivePage) -> Element {
    let mut set = Element::new(ns::RSM, "set");
    let ends = [
        ("first", page.messages.first()),
        ("last", page.messages.last()),
    ];
    for (name, message) in ends {
        if let Some(message) = message {
            set.push(Element::new(ns::RSM, name).with_text(message.id.as_str()));
        }
    }
    let mut fin = Element::new(ns::MAM, "fin");
    if page.is_complete {
        fin.set_attr("complete", "true");
    }
    fin.with_child(set)
}

/// Where an archive begins and ends, unless it is empty (XEP-0313 §5).
pub(crate) fn bounds(ends: Option<[(&MessageId, Timestamp); 2]>) -> Element {
    let mut metadata = Element::new(ns::MAM, "metadata");
    for (name, (id, at)) in ["start", "end"].into_iter().zip(ends.into_iter().flatten()) {
        let end = Element::new(ns::MAM, name)
            .with_attr("id", id.as_str())
            .with_attr("timestamp", date::iso8601(at));
        metadata.push(end);
    }
    metadata
}

#[cfg(test)]
mod tests;
