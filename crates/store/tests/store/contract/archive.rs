//! The archive as its users read it: pages of what each of them wrote and got.

use crate::world::*;
use bytes::Bytes;
use domain::{ArchivePage, ArchiveQuery, Change, Class, Message, Timestamp, archive};

contract! {
    a_page_is_what_its_query_names,
    both_who_wrote_a_message_and_who_got_it_have_it,
    nothing_transient_and_nobody_elses_is_there,
    a_message_that_is_not_there_cannot_be_named,
    what_a_user_wrote_before_they_had_their_account_is_not_theirs,
    a_user_who_goes_takes_their_own_archive_and_nobody_elses,
    what_retention_removed_is_in_no_archive,
    a_page_has_its_limits,
    a_long_archive_is_read_in_both_directions_and_goes_as_a_whole,
}

async fn page(store: &TheStore, user: &str, query: &ArchiveQuery) -> Option<ArchivePage> {
    store.archive(&address(user), query).await.unwrap()
}

/// The ids of a page with a `+` behind them if it is not complete, or a `?`.
async fn ids(store: &TheStore, user: &str, query: &ArchiveQuery) -> String {
    let Some(page) = page(store, user, query).await else {
        return "?".to_owned();
    };
    let ids: Vec<&str> = page.messages.iter().map(|it| it.id.as_str()).collect();
    let more = if page.is_complete { "" } else { "+" };
    ids.join(" ") + more
}

fn all() -> ArchiveQuery {
    ArchiveQuery {
        limit: archive::ROWS,
        ..ArchiveQuery::default()
    }
}

/// The last of these words is how the page is asked for; the others say what.
fn query(text: &str) -> ArchiveQuery {
    let mut query = all();
    for word in text.split_whitespace() {
        let (what, value) = word.split_once('=').unwrap_or((word, ""));
        let time = || Some(Timestamp(value.parse().unwrap()));
        match what {
            "with" => query.with = Some(address(value).to_string()),
            "start" => query.start = time(),
            "end" => query.end = time(),
            "after" => query.after.push(message_id(value)),
            "before" => query.before.push(message_id(value)),
            "id" => query.ids.push(message_id(value)),
            "first" => query.limit = value.parse().unwrap(),
            "last" => {
                query.limit = value.parse().unwrap();
                query.from_end = true;
            }
            _ => panic!("{word}"),
        }
    }
    query
}

fn at(time: u64, message: Message) -> Change {
    let at = Timestamp(time);
    Change::Archive(Message { at, ..message }.into())
}

/// Alice, and what she wrote and got: `e` came late.
async fn of_alice(store: &TheStore) {
    save(
        store,
        [
            put_user("alice"),
            put_user("bob"),
            at(10, message("a", "bob", "alice")),
            at(20, message("b", "alice", "bob")),
            at(30, message("c", "carol", "alice")),
            at(40, message("x", "carol", "bob")),
            at(40, message("d", "alice", "alice")),
            at(35, message("e", "alice", "carol")),
            at(50, message("f", "bob", "alice")),
        ],
    )
    .await;
}

async fn a_page_is_what_its_query_names(store: TheStore) {
    of_alice(&store).await;
    for (text, expected) in [
        ("", "a b c d e f"),
        ("first=2", "a b+"),
        ("first=6", "a b c d e f"),
        ("first=2 after=b", "c d+"),
        ("first=2 after=d", "e f"),
        ("first=2 after=f", ""),
        ("first=0", "+"),
        ("first=0 after=f", ""),
        ("last=2", "e f+"),
        ("last=2 before=e", "c d+"),
        ("last=2 before=c", "a b"),
        ("last=2 before=a", ""),
        ("first=2 before=e", "a b+"),
        ("last=2 after=d", "e f"),
        ("after=b before=e", "c d"),
        ("after=b after=c before=f before=e", "d"),
        ("after=e before=b", ""),
        ("with=bob", "a b f"),
        ("with=bob first=1 after=a", "b+"),
        ("with=bob last=1", "f+"),
        ("with=carol", "c e"),
        ("with=alice", "d"),
        ("with=nobody", ""),
        ("start=30", "c d e f"),
        ("end=30", "a b c"),
        ("start=20 end=36", "b c e"),
        ("start=31 end=36 with=bob", ""),
        ("start=90", ""),
        ("id=c", "c"),
        ("id=f id=a id=f", "a f"),
        ("id=f id=a id=c last=2", "c f+"),
        ("id=f id=a id=c first=2", "a c+"),
        ("id=a id=c id=f with=bob", "a f"),
        ("id=a id=c after=b", "c"),
        ("id=x", "?"),
        ("id=a id=x", "?"),
        ("after=x", "?"),
        ("before=nothing", "?"),
    ] {
        let found = ids(&store, "alice", &query(text)).await;
        assert_eq!(found, expected, "{text}");
    }
}

