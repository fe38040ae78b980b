//! All that is kept of one user, as lines of JSON: what `reveille user export` writes. Each line has a `kind`; times are UTC. No
//! password verifiers, push tokens or keys are in it: it may leave the house.

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    Address, ArchiveQuery, Device, Message, Timestamp, User, archive, date,
    roster::{Contact, Direction},
    trace::Named,
};
use serde_json::{Value, json};
use std::io::Write;
use store::{Store, limits};

/// Of the lines; another number means that a reader of this one may not understand them.
const VERSION: u32 = 1;

/// Writes lines and counts them.
struct Lines<'w> {
    to: &'w mut dyn Write,
    written: u64,
}

impl Lines<'_> {
    fn line(&mut self, kind: &str, mut value: Value) -> Result<()> {
        value["kind"] = json!(kind);
        writeln!(self.to, "{value}").context("the export could not be written")?;
        self.written += 1;
        Ok(())
    }
}

/// Writes all that is kept of a user, without more of it in memory than a page of the archive. The last line says how many came
/// before it: without that one it was cut off.
///
/// # Errors
/// There is no such user, the store cannot be read, or the lines cannot be written.
pub(crate) async fn export(
    store: &dyn Store,
    address: &Address,
    now: Timestamp,
    to: &mut dyn Write,
) -> Result<u64> {
    let user = store.user(address).await?;
    let user = user
        .with_context(|| format!("there is no user {address}: `reveille user list` shows all"))?;
    let mut lines = Lines { to, written: 0 };
    let version = json!({ "version": VERSION, "address": address, "at": date::iso8601(now) });
    lines.line("export", version)?;
    lines.line("account", account(&user))?;
    let devices = store.devices(Some(address)).await?;
    for device in &devices {
        let value = of_device(store, device).await?;
        lines.line("device", value)?;
    }
    for contact in store.roster(address).await? {
        lines.line("contact", of_contact(&contact))?;
    }
    for blocked in store.blocked(address).await? {
        lines.line("blocked", json!({ "address": blocked }))?;
    }
    if let Some(card) = store.card(address).await? {
        lines.line(
            "card",
            json!({ "card": String::from_utf8_lossy(&card.octets) }),
        )?;
    }
    for session in store.sessions(address).await? {
        let until = date::iso8601(session.until);
        let value = json!({ "name": session.name, "until": until, "octets": session.data.len() });
        lines.line("session", value)?;
    }
    messages(store, address, &mut lines).await?;
    let devices = devices.into_iter().map(|it| it.id).collect();
    let who = Named {
        user: address.clone(),
        devices,
    };
    stories(store, &who, &mut lines).await?;
    let written = lines.written;
    lines.line("end", json!({ "lines": written }))?;
    lines
        .to
        .flush()
        .context("the export could not be written")?;
    Ok(written)
}

fn account(user: &User) -> Value {
    json!({
        "address": user.address,
        "display_name": user.display_name,
        "forward": user.forward,
        "signs_in_by": if user.secrets.scram.is_some() { "SIP and XMPP" } else { "SIP" },
    })
}

async fn of_device(store: &dyn Store, device: &Device) -> Result<Value> {
    let doors = store.doors(&device.id).await?;
    let door = |it: &domain::Door| {
        json!({
            "number": it.id.number,
            "opened_at": date::iso8601(it.opened_at),
            "expires_at": date::iso8601(it.expires_at),
        })
    };
    let history = store.history(&device.id, limits::READ_ROWS).await?;
    let entry =
        |it: &domain::change::HistoryEntry| json!({ "at": date::iso8601(it.at), "what": it.what });
    Ok(json!({
        "id": device.id,
        "app": device.app,
        "created_at": date::iso8601(device.created_at),
        "seen_at": date::iso8601(device.seen_at),
        "pushed_to_for_calls": device.tokens.voip.is_some(),
        "pushed_to_for_messages": device.tokens.message.is_some(),
        "pushes_are_sealed": device.key.is_some(),
        "doors": doors.iter().map(door).collect::<Vec<_>>(),
        "history": history.iter().map(entry).collect::<Vec<_>>(),
    }))
}

fn of_contact(contact: &Contact) -> Value {
    json!({
        "address": contact.peer,
        "name": contact.name,
        "groups": contact.groups,
        "subscription": contact.subscription(),
        "asked_by_user": contact.to == Direction::Pending,
        "asked_by_contact": contact.from == Direction::Pending,
        "approved": contact.approved,
        "listed": contact.is_listed,
    })
}

async fn messages(store: &dyn Store, user: &Address, lines: &mut Lines<'_>) -> Result<()> {
    let mut query = ArchiveQuery {
        limit: archive::ROWS,
        ..ArchiveQuery::default()
    };
    loop {
        // The last message of the page before may have gone with retention: the rest is read from then on.
        let Some(page) = store.archive(user, &query).await? else {
            query.after.clear();
            continue;
        };
        for message in &page.messages {
            lines.line("message", of_message(message))?;
        }
        let last = page.messages.last().filter(|_| !page.is_complete);
        let Some(last) = last else {
            return Ok(());
        };
        query.after = vec![last.id.clone()];
        query.start = Some(last.at);
    }
}

