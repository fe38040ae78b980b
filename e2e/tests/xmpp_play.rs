//! Alice, Bob and Carol use each extension that their client has (slixmpp), while Bob's phone sleeps and wakes. Each act is
//! between two or three of them, and says what the others see of it.

use reveille_e2e::{Login, Reveille, SOON, Slixmpp, new_token, poll};
use serde_json::{Value, json};

/// An image, and how it is known (XEP-0153 §3.1): the SHA-1 of "abc".
const PHOTO: &str = "YWJj";
const PHOTO_HASH: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

const ALICE: &str = "alice@localhost/desk";
const BOB: &str = "bob@localhost/phone";
const CAROL: &str = "carol@localhost/tablet";

/// Who plays. Alice knows both others, who do not know each other.
struct Stage {
    server: Reveille,
    alice: Slixmpp,
    bob: Slixmpp,
    carol: Slixmpp,
    /// The tokens of Bob's phone, for calls and for messages.
    voip: String,
    message: String,
}

#[test]
fn three_users_use_all_that_their_client_has_while_one_of_them_sleeps_and_wakes() {
    let mut stage = Stage::set();
    stage.they_know_what_the_server_and_the_others_can();
    stage.they_see_who_the_others_are();
    stage.they_talk();
    stage.bob_blocks_carol_for_a_while();
    stage.nobody_looks_at_bobs_phone();
    let heard = stage.bobs_phone_sleeps();
    stage.bobs_phone_wakes(heard);
    stage.they_call_each_other();
    stage.bob_reads_his_archive();
    stage.carol_goes();
}

impl Stage {
    fn set() -> Self {
        let server = Reveille::started();
        let come = |login: Login| {
            let mut client = Slixmpp::start(&server, &login.extended());
            client.expect("signed_in", &json!({}));
            client.does("roster", &json!({}));
            client.be_available();
            client
        };
        let mut alice = come(Login::new("alice", "desk"));
        let mut bob = come(Login::new("bob", "phone").resuming());
        let mut carol = come(Login::new("carol", "tablet"));
        for (other, name) in [(&mut bob, "bob"), (&mut carol, "carol")] {
            Slixmpp::subscribe(&mut alice, other, "alice", name, "to", "from");
            Slixmpp::subscribe(other, &mut alice, name, "alice", "both", "both");
        }
        let (voip, message) = (new_token(), new_token());
        bob.does(
            "enable_push",
            &json!({"jid": "push.localhost", "app": "com.example.phone", "voip": voip, "message": message}),
        );
        Self {
            server,
            alice,
            bob,
            carol,
            voip,
            message,
        }
    }

    /// XEP-0115, XEP-0030, XEP-0215.
    fn they_know_what_the_server_and_the_others_can(&mut self) {
        // The plug-in verifies each hash against what it is a hash of, and says nothing of one that is wrong.
        let server = self.alice.does("caps", &json!({"of": "localhost"}));
        assert_features(
            &server,
            &[
                "urn:xmpp:carbons:2",
                "urn:xmpp:blocking",
                "jabber:iq:register",
            ],
        );
        let account = self.alice.does("disco", &json!({"to": "alice@localhost"}));
        assert_features(
            &account,
            &["urn:xmpp:mam:2", "urn:xmpp:sid:0", "urn:xmpp:push:0"],
        );
        let bob = self.alice.does("caps", &json!({"of": BOB}));
        assert_features(
            &bob,
            &[
                "urn:xmpp:receipts",
                "urn:xmpp:chat-markers:0",
                "urn:xmpp:reactions:0",
            ],
        );
        assert!(
            server["ver"] != bob["ver"] && server["ver"] != "",
            "{server} {bob}"
        );
        // There is nothing to offer of external services, and nobody who offers it.
        let features = server["features"].as_array().expect("a list");
        assert!(
            !features.contains(&json!("urn:xmpp:extdisco:2")),
            "{server}"
        );
        let services = json!({"to": "localhost", "xml": "<services xmlns='urn:xmpp:extdisco:2'/>"});
        self.alice
            .is_refused("ask", &services, "service-unavailable");
    }

