//! XMPP as its users see it: short plays in text, each with what clients send and all that they get. Each is run with one,
//! two and four shards, and ends with nothing left behind. How they are written: `script.rs`.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod client;
mod likeness;
mod phone;
mod play;
mod random;
mod resumptions;
mod script;
#[path = "../faults/settings.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod settings;
mod sign_in;
#[path = "../faults/store.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod store;
#[path = "../faults/time.rs"]
mod time;
mod users;
mod world;

/// One test a play, and one that sees to it that none is left out.
macro_rules! plays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                play::run(stringify!($name));
            }
        )*

        #[test]
        fn every_play_is_run() {
            assert_eq!(play::names(), [$(stringify!($name)),*]);
        }
    };
}

plays! {
    accounts
    archive
    carbons
    client_state
    directed_presence
    languages
    limits
    messages_to_a_bare_address
    messages_to_a_full_address
    offline
    phones
    presence
    questions
    refusals
    restart
    resumption
    roster
    sessions
    slow_store
    strangers
    stream_management
    subscriptions
}