async fn both_who_wrote_a_message_and_who_got_it_have_it(store: TheStore) {
    of_alice(&store).await;
    assert_eq!(ids(&store, "bob", &all()).await, "a b x f");
    assert_eq!(ids(&store, "bob", &query("with=carol")).await, "x");
    let found = page(&store, "bob", &query("id=b")).await.unwrap();
    let sent = store.message(&message_id("b")).await.unwrap().unwrap();
    assert_eq!(*found.messages[0], sent);
}

async fn nothing_transient_and_nobody_elses_is_there(store: TheStore) {
    let typing = Message {
        class: Class::Transient,
        ..message("a", "bob", "alice")
    };
    let chat = Message {
        class: Class::Chat,
        ..message("b", "bob", "alice")
    };
    let changes = [typing, chat].map(|it| Change::Archive(it.into()));
    save(
        &store,
        [put_user("alice"), put_user("bob"), put_user("eve")],
    )
    .await;
    save(&store, changes).await;
    for (user, found) in [("alice", "b"), ("bob", "b"), ("eve", ""), ("nobody", "")] {
        assert_eq!(ids(&store, user, &all()).await, found, "{user}");
    }
}

/// Not even by who knows the id of another's message.
async fn a_message_that_is_not_there_cannot_be_named(store: TheStore) {
    of_alice(&store).await;
    for text in [
        "after=x",
        "before=x",
        "id=x",
        "id=a id=x",
        "after=",
        "before=0",
    ] {
        assert_eq!(ids(&store, "alice", &query(text)).await, "?", "{text}");
    }
    assert_eq!(ids(&store, "nobody", &query("after=a")).await, "?");
}

async fn what_a_user_wrote_before_they_had_their_account_is_not_theirs(store: TheStore) {
    let stranger = Message {
        from: "\"x\" <sip:x@elsewhere.example>".to_owned(),
        ..message("b", "alice", "bob")
    };
    let loud = Message {
        from: "Carol@EXAMPLE.org".to_owned(),
        ..message("c", "carol", "bob")
    };
    save(&store, [put_user("bob"), archive("a", "alice", "bob")]).await;
    save(&store, [Change::Archive(stranger.clone().into())]).await;
    save(&store, [put_user("alice"), put_user("carol")]).await;
    save(&store, [archive("a", "alice", "bob")]).await;
    save(&store, [Change::Archive(loud.into())]).await;
    assert_eq!(ids(&store, "alice", &all()).await, "");
    assert_eq!(ids(&store, "bob", &all()).await, "a b c");
    assert_eq!(ids(&store, "bob", &query("with=carol")).await, "c");
    assert_eq!(ids(&store, "carol", &query("with=bob")).await, "c");
    let with = Some(stranger.from);
    let of_stranger = ArchiveQuery { with, ..all() };
    assert_eq!(ids(&store, "bob", &of_stranger).await, "b");
}

async fn a_user_who_goes_takes_their_own_archive_and_nobody_elses(store: TheStore) {
    of_alice(&store).await;
    save(&store, [Change::RemoveUser(address("alice"))]).await;
    assert_eq!(ids(&store, "alice", &all()).await, "");
    assert_eq!(ids(&store, "bob", &all()).await, "a b x f");
    // Who comes after her under her name does not read what was hers.
    save(&store, [put_user("alice"), archive("g", "bob", "alice")]).await;
    assert_eq!(ids(&store, "alice", &all()).await, "g");
}