    /// XEP-0054, XEP-0153, XEP-0012.
    fn they_see_who_the_others_are(&mut self) {
        self.alice
            .does("card_set", &json!({"name": "Alice Ä.", "given": "Alice"}));
        self.alice
            .does("avatar", &json!({"kind": "image/png", "photo": PHOTO}));
        for client in [&mut self.bob, &mut self.carol] {
            client.expect("avatar", &json!({"from": ALICE, "photo": PHOTO_HASH}));
            let card = client.does("card", &json!({"to": "alice@localhost"}));
            let read = ["name", "given", "kind", "photo"].map(|field| card[field].clone());
            assert_eq!(
                read,
                ["Alice Ä.", "Alice", "image/png", PHOTO].map(Value::from)
            );
        }
        self.bob.is_refused(
            "card",
            &json!({"to": "carol@localhost"}),
            "service-unavailable",
        );
        for to in ["localhost", "bob@localhost"] {
            let last = self.alice.does("last", &json!({"to": to}));
            let seconds = last["seconds"].as_u64().expect("seconds");
            // The server has just begun, and Bob is there.
            assert!(seconds < if to == "localhost" { 120 } else { 1 }, "{last}");
        }
        self.bob
            .is_refused("last", &json!({"to": "carol@localhost"}), "forbidden");
    }

    /// XEP-0085, XEP-0184, XEP-0333, XEP-0308, XEP-0461, XEP-0444, XEP-0424, XEP-0297, XEP-0334, XEP-0359.
    fn they_talk(&mut self) {
        let Self {
            alice, bob, carol, ..
        } = self;
        alice.tell(&json!({"do": "state", "to": "bob@localhost", "state": "composing"}));
        bob.expect("chat_state", &json!({"from": ALICE, "state": "composing"}));
        alice.tell(
            &json!({"do": "write", "to": "bob@localhost", "id": "a1", "body": "dinnr at 8?",
                           "wants": ["receipt", "marker"]}),
        );
        bob.expect(
            "message",
            &json!({"from": ALICE, "id": "a1", "body": "dinnr at 8?", "delayed": false}),
        );
        bob.expect("chat_state", &json!({"from": ALICE, "state": "active"}));
        let seen = bob.expect("wire", &json!({"from": ALICE, "id": "a1"}));
        assert_eq!(
            seen["has"],
            json!([
                "active",
                "body",
                "markable",
                "origin-id",
                "request",
                "stanza-id"
            ])
        );
        assert_eq!(seen["ids"][0][0], "bob@localhost");
        alice.expect("receipt", &json!({"from": BOB, "of": "a1"}));
        bob.tell(&json!({"do": "mark", "to": ALICE, "of": "a1", "marker": "displayed"}));
        alice.expect(
            "marker",
            &json!({"from": BOB, "of": "a1", "marker": "displayed"}),
        );
        alice.tell(&json!({"do": "correct", "to": "bob@localhost", "of": "a1", "id": "a2", "body": "dinner at 8?"}));
        bob.expect(
            "correction",
            &json!({"from": ALICE, "of": "a1", "body": "dinner at 8?"}),
        );
        bob.tell(&json!({"do": "reply", "to": ALICE, "of": "a1", "quoted": "dinner at 8?", "id": "b1", "body": "yes"}));
        alice.expect(
            "reply",
            &json!({"from": BOB, "of": "a1", "quoted": "> dinner at 8?\n", "text": "yes"}),
        );
        alice.tell(&json!({"do": "react", "to": BOB, "of": "b1", "reactions": ["👍🏽", "🎉"]}));
        bob.expect(
            "reactions",
            &json!({"from": ALICE, "of": "b1", "reactions": ["🎉", "👍🏽"]}),
        );
        bob.tell(&json!({"do": "write", "to": ALICE, "id": "b2", "body": "who else?"}));
        alice.expect("message", &json!({"from": BOB, "body": "who else?"}));
        bob.tell(&json!({"do": "retract", "to": ALICE, "of": "b2"}));
        alice.expect("retraction", &json!({"from": BOB, "of": "b2"}));
        alice.tell(&json!({"do": "forward", "to": "carol@localhost", "writer": BOB, "body": "he says:", "text": "yes"}));
        carol.expect(
            "forwarded",
            &json!({"from": ALICE, "body": "he says:", "writer": BOB, "text": "yes"}),
        );
        // Who is there gets it, and the archive does not.
        carol.tell(&json!({"do": "write", "to": "alice@localhost", "id": "c0", "body": "off the record", "hints": ["no-store"]}));
        let secret = alice.expect("wire", &json!({"from": CAROL, "id": "c0"}));
        assert_eq!(
            secret["has"],
            json!(["active", "body", "no-store", "origin-id"])
        );
    }

