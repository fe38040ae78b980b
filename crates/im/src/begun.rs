//! How much users begin with others: so many stanzas a minute, whoever they are for and whether there is such a user; and so often
//! may they say to all who see them what they do, which one stanza does for all contacts. One budget a user, for all clients.

use crate::route::Route;
use domain::{
    Address, Now,
    quota::{Allowance, Quota},
};
use xmpp::stanza::{IqType, Kind, Stanza, Type};

/// How often a minute a user's clients may say to all what they do.
const SHOWN_A_MINUTE: u32 = 300;

/// What a stanza is the beginning of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Begins {
    /// Something with one other.
    WithOne,
    /// News for all who see the user.
    WithAll,
}

/// What each user of a shard has begun of late.
#[derive(Debug)]
pub(crate) struct Begun {
    with_one: Quota<Address>,
    with_all: Quota<Address>,
}

impl Begun {
    /// With so many stanzas a minute for others.
    pub(crate) fn new(stanzas_a_minute: u32) -> Self {
        let quota = |a_minute| {
            Quota::new(Allowance {
                at_once: u32::MAX,
                a_minute,
            })
        };
        Self {
            with_one: quota(stanzas_a_minute),
            with_all: quota(SHOWN_A_MINUTE),
        }
    }

    /// A user says this, which may be the beginning of something. `Err`: they may not; for the first time in a minute, if so.
    pub(crate) fn begins(
        &mut self,
        now: Now,
        user: &Address,
        stanza: Stanza<'_>,
        route: &Route,
    ) -> Result<(), bool> {
        let quota = match what(user, stanza, route) {
            None => return Ok(()),
            Some(Begins::WithOne) => &mut self.with_one,
            Some(Begins::WithAll) => &mut self.with_all,
        };
        let taken = quota.pass(now.instant, user);
        taken.map_err(|exceeded| exceeded.first)
    }
}

/// What counts: not what a user has with the server or with themselves, and no answers.
fn what(user: &Address, stanza: Stanza<'_>, route: &Route) -> Option<Begins> {
    let kind = stanza.stanza_type();
    match route {
        Route::User(other, _) if other == user => None,
        Route::User(..) | Route::Component(_)
            if matches!(kind, Some(Type::Iq(IqType::Result | IqType::Error))) =>
        {
            None
        }
        Route::User(..) | Route::Component(_) => Some(Begins::WithOne),
        Route::Account if stanza.kind() == Kind::Presence => Some(Begins::WithAll),
        Route::Account | Route::Server | Route::Push => None,
    }
}
