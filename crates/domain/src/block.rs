//! Whom a user does not want to hear from, whatever protocol they speak.

use std::{borrow::Cow, collections::BTreeSet};

/// Addresses that one user may block; one more is refused.
pub const MOST: usize = 1_000;
/// Octets in all of these addresses; more are refused.
pub const OCTETS: usize = 64 * 1024;

/// The addresses that a user has blocked: a client of somebody (`name@domain/client`), somebody (`name@domain`), or all of a
/// domain. Written as they are kept, in lower case but for what comes behind the `/`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Blocks(BTreeSet<Box<str>>);

impl Blocks {
    /// Whether what comes from this address is kept away. An address of a client is also one of its user and of their domain
    /// (XEP-0191 §6).
    pub fn bars(&self, address: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let (bare, client) = match address.split_once('/') {
            Some((bare, client)) => (bare, Some(client)),
            None => (address, None),
        };
        let bare = lower(bare);
        let domain = bare.split_once('@').map_or(&*bare, |(_, domain)| domain);
        let with = |it: &str| client.is_some_and(|client| self.has(&[it, "/", client].concat()));
        self.has(&bare) || self.has(domain) || with(&bare) || with(domain)
    }

    fn has(&self, address: &str) -> bool {
        self.0.contains(address)
    }

    /// Blocks an address; says whether it was not blocked before.
    pub fn insert(&mut self, address: &str) -> bool {
        self.0.insert(address.into())
    }

    /// Blocks it no more; says whether it was blocked.
    pub fn remove(&mut self, address: &str) -> bool {
        self.0.remove(address)
    }

    /// Whether there are no more than one user may have.
    pub fn fits(&self) -> bool {
        self.0.len() <= MOST && self.0.iter().map(|it| it.len()).sum::<usize>() <= OCTETS
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|it| &**it)
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_uppercase) {
        text.to_lowercase().into()
    } else {
        text.into()
    }
}

impl<'a> FromIterator<&'a str> for Blocks {
    fn from_iter<I: IntoIterator<Item = &'a str>>(addresses: I) -> Self {
        Self(addresses.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_barred_by_itself_its_user_and_its_domain() {
        for (blocked, address, barred) in [
            ("bob@there", "bob@there", true),
            ("bob@there", "bob@there/desk", true),
            ("bob@there", "Bob@There/desk", true),
            ("bob@there", "bobby@there", false),
            ("bob@there/desk", "bob@there/desk", true),
            ("bob@there/desk", "bob@there/Desk", false),
            ("bob@there/desk", "bob@there", false),
            ("there", "bob@there/desk", true),
            ("there", "there", true),
            ("there", "there/news", true),
            ("there", "bob@elsewhere", false),
            ("there/news", "there/news", true),
            ("there/news", "bob@there/news", true),
            ("there/news", "there", false),
        ] {
            let blocks: Blocks = [blocked].into_iter().collect();
            assert_eq!(blocks.bars(address), barred, "{blocked}: {address}");
        }
        assert!(!Blocks::default().bars("bob@there"));
    }

    #[test]
    fn there_is_a_limit_of_addresses_and_of_octets() {
        let names: Vec<String> = (0..MOST).map(|it| format!("u{it}@there")).collect();
        let mut blocks: Blocks = names.iter().map(|it| &**it).collect();
        assert!(blocks.fits());
        blocks.insert("one@more");
        assert!(!blocks.fits());
        let long = "x".repeat(OCTETS);
        assert!([&*long].into_iter().collect::<Blocks>().fits());
        let longer = "x".repeat(OCTETS + 1);
        assert!(![&*longer].into_iter().collect::<Blocks>().fits());
    }
}