    /// XEP-0191.
    fn bob_blocks_carol_for_a_while(&mut self) {
        let Self { bob, carol, .. } = self;
        let list = bob.does("blocklist", &json!({}));
        assert_eq!(list["jids"], json!([]));
        bob.does("block", &json!({"jid": "carol@localhost"}));
        bob.expect("blocked", &json!({"jids": ["carol@localhost"]}));
        let write = |id: &str, to: &str| json!({"do": "write", "to": to, "id": id, "body": id});
        carol.tell(&write("spam", "bob@localhost"));
        carol.expect(
            "message",
            &json!({"type": "error", "id": "spam", "condition": "service-unavailable"}),
        );
        bob.tell(&write("stop it", "carol@localhost"));
        bob.expect(
            "message",
            &json!({"type": "error", "id": "stop it", "condition": "not-acceptable"}),
        );
        let list = bob.does("blocklist", &json!({}));
        assert_eq!(list["jids"], json!(["carol@localhost"]));
        bob.does("unblock", &json!({"jid": "carol@localhost"}));
        bob.expect("unblocked", &json!({"jids": ["carol@localhost"]}));
        carol.tell(&write("sorry", "bob@localhost"));
        bob.expect("message", &json!({"from": CAROL, "body": "sorry"}));
        assert_eq!(bob.count("wire", &json!({"id": "spam", "from": CAROL})), 0);
        assert_eq!(carol.count("wire", &json!({"id": "stop it"})), 0);
    }

    /// XEP-0352: what does not matter waits, and only the last of it comes; a message waits as well, since the phone can be pushed to.
    fn nobody_looks_at_bobs_phone(&mut self) {
        let Self {
            server, alice, bob, ..
        } = self;
        let can = bob.does("look", &json!({"away": true}));
        assert_eq!(can["can"], true, "the server offers it");
        bob.settle();
        let states = bob.count("chat_state", &json!({}));
        for show in ["dnd", "xa"] {
            alice.tell(&json!({"do": "presence", "show": show}));
            alice.expect("presence", &json!({"from": ALICE, "show": show}));
        }
        for state in ["composing", "paused"] {
            alice.tell(&json!({"do": "state", "to": "bob@localhost", "state": state}));
        }
        alice.settle();
        alice.tell(
            &json!({"do": "write", "to": "bob@localhost", "id": "a3", "body": "are you there?"}),
        );
        let push = server.lab().wait_for_push(&self.message, "message", SOON);
        assert_eq!(
            (push.status(), push.data("unread")),
            (200, "1"),
            "{}",
            push.text()
        );
        assert_eq!(bob.count("wire", &json!({"id": "a3"})), 0, "it waits");
        bob.does("look", &json!({"away": false}));
        bob.expect("message", &json!({"body": "are you there?"}));
        bob.expect("presence", &json!({"from": ALICE, "show": "xa"}));
        bob.settle();
        assert_eq!(
            bob.count("presence", &json!({"from": ALICE, "show": "dnd"})),
            0
        );
        // The last one of her states, and what she writes says another.
        assert_eq!(bob.count("chat_state", &json!({})), states + 2);
        assert_eq!(bob.count("chat_state", &json!({"state": "paused"})), 1);
    }

