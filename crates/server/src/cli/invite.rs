//! `reveille user invite`: somebody gets a link, and a code to be read by a phone's camera, by which they make an account.

use super::admin::{Which, path};
use crate::{accounts, clock, entropy::fresh};
use anyhow::{Context, Result, ensure};
use domain::{Address, Change, Invitation, invitation::digest};
use qrcodegen::{QrCode, QrCodeEcc};
use std::time::Duration;
use store::Store;

#[derive(Debug, clap::Args)]
pub(super) struct Invite {
    /// The name that the account is to have, or name@domain; else the guest chooses one
    user: Option<String>,
    /// Who invites: both are in each other's contact list then
    #[arg(long, value_name = "USER")]
    from: Option<String>,
    /// For how many days the invitation is good
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=365))]
    days: u64,
    #[command(flatten)]
    which: Which,
}

/// Writes into the store itself, whether a server runs on it or not: it looks there when the guest comes.
pub(super) async fn run(command: Invite) -> Result<()> {
    let Invite {
        user,
        from,
        days,
        which,
    } = command;
    let server = which.server()?;
    ensure!(
        server.config().listen.serves_xmpp(),
        "an invitation is used over XMPP: set listen.xmpp_tcp, listen.xmpp_tls or listen.xmpp_wss, or make the account with `reveille user add`"
    );
    let named = |it: Option<String>| it.map(|it| server.address(&it)).transpose();
    let (guest, inviter) = (named(user)?, named(from)?);
    let domain = match &guest {
        Some(guest) => guest.domain(),
        None => server.config().domain(),
    };
    if guest.is_some() {
        let domains = &server.config().server.domains.0;
        let ours = domains.iter().any(|it| it.eq_ignore_ascii_case(domain));
        ensure!(
            ours,
            "{domain} is no domain of this server: see server.domains"
        );
    }
    let word = fresh();
    let link = link(guest.as_ref(), domain, &word);
    let invitation = Invitation {
        token: digest(&word),
        inviter,
        address: guest,
        expires_at: clock::now().plus(Duration::from_hours(24 * days)),
    };
    let invite = async |store: &dyn Store| keep(store, invitation).await;
    server.beside_server(invite).await?;
    let code = QrCode::encode_text(&link, QrCodeEcc::Medium);
    let code = code.ok().context("the link is too long for a code")?;
    say!("{}\n{link}\n\nGood once, for {days} days.", drawn(&code));
    Ok(())
}

async fn keep(store: &dyn Store, invitation: Invitation) -> Result<()> {
    if let Some(guest) = &invitation.address {
        let taken = store.user(guest).await?.is_some();
        ensure!(
            !taken,
            "there is an account {guest} already: invite somebody to another name"
        );
    }
    if let Some(inviter) = &invitation.inviter {
        let known = store.user(inviter).await?.is_some();
        ensure!(
            known,
            "there is no user {inviter}: `reveille user list` shows all"
        );
    }
    Ok(accounts::write(store, Change::Invite(Box::new(invitation))).await?)
}

/// What a client opens (XEP-0401): with the name that the account is to have, if there is one.
fn link(guest: Option<&Address>, domain: &str, word: &str) -> String {
    let at = guest.map_or_else(
        || domain.to_owned(),
        |guest| format!("{}@{domain}", path("", guest.name())),
    );
    format!("xmpp:{at}?register;preauth={word}")
}

/// Two rows of the code a line, light on dark as most terminals are, with the margin that a code has.
fn drawn(code: &QrCode) -> String {
    const MARGIN: i32 = 4;
    let (from, to) = (-MARGIN, code.size() + MARGIN);
    let mut text = String::new();
    for y in (from..to).step_by(2) {
        for x in from..to {
            let lower = y + 1 >= to || code.get_module(x, y + 1);
            text.push(match (code.get_module(x, y), lower) {
                (false, false) => '\u{2588}',
                (false, true) => '\u{2580}',
                (true, false) => '\u{2584}',
                (true, true) => ' ',
            });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_where_and_by_which_word() {
        let guest = |name: &str| Address::new(name, "example.org").unwrap();
        for (name, expected) in [
            (None, "xmpp:example.org?register;preauth=w"),
            (Some("erin"), "xmpp:erin@example.org?register;preauth=w"),
            (
                Some("a?b;c"),
                "xmpp:a%3Fb%3Bc@example.org?register;preauth=w",
            ),
        ] {
            let guest = name.map(guest);
            assert_eq!(link(guest.as_ref(), "example.org", "w"), expected);
        }
    }

    #[test]
    fn a_code_is_drawn_with_a_margin_and_its_three_corners() {
        let code = QrCode::encode_text("xmpp:example.org", QrCodeEcc::Medium).unwrap();
        let drawn = drawn(&code);
        let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        let width = usize::try_from(code.size() + 8).unwrap();
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(lines.iter().all(|line| line.len() == width), "{drawn}");
        // Light all around; the first dark row of a corner is seven dark modules.
        assert!(lines[0].iter().all(|it| *it == '\u{2588}'), "{drawn}");
        let corner: String = lines[2][4..11].iter().collect();
        assert_eq!(
            corner, " \u{2584}\u{2584}\u{2584}\u{2584}\u{2584} ",
            "{drawn}"
        );
    }
}
