//! XMPP as its users see it: short plays in text, each with what clients send and all that they get. Each is run with one,
//! two and four shards, and ends with nothing left behind. How they are written: `script.rs`.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod accounts;
mod client;
mod clouds;
mod likeness;
mod phone;
mod play;
mod random;
mod receipts;
mod resumptions;
mod script;
#[path = "../faults/settings.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod settings;
mod sign_in;
#[path = "../faults/store.rs"]
mod store;
#[path = "../faults/time.rs"]
mod time;
mod users;
mod watching;
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
    app_servers
    archive
    bearers
    blocking
    calls
    carbons
    client_state
    components
    desk_and_phone
    directed_presence
    fast
    invitations
    languages
    last_activity
    limits
    messages_to_a_bare_address
    messages_to_a_full_address
    names
    offline
    passing
    passwords
    phones
    presence
    push
    questions
    read_elsewhere
    refusals
    restart
    resumption
    roster
    sasl2
    sessions
    signed_out
    slow_store
    strangers
    stream_management
    subscriptions
    telephones
    two_doors
    vcards
    watchers
}
