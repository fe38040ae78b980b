use super::*;
use xmpp::xml::{Limits, document};

/// The query of a form with these fields, and of this set.
fn asked(fields: &str, set: &str) -> Result<ArchiveQuery, StanzaCondition> {
    let form_type = "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>";
    let form = format!("<x xmlns='jabber:x:data' type='submit'>{form_type}{fields}</x>");
    let set = format!("<set xmlns='http://jabber.org/protocol/rsm'>{set}</set>");
    raw(&format!("{form}{set}")).map(|wanted| wanted.query)
}

fn raw(content: &str) -> Result<Wanted, StanzaCondition> {
    let payload = format!("<query xmlns='urn:xmpp:mam:2' queryid='q'>{content}</query>");
    read(&document(payload.as_bytes(), &Limits::default()).unwrap())
}

fn field(name: &str, values: &[&str]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|it| format!("<value>{it}</value>"))
        .collect();
    let values = values.concat();
    format!("<field var='{name}'>{values}</field>")
}

fn all() -> ArchiveQuery {
    ArchiveQuery {
        limit: archive::ROWS,
        ..ArchiveQuery::default()
    }
}

#[test]
fn a_query_says_what_its_fields_say() {
    let of = |id: &str| vec![MessageId::from(id)];
    let time = |millis| Some(Timestamp(millis));
    for (fields, set, expected) in [
        (String::new(), "", all()),
        (
            field("with", &["Bob@LOCALHOST"]),
            "<max>10</max>",
            ArchiveQuery {
                with: Some("bob@localhost".to_owned()),
                limit: 10,
                ..all()
            },
        ),
        (
            field("with", &["localhost"]),
            "<max>0</max>",
            ArchiveQuery {
                with: Some("localhost".to_owned()),
                limit: 0,
                ..all()
            },
        ),
        (
            field("start", &["1970-01-01T00:00:01Z"])
                + &field("end", &["1970-01-01T01:00:00.5+01:00"]),
            "<after>a</after>",
            ArchiveQuery {
                start: time(1_000),
                end: time(500),
                after: of("a"),
                ..all()
            },
        ),
        (
            field("after-id", &["a"]) + &field("before-id", &["b"]),
            "<before/>",
            ArchiveQuery {
                after: of("a"),
                before: of("b"),
                from_end: true,
                ..all()
            },
        ),
        (
            field("before-id", &["b"]),
            "<max>4000000000</max><before>c</before>",
            ArchiveQuery {
                before: ["b", "c"].map(MessageId::from).into(),
                from_end: true,
                limit: 4_000_000_000,
                ..all()
            },
        ),
        (
            field("ids", &["a", "b"]),
            "<after/>",
            ArchiveQuery {
                ids: ["a", "b"].map(MessageId::from).into(),
                ..all()
            },
        ),
    ] {
        assert_eq!(asked(&fields, set), Ok(expected), "{fields} {set}");
    }
}