    /// XEP-0357, XEP-0353: it is pushed to, and nothing of what is said goes that way. Returns what it had heard before.
    fn bobs_phone_sleeps(&mut self) -> usize {
        let Self {
            server,
            alice,
            bob,
            carol,
            voip,
            message,
        } = self;
        let pushes = || server.lab().pushes(message, "message");
        let pushed = pushes().len();
        bob.tell(&json!({"do": "lose"}));
        bob.expect("disconnected", &json!({}));
        alice.expect("presence", &json!({"from": BOB, "show": "away"}));
        let heard = bob.count("wire", &json!({}));

        alice.tell(&json!({"do": "state", "to": "bob@localhost", "state": "composing"}));
        alice.tell(&json!({"do": "write", "to": "bob@localhost", "id": "s1", "body": "at thr station", "wants": ["receipt"]}));
        alice.tell(&json!({"do": "correct", "to": "bob@localhost", "of": "s1", "id": "s2", "body": "at the station"}));
        alice.tell(&json!({"do": "reply", "to": "bob@localhost", "of": "b1", "quoted": "yes", "id": "s3", "body": "so come"}));
        alice.settle();
        carol.tell(&json!({"do": "write", "to": "bob@localhost", "id": "s4", "body": "me too", "wants": ["receipt", "marker"]}));
        carol.settle();
        let told = poll(SOON, || Some(pushes()).filter(|it| it.len() > pushed));
        let told = told.expect("a push for what was written");
        alice
            .tell(&json!({"do": "call", "to": "bob@localhost", "word": "propose", "of": "call 1"}));
        let call = server.lab().wait_for_push(voip, "call", SOON);
        assert_eq!(
            (call.status(), call.data("call")),
            (200, "call 1"),
            "{}",
            call.text()
        );
        alice
            .tell(&json!({"do": "call", "to": "bob@localhost", "word": "retract", "of": "call 1"}));
        alice.settle();
        for push in told.iter().chain([&call]) {
            assert!(push.violations().is_empty(), "{:?}", push.violations());
            assert!(!push.text().contains("station"), "{}", push.text());
        }
        heard
    }

    /// XEP-0198: all that was said comes once, in its order, and the others see him as before.
    fn bobs_phone_wakes(&mut self, heard: usize) {
        let Self {
            alice, bob, carol, ..
        } = self;
        let there = json!({"from": BOB, "show": "", "type": ""});
        let seen = alice.count("presence", &there);
        bob.tell(&json!({"do": "sign_in"}));
        bob.expect("resumed", &json!({}));
        bob.expect(
            "call",
            &json!({"from": ALICE, "word": "retract", "of": "call 1"}),
        );
        bob.settle();
        let came: Vec<Value> = bob.all("wire", &json!({})).split_off(heard);
        let bodies: Vec<&Value> = came.iter().map(|it| &it["id"]).take(4).collect();
        assert_eq!(bodies, ["s1", "s2", "s3", "s4"], "{came:#?}");
        let words: Vec<&Value> = came.iter().map(|it| &it["has"]).skip(4).collect();
        for (has, word) in words.iter().zip(["propose", "retract"]) {
            assert!(
                has.as_array().expect("a list").contains(&json!(word)),
                "{came:#?}"
            );
        }
        assert_eq!(
            came.len(),
            6,
            "nothing comes twice, and no state that is over: {came:#?}"
        );
        bob.expect("correction", &json!({"of": "s1", "body": "at the station"}));
        bob.expect("reply", &json!({"of": "b1", "text": "so come"}));
        bob.expect("propose", &json!({"from": ALICE, "id": "call 1"}));
        poll(SOON, || {
            (alice.count("presence", &there) > seen).then_some(())
        })
        .expect("he is back");
        alice.expect("receipt", &json!({"from": BOB, "of": "s1"}));
        carol.expect("receipt", &json!({"from": BOB, "of": "s4"}));
        bob.tell(
            &json!({"do": "mark", "to": "carol@localhost", "of": "s4", "marker": "displayed"}),
        );
        carol.expect(
            "marker",
            &json!({"from": BOB, "of": "s4", "marker": "displayed"}),
        );
    }

    /// XEP-0353, awake: one call is taken, and one is not.
    fn they_call_each_other(&mut self) {
        let Self {
            server,
            alice,
            bob,
            carol,
            voip,
            ..
        } = self;
        let says = |client: &mut Slixmpp, to: &str, word: &str, of: &str| {
            client.tell(&json!({"do": "call", "to": to, "word": word, "of": of}));
        };
        says(alice, "bob@localhost", "propose", "call 2");
        bob.expect("propose", &json!({"from": ALICE, "id": "call 2"}));
        says(bob, "bob@localhost", "accept", "call 2");
        says(bob, ALICE, "proceed", "call 2");
        alice.expect(
            "call",
            &json!({"from": BOB, "word": "proceed", "of": "call 2"}),
        );
        says(carol, "bob@localhost", "propose", "call 3");
        bob.expect("propose", &json!({"from": CAROL, "id": "call 3"}));
        says(bob, CAROL, "reject", "call 3");
        carol.expect(
            "call",
            &json!({"from": BOB, "word": "reject", "of": "call 3"}),
        );
        // A phone that is awake is pushed to as well, once a call.
        let pushed = server.lab().notifications(voip);
        let calls: Vec<&str> = pushed.iter().map(|push| push.data("call")).collect();
        assert_eq!(calls, ["call 1", "call 2", "call 3"]);
    }