async fn what_retention_removed_is_in_no_archive(store: TheStore) {
    of_alice(&store).await;
    save(&store, [enqueue_for_user("alice", "a")]).await;
    let pruned = store.prune(Timestamp(40)).await.unwrap();
    assert_eq!(pruned.messages, 2);
    assert_eq!(ids(&store, "alice", &all()).await, "a d e f");
    assert_eq!(ids(&store, "bob", &all()).await, "a x f");
    assert_eq!(ids(&store, "alice", &query("after=b")).await, "?");
}

async fn a_page_has_its_limits(store: TheStore) {
    let mut step = vec![put_user("alice")];
    step.extend((100..301).map(|n| archive(&n.to_string(), "bob", "alice")));
    for n in 0..3 {
        let long = Message {
            body: Bytes::from(vec![b'x'; archive::OCTETS / 2]),
            ..message(&format!("long{n}"), "bob", "alice")
        };
        step.push(Change::Archive(long.into()));
    }
    let longest = Message {
        body: Bytes::from(vec![b'x'; archive::OCTETS * 2]),
        ..message("longest", "bob", "alice")
    };
    step.push(Change::Archive(longest.into()));
    save(&store, step).await;
    for (text, rows) in [
        ("first=100", 100),
        ("first=101", 100),
        ("last=500 before=300", 100),
    ] {
        let found = page(&store, "alice", &query(text)).await.unwrap();
        assert_eq!(
            (found.messages.len(), found.is_complete),
            (rows, false),
            "{text}"
        );
    }
    for (text, expected) in [
        ("first=9 after=300", "long0 long1+"),
        ("first=9 after=long1", "long2+"),
        ("first=9 after=long2", "longest"),
        ("last=9", "longest+"),
        ("last=2 before=longest", "long1 long2+"),
    ] {
        assert_eq!(ids(&store, "alice", &query(text)).await, expected, "{text}");
    }
}

/// Longer than what the backends keep together.
async fn a_long_archive_is_read_in_both_directions_and_goes_as_a_whole(store: TheStore) {
    const LONG: u64 = 3_000;
    // Dave wrote once at the beginning, and once at the end.
    let writer = |n| if n % (LONG - 1) == 0 { "dave" } else { "bob" };
    let mut step = ["alice", "bob", "dave"].map(put_user).to_vec();
    step.extend((0..LONG).map(|n| at(n, message(&n.to_string(), writer(n), "alice"))));
    save(&store, step).await;
    let mut forwards: Vec<u64> = Vec::new();
    let mut backwards: Vec<u64> = Vec::new();
    let number = |id: &str| id.parse::<u64>().unwrap();
    loop {
        let after = forwards.last().map(|n| message_id(&n.to_string()));
        let query = ArchiveQuery {
            after: after.into_iter().collect(),
            ..all()
        };
        let found = page(&store, "alice", &query).await.unwrap();
        forwards.extend(found.messages.iter().map(|it| number(it.id.as_str())));
        if found.is_complete {
            break;
        }
        assert_eq!(found.messages.len(), archive::ROWS);
    }
    loop {
        let before = backwards.last().map(|n| message_id(&n.to_string()));
        let query = ArchiveQuery {
            before: before.into_iter().collect(),
            from_end: true,
            ..all()
        };
        let found = page(&store, "alice", &query).await.unwrap();
        backwards.extend(found.messages.iter().rev().map(|it| number(it.id.as_str())));
        if found.is_complete {
            break;
        }
    }
    backwards.reverse();
    assert!(forwards.iter().copied().eq(0..LONG), "{forwards:?}");
    assert_eq!(backwards, forwards);
    for text in ["with=dave", "with=dave last=2", "id=2999 id=0"] {
        assert_eq!(ids(&store, "alice", &query(text)).await, "0 2999", "{text}");
    }
    assert_eq!(ids(&store, "dave", &query("first=1")).await, "0+");
    assert_eq!(ids(&store, "dave", &query("last=1")).await, "2999+");

    assert_eq!(store.prune(Timestamp(2_000)).await.unwrap().messages, 2_000);
    assert_eq!(ids(&store, "dave", &all()).await, "2999");
    assert_eq!(ids(&store, "alice", &query("first=1")).await, "2000+");
    save(&store, [Change::RemoveUser(address("alice"))]).await;
    assert_eq!(ids(&store, "alice", &all()).await, "");
    assert_eq!(ids(&store, "bob", &query("last=1")).await, "2998+");
}
