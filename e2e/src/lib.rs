//! Reveille against real peers. Each helper here drives one real process over loopback sockets: the server
//! itself, Prosody, ejabberd, Synapse, Linphone, PJSUA2, sipp, slixmpp, go-sendxmpp, Profanity, Gajim, Chromium, sipvicious, sipsak; [`SipClient`] and [`XmppClient`] are small clients of
//! our own for what no peer can be made to say. The tests are in `tests/`, one subject a file, and are built only with `--features peers`.
//!
//! Nothing here imports the server: it is driven as its users drive it.
#![expect(
    clippy::missing_panics_doc,
    reason = "this crate is test support: a broken expectation is its failure"
)]

mod audio;
mod browser;
mod clean;
mod coturn;
mod dev;
mod digest;
mod edge;
mod forward;
mod gajim;
mod go_sendxmpp;
mod http;
mod lab;
mod linphone;
mod mutate;
mod network;
pub mod nonsense;
mod pjsua;
mod ports;
mod process;
mod profanity;
mod prometheus;
mod push;
mod python;
mod reveille;
mod rtpengine;
pub mod scram;
mod sip_client;
mod sipp;
mod slixmpp;
mod strangers;
mod synapse;
mod tls;
pub mod websocket;
pub mod xml;
mod xmpp_client;
mod xmpp_servers;

use std::thread;
use std::time::{Duration, Instant};

pub use audio::{ENOUGH, heard, is_answered, talk};
pub use browser::{Browser, Library, Line};
pub use clean::{Clean, as_user};
pub use coturn::Coturn;
pub use dev::{PASSWORD, android, iphone, iphone_with_two_tokens, new_token};
pub use edge::{Edge, wait_tunnels, with_edge, with_edge_that};
pub use forward::Forward;
pub use gajim::Gajim;
pub use go_sendxmpp::{go_listening, go_send};
pub use http::{Answer, http, http_as, https_as};
pub use lab::{LabApi, Notification};
pub use linphone::{Account, Linphone, PushParams};
pub use mutate::Mutator;
pub use network::{Host, Networks};
pub use pjsua::Pjsua;
pub use ports::{free_port, media_port};
pub use process::Process;
pub use profanity::Profanity;
pub use prometheus::{Prometheus, contrib, promtool_check_rules, rules};
pub use push::push_token;
pub use python::{node_modules, python};
pub use reveille::{Reveille, reveille_binary};
pub use rtpengine::Rtpengine;
pub use sip_client::{Incoming, Response, SipClient, Transport};
pub use sipp::{Load, Sipp, SippReport};
pub use slixmpp::{Login, Slixmpp};
pub use strangers::{Relay, STRANGER, documented, fail2ban_regex};
pub use synapse::{MatrixUser, Synapse};
pub use tls::Tls;
pub use xmpp_client::{HEADER, Heard, STARTTLS, XmppClient};
pub use xmpp_servers::{Make, XmppServer};

/// Long enough for any peer to do what it does at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Asks `ready` every few milliseconds until it answers, at most for `within`.
pub fn poll<T>(within: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