    /// XEP-0313 with XEP-0059, XEP-0441, XEP-0359.
    fn bob_reads_his_archive(&mut self) {
        let bob = &mut self.bob;
        let forwards = pages(&bob.does("archive", &json!({"page": 4})));
        let mut backwards = pages(&bob.does("archive", &json!({"page": 5, "backwards": true})));
        assert!(
            forwards.len() > 3 && forwards[0].len() == 4,
            "{forwards:#?}"
        );
        assert_eq!(backwards[0].len(), 5);
        backwards.reverse();
        let (forwards, backwards) = (forwards.concat(), backwards.concat());
        assert_eq!(forwards, backwards);
        // It is what came, in the order in which it came, under the same ids.
        let written_to_him = forwards.iter().filter(|it| it["from"] != BOB);
        let archived: Vec<&Value> = written_to_him.map(|it| &it["archive_id"]).collect();
        let came = bob.all("wire", &json!({}));
        let from_others = came.iter().filter(|it| it["from"] != BOB);
        let ids = from_others.map(|it| &it["ids"][0][1]);
        let heard: Vec<&Value> = ids.filter(|it| !it.is_null()).collect();
        assert_eq!(archived, heard);
        assert!(forwards.iter().all(|it| it["dated"] == true));
        let of_his: Vec<&Value> = forwards
            .iter()
            .filter(|it| it["from"] == BOB)
            .map(|it| &it["body"])
            .collect();
        assert!(
            of_his.contains(&&json!("who else?")) && !of_his.contains(&&json!("stop it")),
            "{of_his:#?}"
        );

        let with_carol =
            pages(&bob.does("archive", &json!({"page": 50, "peer": "carol@localhost"}))).concat();
        let texts: Vec<&str> = with_carol
            .iter()
            .filter_map(|it| it["body"].as_str())
            .filter(|it| !it.is_empty())
            .collect();
        assert_eq!(texts, ["sorry", "me too"]);
        let ends = bob.does("archive_ends", &json!({}));
        assert_eq!(ends["first"], forwards[0]["archive_id"]);
        assert_eq!(ends["last"], forwards[forwards.len() - 1]["archive_id"]);
        let fields = bob.does("archive_fields", &json!({}))["fields"].to_string();
        assert!(
            ["with", "start", "end"]
                .iter()
                .all(|it| fields.contains(it)),
            "{fields}"
        );
        let preferences = bob.does("archive_preferences", &json!({}));
        assert_eq!(
            (&preferences["default"], &preferences["exceptions"]),
            (&json!("always"), &json!(0))
        );
        // What was not to be kept is in nobody's.
        let hers = pages(&self.alice.does("archive", &json!({"page": 50}))).concat();
        assert!(hers.iter().all(|it| it["body"] != "off the record"));
        assert!(hers.iter().any(|it| it["body"] == "he says:"));
    }

    /// XEP-0012, of who is gone.
    fn carol_goes(&mut self) {
        self.carol.does("sign_out", &json!({}));
        self.alice
            .expect("presence", &json!({"from": CAROL, "type": "unavailable"}));
        let last = self.alice.does("last", &json!({"to": "carol@localhost"}));
        assert!(last["seconds"].as_u64().is_some_and(|it| it < 20), "{last}");
    }
}

fn assert_features(told: &Value, wanted: &[&str]) {
    let features = told["features"].as_array().expect("a list");
    for feature in wanted {
        assert!(features.contains(&json!(feature)), "{feature}: {told}");
    }
}

/// The pages of an archive, as they were read.
fn pages(told: &Value) -> Vec<Vec<Value>> {
    let pages = told["pages"].as_array().expect("pages");
    let page = |it: &Value| it.as_array().expect("a page").clone();
    pages.iter().map(page).collect()
}
