//! Databases of earlier versions: what they hold is taken over.

use crate::world::*;
use domain::{
    ArchiveQuery, Class, Device, Door, DoorId, Handed, Purpose, Timestamp, Token,
    device::DeadToken, trace::Step,
};
use rusqlite::Connection;
use store::Pruned;

/// As version 0.1.0 made it. Nothing of it may change.
const FIRST: &str = include_str!("../../src/sqlite/migrations/0001.sql");

/// As version 0.1.0 wrote them.
const ROWS: &str = r#"
    PRAGMA application_id = 0x52564c4c;
    PRAGMA user_version = 1;
    INSERT INTO users VALUES ('alice@example.org', 'ALICE', 'md5 of alice', 'sha256 of alice', NULL);
    INSERT INTO users VALUES ('bob@example.org', 'BOB', 'md5 of bob', 'sha256 of bob', 'sip:vm@example.org');
    INSERT INTO devices VALUES ('full', 'alice@example.org', 'org.example.phone',
        '{"voip":{"value":"aa11","given_at":7,"dead":null,"handed":"in_registration"},
          "message":{"value":"bb22","given_at":8,"dead":{"at":9,"reason":"Unregistered"},"handed":"apart"}}',
        '{"p256dh":"BKey","auth":"secret"}', '"foreground"',
        '{"contact":"<sip:alice@192.0.2.1;pn-provider=apns>;+sip.instance=\"<urn:uuid:U>\"",
          "source":"tcp/192.0.2.1:5060","q":700,"expires_at":99,
          "call_id":"one","cseq":1,"path":["<sip:edge;lr>","<sip:inner;lr>"],"user_agent":"Phone 1.0"}', 1000, 2000);
    INSERT INTO devices VALUES ('plain', 'bob@example.org', NULL, '{"voip":null,"message":null}', NULL, NULL,
        '{"contact":"<sip:bob@[2001:db8::1]:5070>","source":"udp/[2001:db8::1]:5070","q":1000,"expires_at":98,
          "call_id":"two","cseq":2,"path":[],"user_agent":""}', 1000, 3000);
    INSERT INTO devices VALUES ('bare', 'alice@example.org', NULL, '{"voip":null,"message":null}',
        NULL, NULL, NULL, 1000, 1000);
    INSERT INTO history (device, at, what) VALUES ('full', 1, 'one'), ('bare', 2, 'other'), ('full', 3, 'two');
    INSERT INTO messages VALUES
        (4, 'z', 't-z', 'bob@example.org', 'BOB', 'alice@example.org', 2000, 'text/plain', X'00ff', '"chat"'),
        (5, 'a', 't-a', 'bob@example.org', 'BOB', 'alice@example.org', 2000, 'text/plain', X'', '"notice"');
    INSERT INTO queue (device, user, message) VALUES
        ('full', NULL, 'z'), ('full', NULL, 'a'), (NULL, 'bob@example.org', 'a');
    INSERT INTO owed VALUES
        ('p-call', 'full', '{"kind":"call","call":"c@1","register_at":"here"}', 't-p-call', NULL, 5, 60005, 2),
        ('p-message', 'full', '{"kind":"message","conversation":"c1","unread":3}', 't-p-message', 'm1', 5, 60005, 0),
        ('p-refresh', 'bare', '{"kind":"refresh"}', 't-p-refresh', NULL, 5, 60005, 0);
    INSERT INTO stories VALUES (1, 't1', 7), (2, 't2', 8);
    INSERT INTO events (story, at, step, alias, device, detail) VALUES
        (1, 7, 'call_received', 'call@1', NULL, 't1: call_received'),
        (2, 8, 'message_stored', NULL, NULL, 't2: message_stored'),
        (1, 9, 'ringing', NULL, 'gone', 't1: ringing');
"#;

fn full() -> Device {
    let mut full = full_device("full", "alice");
    full.seen_at = Timestamp(2000);
    full.tokens.voip = Some(Token {
        value: "aa11".into(),
        given_at: Timestamp(7),
        dead: None,
        on_probation: false,
        handed: Handed::Through(0),
    });
    full.tokens.message = Some(Token {
        value: "bb22".into(),
        given_at: Timestamp(8),
        dead: Some(Box::new(DeadToken {
            since: Timestamp(9),
            reason: "Unregistered".into(),
        })),
        on_probation: false,
        handed: Handed::Apart,
    });
    full
}

/// A door with what its role reads.
fn as_register(device: &str, (opened_at, expires_at, q): (u64, u64, u16), lines: &[&str]) -> Door {
    Door {
        id: DoorId {
            device: device_id(device),
            number: 0,
        },
        opened_at: Timestamp(opened_at),
        expires_at: Timestamp(expires_at),
        q,
        data: (lines.join("\r\n") + "\r\n\r\n").into(),
    }
}