/// A body that is no text is in base64.
fn of_message(message: &Message) -> Value {
    let mut value = json!({
        "id": message.id,
        "at": date::iso8601(message.at),
        "from": message.from,
        "from_name": message.from_name,
        "to": message.to,
        "class": message.class,
        "content_type": message.content_type,
    });
    if let Some(about) = &message.about {
        value["subject"] = json!(about.subject);
        value["lang"] = json!(about.lang);
    }
    match std::str::from_utf8(&message.body) {
        Ok(text) => value["body"] = json!(text),
        Err(_) => value["body_base64"] = json!(STANDARD.encode(&message.body)),
    }
    value
}

async fn stories(store: &dyn Store, who: &Named, lines: &mut Lines<'_>) -> Result<()> {
    let mut after = 0;
    loop {
        let told = store.stories_of(who, after).await?;
        for story in told.stories {
            lines.line("story", json!({ "steps": story }))?;
        }
        match told.next {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use domain::{
        Card, Change, Class, KeptSession, Note, Token, TraceEvent, device::Handed, trace::Step,
        user::Secrets,
    };

    fn message(number: usize, body: Bytes) -> Change {
        Change::Archive(
            Message {
                id: format!("m{number}").as_str().into(),
                tracking: format!("t{number}").as_str().into(),
                from: "alice@here".to_owned(),
                from_name: "Alice".to_owned(),
                to: "bob@here".parse().unwrap(),
                at: Timestamp(1000),
                class: Class::Chat,
                content_type: "text/plain".to_owned(),
                body,
                about: None,
            }
            .into(),
        )
    }

    fn full() -> Vec<Change> {
        let alice: Address = "alice@here".parse().unwrap();
        let mut device = Device::new("d1".into(), alice.clone(), Timestamp(5));
        device.tokens.voip = Some(Token {
            value: "secret token".into(),
            given_at: Timestamp(5),
            dead: None,
            on_probation: false,
            handed: Handed::Apart,
        });
        let user = User {
            address: alice.clone(),
            display_name: "Alice".to_owned(),
            secrets: Secrets {
                md5: "secret md5".to_owned(),
                sha256: "secret sha256".to_owned(),
                scram: None,
                mark: 0,
            },
            forward: Some("sip:bob@here".to_owned()),
        };
        let mut contact = Contact::new(alice.clone(), "bob@here".parse().unwrap());
        contact.is_listed = true;
        let address = alice.clone();
        let mut changes = vec![
            Change::PutUser(Box::new(user)),
            Change::PutDevice(Box::new(device)),
            Change::PutContact(Box::new(contact)),
            Change::Block {
                user: alice.clone(),
                peer: "spam.example".into(),
            },
            Change::PutCard {
                user: alice,
                card: Box::new(Card {
                    octets: Bytes::from_static(b"<vCard/>"),
                    avatar: None,
                }),
            },
            Change::PutSession(Box::new(KeptSession {
                user: address,
                name: "phone".to_owned(),
                until: Timestamp(1_000),
                data: Bytes::from_static(b"the secret name of a session"),
            })),
            message(999, Bytes::from_static(b"\xff")),
        ];
        // More than a page.
        let many = 0..archive::ROWS * 2 + 1;
        changes.extend(many.map(|number| message(number, Bytes::from_static(b"hi"))));
        changes
    }

    async fn exported(store: &dyn Store) -> Result<Vec<Value>> {
        let mut text = Vec::new();
        let alice = "alice@here".parse().unwrap();
        let written = export(store, &alice, Timestamp(0), &mut text).await?;
        let lines = String::from_utf8(text)?;
        assert!(!lines.contains("secret"), "{lines}");
        let lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(written + 1, lines.len() as u64);
        Ok(lines)
    }

    #[tokio::test]
    async fn all_that_is_kept_of_a_user_is_in_it_and_no_secret() {
        let store = store::open("memory:").unwrap();
        assert!(
            exported(store.as_ref()).await.is_err(),
            "nobody of that name"
        );
        let saved = store.commit(vec![full()]).await.unwrap();
        assert_eq!(saved, [Ok(())]);
        store.note(vec![Note::Story(TraceEvent {
            tracking: "t1".into(),
            at: Timestamp(1),
            step: Step::CallReceived,
            alias: None,
            device: None,
            detail: "from bob@here to alice@here".to_owned(),
        })]);
        let lines = exported(store.as_ref()).await.unwrap();
        let mut kinds: Vec<&str> = lines
            .iter()
            .map(|it| it["kind"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds.iter().filter(|it| **it == "message").count(),
            archive::ROWS * 2 + 2
        );
        kinds.dedup();
        assert_eq!(
            kinds,
            [
                "export", "account", "device", "contact", "blocked", "card", "session", "message",
                "story", "end"
            ]
        );
        let of = |kind: &str| lines.iter().find(|it| it["kind"] == kind).unwrap();
        assert_eq!(of("account")["forward"], "sip:bob@here");
        assert_eq!(of("device")["pushed_to_for_calls"], true);
        assert_eq!(of("contact")["address"], "bob@here");
        assert_eq!(of("session")["until"], "1970-01-01T00:00:01.000Z");
        assert_eq!(of("message")["body_base64"], "/w==");
        assert_eq!(of("story")["steps"][0]["step"], "call_received");
        assert_eq!(of("end")["lines"], lines.len() - 1);
    }
}
