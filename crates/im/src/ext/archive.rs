//! The message archive (XEP-0313), and preferences of it (XEP-0441): what clients ask, and how it is answered.

use super::{Asked, Deed};
use crate::letters;
use domain::{Address, ArchivePage, ArchiveQuery, Message, MessageId, Timestamp, archive, date};
use std::sync::Arc;
use xmpp::{jid::Jid, ns, stanza::StanzaCondition, xml::Element};

/// What is wanted of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) query: ArchiveQuery,
    pub(crate) shape: Shape,
    /// Of these alone.
    pub(crate) client: Option<Box<ByClient>>,
}

/// Messages that a client wrote or that are addressed to it (XEP-0313 §4.1.1). Which it was is in the message: those are looked
/// through that are with its user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ByClient {
    client: Jid,
    /// So many are wanted.
    most: usize,
    /// So many pages were looked through.
    pages: usize,
    /// And this was found.
    found: Vec<Arc<Message>>,
}

impl Wanted {
    /// Without a client by which it is looked through.
    fn of(query: ArchiveQuery, shape: Shape) -> Self {
        Self {
            query,
            shape,
            client: None,
        }
    }
}

/// Pages that are looked through for the messages of one client; if they are not enough, its user is to be asked for.
const LOOKED: usize = 64;

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
type Field = fn(&mut Wanted, &[String]) -> Result<(), StanzaCondition>;

/// The fields of a query, and of which type they are (XEP-0313 §4.1.5).
const FIELDS: [(&str, &str, Field); 6] = [
    ("with", "jid-single", with),
    ("start", "text-single", |wanted, values| {
        time(values).map(|at| wanted.query.start = Some(at))
    }),
    ("end", "text-single", |wanted, values| {
        time(values).map(|at| wanted.query.end = Some(at))
    }),
    ("before-id", "text-single", |wanted, values| {
        one(values).map(|id| wanted.query.before.push(MessageId::from(id)))
    }),
    ("after-id", "text-single", |wanted, values| {
        one(values).map(|id| wanted.query.after.push(MessageId::from(id)))
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
    let query = ArchiveQuery {
        limit: archive::ROWS,
        ..ArchiveQuery::default()
    };
    let name = payload.attr("queryid").map(Into::into);
    let flip = payload.child(ns::MAM, "flip-page").is_some();
    let mut wanted = Wanted::of(query, Shape::Page(name, flip));
    if let Some(form) = payload.child(ns::DATA, "x") {
        filter(&mut wanted, form)?;
    }
    if let Some(set) = payload.child(ns::RSM, "set") {
        turn_to(&mut wanted.query, set)?;
    }
    if let Some(by) = &mut wanted.client {
        by.most = std::mem::replace(&mut wanted.query.limit, archive::ROWS);
    }
    Ok(wanted)
}

/// XEP-0313 §4.1: a form (XEP-0004).
fn filter(wanted: &mut Wanted, form: &Element) -> Result<(), StanzaCondition> {
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
        read(wanted, &values)?;
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

/// XEP-0313 §4.1.1.
fn with(wanted: &mut Wanted, values: &[String]) -> Result<(), StanzaCondition> {
    let jid = Jid::parse(one(values)?).map_err(|_| StanzaCondition::BadRequest)?;
    let address: Option<Address> = jid.bare_str().parse().ok();
    wanted.query.with = Some(address.map_or_else(|| jid.bare_str().to_owned(), String::from));
    let by_client = |client| ByClient {
        client,
        most: 0,
        pages: 0,
        found: Vec::new(),
    };
    let client = Some(jid).filter(|jid| !jid.is_bare());
    wanted.client = client.map(by_client).map(Box::new);
    Ok(())
}

/// XEP-0313 §4.1.3: as many as are in a page.
fn ids(wanted: &mut Wanted, values: &[String]) -> Result<(), StanzaCondition> {
    if values.is_empty() {
        return Err(StanzaCondition::BadRequest);
    }
    if values.len() > archive::ROWS {
        return Err(StanzaCondition::PolicyViolation);
    }
    wanted.query.ids = values.iter().map(|id| MessageId::from(&**id)).collect();
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
    Deed::Archive(Box::new(Wanted::of(query, shape)))
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

/// What comes of a page that was read.
#[derive(Debug)]
pub(crate) enum Looked {
    /// It is the answer, or what was looked for is complete.
    Enough(Wanted, ArchivePage),
    /// This is to be read before there is an answer.
    More(Wanted),
    /// There is more than is looked through.
    TooMuch,
}

impl Wanted {
    /// Of a page that was read, what is of the client that is wanted, with what was found before.
    pub(crate) fn look_through(mut self, page: ArchivePage) -> Looked {
        let Some(by) = &mut self.client else {
            return Looked::Enough(self, page);
        };
        let is_of = |message: &&Arc<Message>| letters::is_with(message, &by.client);
        let found: Vec<_> = page.messages.iter().filter(is_of).cloned().collect();
        by.pages += 1;
        let from_end = self.query.from_end;
        let end = if from_end {
            by.found.splice(..0, found);
            page.messages.first()
        } else {
            by.found.extend(found);
            page.messages.last()
        };
        let (is_enough, looked) = (by.found.len() > by.most || page.is_complete, by.pages);
        match end.filter(|_| !is_enough) {
            Some(_) if looked >= LOOKED => Looked::TooMuch,
            Some(end) => {
                let place = if from_end {
                    &mut self.query.before
                } else {
                    &mut self.query.after
                };
                *place = vec![end.id.clone()];
                Looked::More(self)
            }
            None => {
                let mut found = std::mem::take(&mut by.found);
                if from_end {
                    found.reverse();
                }
                let query = ArchiveQuery {
                    limit: by.most,
                    from_end,
                    ..ArchiveQuery::default()
                };
                let mut answer = ArchivePage::of(&query, found);
                answer.is_complete &= page.is_complete;
                Looked::Enough(self, answer)
            }
        }
    }
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