#[tokio::test]
async fn a_registration_of_the_first_schema_stays_as_a_door() {
    let directory = tempfile::tempdir().unwrap();
    let store = of_the_first_schema(&directory).await;
    let full = as_register(
        "full",
        (2000, 99, 700),
        &[
            "REGISTER sip:localhost SIP/2.0",
            "Via: SIP/2.0/TCP 192.0.2.1:5060",
            "From: <sip:localhost>",
            "To: <sip:localhost>",
            "Call-ID: one",
            "CSeq: 1 REGISTER",
            "Contact: <sip:alice@192.0.2.1;pn-provider=apns>;+sip.instance=\"<urn:uuid:U>\";q=0.700",
            "Path: <sip:edge;lr>",
            "Path: <sip:inner;lr>",
            "User-Agent: Phone 1.0",
        ],
    );
    let plain = as_register(
        "plain",
        (3000, 98, 1000),
        &[
            "REGISTER sip:localhost SIP/2.0",
            "Via: SIP/2.0/UDP [2001:DB8::1]:5070",
            "From: <sip:localhost>",
            "To: <sip:localhost>",
            "Call-ID: two",
            "CSeq: 2 REGISTER",
            "Contact: <sip:bob@[2001:db8::1]:5070>;q=1.000",
        ],
    );
    assert_eq!(loaded(&store).await.doors, [full, plain]);
}

async fn of_the_first_schema(directory: &tempfile::TempDir) -> TheStore {
    let path = directory.path().join("db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(FIRST).unwrap();
    old.execute_batch(ROWS).unwrap();
    old.close().unwrap();
    let store = sqlite(&path);
    store.close().await.unwrap();
    // And what was made of it opens again.
    sqlite(&path)
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = of_the_first_schema(&directory).await;
    let found = loaded(&store).await;
    let mut bob = user("bob");
    bob.forward = Some("sip:vm@example.org".to_owned());
    assert_eq!(found.users, [user("alice"), bob]);
    let mut plain = device("plain", "bob");
    plain.seen_at = Timestamp(3000);
    assert_eq!(found.devices, [device("bare", "alice"), full(), plain]);
    assert_eq!(found.queued, [(device_id("full"), 2)]);
    assert_eq!(found.unclaimed, [(address("bob"), 1)]);
    let purposes: Vec<_> = found.owed.iter().map(|push| &push.purpose).collect();
    let call = Purpose::Call {
        call: "c@1".to_owned(),
        register_at: "here".to_owned(),
    };
    let message = owed("p-message", "full", 5);
    assert_eq!(purposes, [&call, &message.purpose, &Purpose::Refresh]);
    assert_eq!(found.owed[0].attempts, 2);
    assert_eq!(found.owed[1], message);
}

#[tokio::test]
async fn what_the_first_schema_keeps_for_later_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = of_the_first_schema(&directory).await;
    assert_eq!(queue(&store, "full").await, ["z", "a"]);
    let first = store.message(&message_id("z")).await.unwrap().unwrap();
    assert_eq!((first.class, &first.body[..]), (Class::Chat, &[0, 255][..]));
    let told = store.history(&device_id("full"), 9).await.unwrap();
    assert_eq!(told, [line("full", 3, "two"), line("full", 1, "one")]);
    let mut ringing = event("t1", 9, Step::Ringing);
    ringing.device = Some(device_id("gone"));
    let story = [
        called(event("t1", 7, Step::CallReceived), "call@1"),
        ringing,
    ];
    assert_eq!(store.trace("call@1").await.unwrap(), story);
    assert_eq!(store.recent_traces(9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_the_first_schema_archived_is_its_users() {
    let directory = tempfile::tempdir().unwrap();
    let store = of_the_first_schema(&directory).await;
    let query = ArchiveQuery {
        with: Some(address("bob").to_string()),
        limit: 9,
        ..ArchiveQuery::default()
    };
    let page = store.archive(&address("alice"), &query).await.unwrap();
    let page = page.unwrap();
    let ids: Vec<&str> = page.messages.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["z", "a"]);
    let of_bob = ArchiveQuery {
        with: Some(address("alice").to_string()),
        ..query
    };
    let of_bob = store.archive(&address("bob"), &of_bob).await.unwrap();
    assert_eq!(of_bob, Some(page));
}

#[tokio::test]
async fn a_database_that_was_taken_over_works_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = of_the_first_schema(&directory).await;
    let delivered = delivered("full", "z");
    save(&store, [put_door("full", 0), delivered, settle("p-call")]).await;
    save(&store, [domain::Change::RemoveUser(address("bob"))]).await;
    let everything_else = store.prune(Timestamp(u64::MAX >> 1)).await.unwrap();
    let expected = Pruned {
        stories: 2,
        messages: 1,
        history: 3,
    };
    assert_eq!(everything_else, expected);
    let left = loaded(&store).await;
    assert_eq!(left.doors, [door("full", 0)]);
    assert_eq!(queue(&store, "full").await, ["a"]);

    let directory = directory.path().join("db");
    let tables: String = Connection::open(directory)
        .unwrap()
        .query_row(
            "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(!tables.contains("_1"), "nothing old is left: {tables}");
}