#[test]
fn a_query_that_says_nothing_that_can_be_done_is_refused() {
    use StanzaCondition::{BadRequest, FeatureNotImplemented, PolicyViolation};
    let many: Vec<String> = (0..=archive::ROWS).map(|it| it.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (fields, set, expected) in [
        (field("with", &[]), "", BadRequest),
        (field("with", &[""]), "", BadRequest),
        (field("with", &["@"]), "", BadRequest),
        (field("with", &["a@b", "c@d"]), "", BadRequest),
        (field("start", &["yesterday"]), "", BadRequest),
        (field("end", &["2023-02-29T00:00:00Z"]), "", BadRequest),
        (field("after-id", &[""]), "", BadRequest),
        (field("before-id", &["a", "b"]), "", BadRequest),
        (field("ids", &[]), "", BadRequest),
        (field("ids", &many), "", PolicyViolation),
        (
            field("include-groupchat", &["true"]),
            "",
            FeatureNotImplemented,
        ),
        ("<field><value>x</value></field>".to_owned(), "", BadRequest),
        (String::new(), "<max>-1</max>", BadRequest),
        (String::new(), "<max/>", BadRequest),
        (String::new(), "<index>3</index>", FeatureNotImplemented),
    ] {
        assert_eq!(asked(&fields, set), Err(expected), "{fields} {set}");
    }
}

#[test]
fn a_form_that_is_none_of_the_archives_is_refused() {
    let form_type = field("FORM_TYPE", &["urn:xmpp:mam:2"]);
    let other = field("FORM_TYPE", &["urn:xmpp:mam:1"]);
    let with = field("with", &["bob@localhost"]);
    for (kind, content, is_taken) in [
        ("submit", format!("{form_type}{with}"), true),
        ("submit", format!("{with}{form_type}"), true),
        ("form", format!("{form_type}{with}"), false),
        ("cancel", form_type.clone(), false),
        ("submit", format!("{other}{with}"), false),
        ("submit", with, false),
        ("submit", String::new(), false),
    ] {
        let form = format!("<x xmlns='jabber:x:data' type='{kind}'>{content}</x>");
        let refused = raw(&form).err();
        let expected = (!is_taken).then_some(StanzaCondition::BadRequest);
        assert_eq!(refused, expected, "{form}");
    }
}

#[test]
fn a_page_may_be_wanted_with_the_newest_first() {
    let shape = |flip| Shape::Page(Some("q".into()), flip);
    assert_eq!(raw("").unwrap().shape, shape(false));
    assert_eq!(raw("<flip-page/>").unwrap().shape, shape(true));
}

fn by_client(most: &str, before: &str) -> Wanted {
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
        <field var='with'><value>bob@localhost/phone</value></field></x>";
    raw(&format!(
        "{form}<set xmlns='http://jabber.org/protocol/rsm'><max>{most}</max>{before}</set>"
    ))
    .unwrap()
}

/// Number by number of which client of Bob's it is.
fn written(by: &[(usize, &str)]) -> Vec<Arc<Message>> {
    let message = |(number, client): &(usize, &str)| {
        Arc::new(Message {
            id: number.to_string().as_str().into(),
            tracking: "t".into(),
            from: "bob@localhost".to_owned(),
            from_name: String::new(),
            to: Address::new("alice", "localhost").unwrap(),
            at: Timestamp(0),
            class: domain::Class::Chat,
            content_type: letters::STANZA.to_owned(),
            body: format!("<message from='bob@localhost/{client}'><body>x</body></message>").into(),
            about: None,
        })
    };
    by.iter().map(message).collect()
}

fn page(by: &[(usize, &str)], is_complete: bool) -> ArchivePage {
    ArchivePage {
        messages: written(by),
        is_complete,
    }
}

fn ids(page: &ArchivePage) -> Vec<&str> {
    page.messages.iter().map(|it| it.id.as_str()).collect()
}

#[test]
fn messages_of_one_client_are_looked_for_until_there_are_enough() {
    let wanted = by_client("2", "");
    assert_eq!(wanted.query.limit, archive::ROWS);
    let Looked::More(wanted) = wanted.look_through(page(&[(1, "phone"), (2, "desk")], false))
    else {
        panic!("one is not enough")
    };
    assert_eq!(wanted.query.after, ["2".into()]);
    let more = page(&[(3, "phone"), (4, "phone")], false);
    let Looked::Enough(_, answer) = wanted.look_through(more) else {
        panic!("three are more than are wanted")
    };
    assert_eq!((ids(&answer), answer.is_complete), (vec!["1", "3"], false));
}

#[test]
fn messages_of_one_client_are_looked_for_from_the_end_too() {
    let wanted = by_client("2", "<before/>");
    let Looked::More(wanted) = wanted.look_through(page(&[(8, "phone"), (9, "desk")], false))
    else {
        panic!("one is not enough")
    };
    assert_eq!(wanted.query.before, ["8".into()]);
    let Looked::Enough(_, answer) = wanted.look_through(page(&[(6, "phone"), (7, "desk")], true))
    else {
        panic!("there are no more")
    };
    assert_eq!((ids(&answer), answer.is_complete), (vec!["6", "8"], true));
}

#[test]
fn so_much_is_looked_through_for_one_client_and_no_more() {
    let mut wanted = by_client("2", "");
    for _ in 1..LOOKED {
        let Looked::More(more) = wanted.look_through(page(&[(1, "desk")], false)) else {
            panic!("nothing was found")
        };
        wanted = more;
    }
    let last = wanted.look_through(page(&[(1, "desk")], false));
    assert!(matches!(last, Looked::TooMuch));
}
