//! What `serve --dev` is known to have: users, a password, app profiles. And the devices that the tests make of it.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Account, PushParams, Reveille, Transport};

/// The password of every `--dev` user.
pub const PASSWORD: &str = "wakeup";

/// A token that no other device of this test has: hexadecimal, 32 bytes, good for either cloud.
pub fn new_token() -> String {
    static MADE: AtomicU32 = AtomicU32::new(1);
    let serial = MADE.fetch_add(1, Ordering::Relaxed);
    format!(
        "{:08x}{:08x}{serial:048x}",
        0xe2e0_0000_u32,
        std::process::id()
    )
}

/// An iPhone's push parameters, with its token for calls.
pub fn iphone(voip: &str) -> PushParams {
    PushParams {
        provider: "apns".to_owned(),
        param: "TEAM123456.com.example.phone.voip".to_owned(),
        prid: voip.to_owned(),
    }
}

/// An iPhone's, with a token for calls and one for messages, written as Linphone does.
pub fn iphone_with_two_tokens(voip: &str, remote: &str) -> PushParams {
    PushParams {
        provider: "apns".to_owned(),
        param: "TEAM123456.com.example.phone.voip&remote".to_owned(),
        prid: format!("{voip}:voip&{remote}:remote"),
    }
}

/// An Android phone's push parameters.
pub fn android(token: &str) -> PushParams {
    PushParams {
        provider: "fcm".to_owned(),
        param: "example-droid".to_owned(),
        prid: token.to_owned(),
    }
}

impl PushParams {
    /// As parameters of a Contact's URI.
    pub fn in_uri(&self) -> String {
        format!(
            ";pn-provider={};pn-param={};pn-prid={}",
            self.provider, self.param, self.prid
        )
    }
}

impl Reveille {
    /// An account of a `--dev` user here.
    pub fn account(&self, user: &str, transport: Transport, push: PushParams) -> Account {
        Account {
            user: user.to_owned(),
            password: PASSWORD.to_owned(),
            transport,
            server: self.sip(transport),
            push: Some(push),
            ca: (transport == Transport::Tls).then(|| self.lab().ca()),
            friends: Vec::new(),
        }
    }
}
