//! vCards (XEP-0054), and the image on them (XEP-0153).

use super::{Asked, Deed, Order};
use crate::letters;
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Avatar, Card, card};
use sha1::{Digest, Sha1};
use std::fmt::Write;
use xmpp::{
    ns,
    stanza::StanzaCondition,
    xml::{Element, document},
};

/// XEP-0054 §3.1. We ourselves have none.
pub(super) fn get(asked: &Asked<'_>) -> Deed {
    if asked.of_account {
        Deed::Card(asked.user.clone())
    } else {
        Deed::Refuse(StanzaCondition::ServiceUnavailable)
    }
}

/// XEP-0054 §3.2.
pub(super) fn set(asked: &Asked<'_>) -> Deed {
    if !asked.of_account {
        return Deed::Refuse(StanzaCondition::Forbidden);
    }
    let octets = asked.payload.to_octets(letters::KEPT);
    if octets.len() > card::OCTETS {
        return Deed::Refuse(StanzaCondition::PolicyViolation);
    }
    let card = Card {
        octets: octets.into(),
        avatar: avatar(asked.payload),
    };
    Deed::Order(Order::ShowCard(Box::new(card)))
}

/// The SHA-1 of the image on it; white space in it means nothing (XEP-0153 §4.6). None of what is no image.
fn avatar(card: &Element) -> Option<Avatar> {
    let photo = card.child(ns::VCARD, "PHOTO")?;
    let mut octets = photo.child(ns::VCARD, "BINVAL")?.text().into_owned();
    octets.retain(|it| !it.is_ascii_whitespace());
    let image = STANDARD.decode(octets).ok()?;
    (!image.is_empty()).then(|| Sha1::digest(image).into())
}

/// A card as it was kept.
pub(crate) fn card(card: &Card) -> Option<Element> {
    document(&card.octets, &letters::OURS).ok()
}

/// A presence that was said, behind its name, with the image of whoever said it, unless it says something of that itself: an older
/// client would never (XEP-0153 §4.1).
pub(crate) fn with_avatar(said: &[u8], avatar: Avatar) -> Option<Vec<u8>> {
    let update = ns::VCARD_UPDATE.as_bytes();
    if said.windows(update.len()).any(|it| it == update) {
        return None;
    }
    let mut hash = String::with_capacity(2 * avatar.len());
    for octet in avatar {
        // Into memory, which takes it.
        let _ = write!(hash, "{octet:02x}");
    }
    let photo = Element::new(ns::VCARD_UPDATE, "photo").with_text(&hash);
    let x = Element::new(ns::VCARD_UPDATE, "x").with_child(photo);
    let x = x.to_octets(letters::KEPT);
    let (inner, between) = match said.strip_suffix(END) {
        Some(inner) => (inner, &b""[..]),
        None => (said.strip_suffix(EMPTY).unwrap_or_default(), &b">"[..]),
    };
    Some([inner, between, &x, END].concat())
}

/// How a presence ends that has something in it, and one that has nothing.
const END: &[u8] = b"</presence>";
const EMPTY: &[u8] = b"/>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use domain::{Address, Now, Timestamp};
    use hub::Accounts;
    use std::time::{Duration, Instant};
    use xmpp::xml::Limits;

    fn some_instant() -> Instant {
        Instant::now()
    }

    #[test]
    fn an_image_is_known_by_its_hash_and_what_is_none_by_nothing() {
        let of = |photo: &str| {
            let card = format!("<vCard xmlns='vcard-temp'>{photo}</vCard>");
            avatar(&document(card.as_bytes(), &Limits::default()).unwrap())
        };
        let abc = Some(Sha1::digest(b"abc").into());
        assert_eq!(of("<PHOTO><BINVAL>YWJj</BINVAL></PHOTO>"), abc);
        assert_eq!(of("<PHOTO><BINVAL>\n YW\r\n\tJj\n</BINVAL></PHOTO>"), abc);
        for nothing in [
            "",
            "<PHOTO/>",
            "<PHOTO><BINVAL/></PHOTO>",
            "<PHOTO><BINVAL>*</BINVAL></PHOTO>",
        ] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_card_that_is_too_large_is_refused() {
        let (accounts, user) = (Accounts::default(), Address::new("alice", "here").unwrap());
        let settings = Settings::new(&["here".to_owned()], [0; 32]).unwrap();
        let kept = |text: usize| {
            let payload = Element::new(ns::VCARD, "vCard").with_text(&"x".repeat(text));
            let deed = set(&Asked {
                now: Now {
                    instant: some_instant(),
                    wall: Timestamp(0),
                },
                settings: &settings,
                of_account: true,
                user: &user,
                runs_for: Duration::ZERO,
                accounts: &accounts,
                payload: &payload,
            });
            !matches!(deed, Deed::Refuse(StanzaCondition::PolicyViolation))
        };
        let around = "<vCard xmlns='vcard-temp'></vCard>".len();
        assert!(kept(card::OCTETS - around));
        assert!(!kept(card::OCTETS - around + 1));
    }

    #[test]
    fn the_image_is_put_into_a_presence_that_says_nothing_of_it() {
        let x = "<x xmlns='vcard-temp:x:update'><photo>0707070707070707070707070707070707070707</photo></x>";
        for (said, with) in [
            ("", format!(">{x}</presence>")),
            ("/>", format!(">{x}</presence>")),
            (" xml:lang='de'/>", format!(" xml:lang='de'>{x}</presence>")),
            (
                "><show>away</show></presence>",
                format!("><show>away</show>{x}</presence>"),
            ),
        ] {
            let got = with_avatar(said.as_bytes(), [7; 20]).unwrap();
            assert_eq!(String::from_utf8(got).unwrap(), with);
        }
        let said = b"><x xmlns='vcard-temp:x:update'/></presence>";
        assert_eq!(with_avatar(said, [7; 20]), None);
    }
}
