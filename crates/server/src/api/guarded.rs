//! Who may try a password, or a token that an operator gives: the rule is the same for every door.

use super::problem::Problem;
use crate::{clock::now, metrics::Metrics};
use domain::{Refusal, guard::Verdict};
use hub::Guards;
use std::{net::IpAddr, time::Duration};

/// What a source that is banned is told to wait.
const BANNED: Duration = Duration::from_mins(30);

/// Whether it may be tried for this account from there; if not, that is counted.
pub(super) fn may_try(
    (guards, metrics): (&Guards, &Metrics),
    from: IpAddr,
    account: &str,
) -> Result<(), Problem> {
    let (wait, why) = match guards.ask(now(), from, account) {
        Verdict::Open => return Ok(()),
        Verdict::Wait(wait) => (wait, Refusal::Waiting),
        Verdict::Banned => (BANNED, Refusal::Banned),
    };
    metrics.refused(why);
    Err(Problem::try_again("too many wrong passwords", wait))
}
