//! A binding as it is stored.

use proptest::prelude::*;

use super::*;
use crate::NameAddr;

fn stored(binding: &Binding) -> Vec<u8> {
    let mut value = Vec::new();
    binding.encode(&mut value);
    value
}

fn linphone() -> Binding {
    let contact = "<sip:anna@192.0.2.7;pn-provider=fcm;pn-param=p;pn-prid=a:b>;+sip.instance=\"<urn:uuid:1>\"";
    let headers = [
        (HeaderName::Contact, contact),
        (HeaderName::Path, "<sip:edge.example;lr>"),
        (HeaderName::UserAgent, "Linphone"),
    ];
    after(&[register("c1", 7, &headers)]).remove(0)
}

#[test]
fn a_binding_is_read_as_it_was_written() {
    let binding = linphone();
    let value = stored(&binding);
    assert_eq!(Binding::decode(&value), Some(binding.clone()));
    let said = binding.contact().len() + binding.params().len();
    assert!(value.len() < said + 80, "{} of {said}", value.len());
}

#[test]
fn a_damaged_value_is_no_binding() {
    let value = stored(&linphone());
    for end in 0..value.len() {
        assert_eq!(Binding::decode(&value[..end]), None, "cut at {end}");
    }
    assert_eq!(Binding::decode(&[&value[..], b"x"].concat()), None);
    let mut newer = value;
    newer[0] += 1;
    assert_eq!(Binding::decode(&newer), None);
}

proptest! {
    #[test]
    fn any_binding_survives(
        user in "[a-z]{1,9}",
        params in "(;[a-z]{1,5}=[a-z0-9]{0,300}){0,3}",
        q in 0_u16..=1000,
        reg_id in any::<u32>(),
        cseq in any::<u32>(),
        expires_at_ms in any::<u64>(),
        path in prop::collection::vec("<sip:[a-z]{1,200};lr>", 0..4),
        user_agent in "\\PC{0,100}",
    ) {
        let uri = format!("<sip:{user}@192.0.2.7>{params}");
        let contact = NameAddr::parse(uri.as_bytes()).map(|contact| Contact::of(&contact));
        let contact = contact.unwrap();
        let registration = Registration {
            call_id: &user,
            cseq,
            contacts: Contacts::None,
            expires: None,
            path: path.iter().map(String::as_str).collect(),
            user_agent: &user_agent,
            supports_path: false,
            supports_outbound: false,
            woken_upstream: false,
        };
        let reg_id = std::num::NonZeroU32::new(reg_id);
        let binding = Binding { q, ..Binding::new(&contact, &registration, reg_id, expires_at_ms) };
        let back = Binding::decode(&stored(&binding)).unwrap();
        prop_assert_eq!(&back, &binding);
        prop_assert!(back.path().eq(path.iter().map(String::as_str)));
        prop_assert_eq!(back.user_agent(), user_agent);
    }

    #[test]
    fn any_octets_harm_nobody(mut value in prop::collection::vec(any::<u8>(), 0..300), flip in any::<usize>()) {
        let _ = Binding::decode(&value);
        let mut damaged = stored(&linphone());
        let place = flip % damaged.len();
        damaged[place] = value.pop().unwrap_or_default();
        if let Some(binding) = Binding::decode(&damaged) {
            let known = Known { binding: &binding, out_of_reach_since: None };
            let request = contact("c9", 1, PHONE);
            let registration = Registration::parse(&request).unwrap();
            let _ = apply(&[known], &registration, true, NOW, &Policy::default());
        }
    }
}
