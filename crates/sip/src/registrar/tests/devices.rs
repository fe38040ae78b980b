//! When two contacts are one, when two are one device, and what real clients make of it.

use super::*;

#[test]
fn a_device_under_a_new_uri_replaces_its_old_binding() {
    let old = "<sip:anna@192.0.2.7:5070;pn-provider=apns;pn-param=T.b.voip;pn-prid=0a>";
    let table: &[(&str, &str, &str)] = &[
        (
            "same instance",
            "<sip:anna@192.0.2.7:5070>;+sip.instance=\"<urn:uuid:1>\"",
            "<sip:anna@198.51.100.9:40001>;+sip.instance=\"<urn:uuid:1>\"",
        ),
        (
            "same token",
            old,
            "<sip:anna@198.51.100.9:40001;pn-provider=apns;pn-param=T.b.voip;pn-prid=0a>",
        ),
        (
            "same token, although the app forgot its instance",
            "<sip:anna@192.0.2.7;pn-provider=fcm;pn-prid=1>;+sip.instance=\"<urn:uuid:1>\"",
            "<sip:anna@192.0.2.8;pn-provider=fcm;pn-prid=1>;+sip.instance=\"<urn:uuid:2>\"",
        ),
    ];
    for (case, old, new) in table {
        let bindings = after(&[contact("c1", 1, old)]);
        let done = outcome(&bindings, &contact("c2", 1, new)).unwrap();
        assert!(
            matches!(&done.changes[..], [Change::Replaced { .. }]),
            "{case}"
        );
        assert_eq!(contacts(&done.bindings).len(), 1, "{case}");
    }
}

#[test]
fn a_late_request_does_not_bring_back_a_replaced_binding() {
    let instance = ";+sip.instance=\"<urn:uuid:1>\"";
    let bindings = after(&[
        contact("c1", 1, &format!("<sip:anna@192.0.2.7>{instance}")),
        contact("c1", 2, &format!("<sip:anna@192.0.2.8>{instance}")),
    ]);
    let late = contact("c1", 1, &format!("<sip:anna@192.0.2.7>{instance}"));
    assert_eq!(outcome(&bindings, &late).unwrap_err().status, 500);
}

#[test]
fn different_devices_do_not_replace_each_other() {
    let table: &[(&str, &str, &str)] = &[
        (
            "two phones with one private address behind two routers",
            "<sip:anna@192.168.1.5:5060>;+sip.instance=\"<urn:uuid:1>\"",
            "<sip:anna@192.168.1.5:5060>;+sip.instance=\"<urn:uuid:2>\"",
        ),
        (
            "two tokens",
            "<sip:anna@192.0.2.7;pn-provider=fcm;pn-prid=1>",
            "<sip:anna@192.0.2.8;pn-provider=fcm;pn-prid=2>",
        ),
        (
            "one token, two providers",
            "<sip:anna@192.0.2.7;pn-provider=fcm;pn-prid=1>",
            "<sip:anna@192.0.2.8;pn-provider=apns;pn-prid=1>",
        ),
    ];
    for (case, one, other) in table {
        let bindings = after(&[contact("c1", 1, one), contact("c2", 1, other)]);
        assert_eq!(bindings.len(), 2, "{case}");
    }
}

#[test]
fn one_instance_may_have_two_contacts_in_one_request() {
    let both = |port| {
        let instance = "+sip.instance=\"<urn:uuid:1>\"";
        format!(
            "<sip:anna@192.0.2.7:{port}>;{instance}, <sip:anna@[2001:db8::7]:{port}>;{instance}"
        )
    };
    let bindings = after(&[
        contact("c1", 1, &both(5060)),
        contact("c1", 2, &both(5060)),
        contact("c1", 3, &both(5070)),
    ]);
    assert_eq!(
        contacts(&bindings),
        ["sip:anna@192.0.2.7:5070", "sip:anna@[2001:db8::7]:5070"]
    );
}

#[test]
fn a_refresh_without_a_token_ends_the_pushes() {
    let with = "<sip:anna@192.0.2.7;pn-provider=apns;pn-param=T.b.voip;pn-prid=0a>";
    let bindings = after(&[contact("c1", 1, with)]);
    assert_eq!(bindings[0].push().unwrap().prid, "0a");
    let bindings = after(&[
        contact("c1", 1, with),
        contact("c1", 2, "<sip:anna@192.0.2.7;pn-provider=apns>"),
    ]);
    assert_eq!((bindings.len(), bindings[0].push()), (1, None));
}

#[test]
fn a_new_token_for_the_same_contact_takes_the_place_of_the_old() {
    let token = |prid| format!("<sip:anna@192.0.2.7;pn-provider=fcm;pn-param=p;pn-prid={prid}>");
    let bindings = after(&[contact("c1", 1, &token("old"))]);
    let done = outcome(&bindings, &contact("c1", 2, &token("new"))).unwrap();
    assert_eq!(done.bindings.len(), 1);
    assert_eq!(done.bindings[0].push().unwrap().prid, "new");
}

const OUTBOUND: (HeaderName<'_>, &str) = (HeaderName::Supported, "path, outbound");

/// Requests with Outbound, over a flow that is good for it.
const OVER_TCP: World = World {
    flow_qualifies: true,
    ..WORLD
};

fn with_outbound(call_id: &str, cseq: u32, contact: &str) -> Message {
    register(call_id, cseq, &[(HeaderName::Contact, contact), OUTBOUND])
}

#[test]
fn pjsua_moves_to_a_new_connection_and_is_the_same_device() {
    let push = "ob;pn-provider=apns;pn-param=T.b.voip;pn-prid=0a";
    let a = format!("<sip:bob@10.0.0.9:41000;transport=TCP;{push}>");
    let b = format!("<sip:bob@10.0.0.9:42000;transport=TCP;{push}>");
    let named = ";reg-id=1;+sip.instance=\"<urn:uuid:U>\"";
    let first = with_outbound("c1", 1, &format!("{a}{named}"));
    for (world, order) in [
        (WORLD, true),
        (WORLD, false),
        (OVER_TCP, true),
        (OVER_TCP, false),
    ] {
        let gone = format!("{a};expires=0{named}");
        let both = if order {
            [b.clone(), gone]
        } else {
            [gone, b.clone()]
        };
        let before = world.after(std::slice::from_ref(&first));
        let done = world
            .apply(&before, &with_outbound("c1", 2, &both.join(", ")))
            .unwrap();
        assert!(
            matches!(&done.changes[..], [Change::Replaced { old: 0, .. }]),
            "the device is told to have moved: {:?}",
            done.changes
        );
        assert_eq!(done.listed(), [format!("{b};expires=3600")]);
    }
}

#[test]
fn linphone_says_goodbye_for_a_process_that_is_gone() {
    let instance = ";+sip.instance=\"<urn:uuid:U>\"";
    let new = contact("new", 20, &format!("<sip:bob@192.0.2.7:59124>{instance}"));
    let old = contact("old", 20, &format!("<sip:bob@192.0.2.7:9>{instance}"));
    let goodbye = register(
        "old",
        21,
        &[
            (
                HeaderName::Contact,
                &format!("<sip:bob@192.0.2.7:9>{instance}"),
            ),
            (HeaderName::Expires, "0"),
        ],
    );
    let bindings = after(&[old, new, goodbye]);
    assert_eq!(contacts(&bindings), ["sip:bob@192.0.2.7:59124"]);
}

#[test]
fn who_signs_out_over_a_new_connection_leaves_nothing_bound() {
    let bound =
        |port| format!("<sip:bob@192.0.2.7:{port};transport=tcp>;+sip.instance=\"<urn:uuid:U>\"");
    let signs_out = |call_id, cseq| {
        let headers = [
            (HeaderName::Contact, &*bound(2)),
            (HeaderName::Expires, "0"),
        ];
        register(call_id, cseq, &headers)
    };
    let before = after(&[contact("c1", 20, &bound(1))]);
    let done = outcome(&before, &signs_out("c1", 21)).unwrap();
    assert_eq!(done.bindings, []);
    // An older request of the same client, and another client, take nothing back.
    assert_eq!(
        outcome(&before, &signs_out("c1", 20)).unwrap_err().status,
        500
    );
    let other = outcome(&before, &signs_out("c2", 21)).unwrap();
    assert_eq!(other.bindings.len(), 1);
}

#[test]
fn a_new_contact_and_the_end_of_the_old_one_come_in_one_request() {
    let instance = ";+sip.instance=\"<urn:uuid:U>\"";
    let (old, new) = (
        format!("<sip:bob@192.0.2.7:1>{instance}"),
        format!("<sip:bob@192.0.2.7:2>{instance}"),
    );
    for both in [
        format!("{new}, {old};expires=0"),
        format!("{old};expires=0, {new}"),
    ] {
        let before = after(&[contact("c1", 1, &old)]);
        let done = outcome(&before, &contact("c1", 2, &both)).unwrap();
        assert!(matches!(
            &done.changes[..],
            [Change::Replaced { old: 0, .. }]
        ));
        assert_eq!(contacts(&done.bindings), ["sip:bob@192.0.2.7:2"]);
    }
}

#[test]
fn one_contact_is_not_bound_and_taken_back_at_once() {
    let both = contact(
        "c1",
        1,
        "<sip:anna@192.0.2.7>;expires=0, <sip:anna@192.0.2.7>",
    );
    assert_eq!(outcome(&[], &both).unwrap_err().status, 400);
    let token = |token| format!("<sip:anna@192.0.2.7;pn-provider=fcm;pn-prid={token}>");
    let before = after(&[contact("c1", 1, &token("old"))]);
    let both = format!("{}, {};expires=0", token("new"), token("old"));
    let done = outcome(&before, &contact("c1", 2, &both)).unwrap();
    assert_eq!(done.bindings[0].push().unwrap().prid, "new");
}

#[test]
fn with_outbound_two_flows_are_two_bindings() {
    let flow = |port, reg_id| {
        format!("<sip:anna@192.0.2.7:{port}>;+sip.instance=\"<urn:uuid:1>\";reg-id={reg_id}")
    };
    let two = [
        with_outbound("c1", 1, &flow(1, 1)),
        with_outbound("c1", 2, &flow(2, 2)),
    ];
    let both = OVER_TCP.after(&two);
    assert_eq!(both.iter().filter_map(|binding| binding.reg_id).count(), 2);

    let moved = OVER_TCP
        .apply(&both, &with_outbound("c1", 3, &flow(3, 1)))
        .unwrap();
    assert!(matches!(
        &moved.changes[..],
        [Change::Refreshed { old: 0, .. }]
    ));
    assert_eq!(
        moved.answer.header_text(HeaderName::Require),
        Some("outbound")
    );
    assert_eq!(moved.listed().len(), 2);

    let by_number = contact("c1", 3, &format!("{};expires=0", flow(9, 2)));
    let left = OVER_TCP.apply(&both, &by_number).unwrap();
    assert_eq!(contacts(&left.bindings), ["sip:anna@192.0.2.7:1"]);
    let by_contact = contact("c1", 3, "<sip:anna@192.0.2.7:1>;expires=0");
    let left = OVER_TCP.apply(&both, &by_contact).unwrap();
    assert_eq!(contacts(&left.bindings), ["sip:anna@192.0.2.7:2"]);

    let without = contact(
        "c1",
        3,
        "<sip:anna@192.0.2.7:4>;+sip.instance=\"<urn:uuid:1>\"",
    );
    let one = OVER_TCP.apply(&both, &without).unwrap();
    assert_eq!(contacts(&one.bindings), ["sip:anna@192.0.2.7:4"]);
    let why = Removal::Superseded;
    assert_eq!(one.changes[1..], [Change::Removed { old: 1, why }]);
}

#[test]
fn a_flow_number_means_nothing_unless_outbound_is_agreed() {
    let flow =
        |port, id: &str| format!("<sip:anna@192.0.2.7:{port}>;+sip.instance=\"<urn:uuid:1>\"{id}");
    let two = |id| [flow(1, ";reg-id=1"), flow(2, id)];
    for (world, request) in [
        (WORLD, with_outbound as fn(&str, u32, &str) -> Message),
        (OVER_TCP, contact),
    ] {
        let [one, other] = two(";reg-id=2");
        let before = world.after(&[request("c1", 1, &one)]);
        let done = world.apply(&before, &request("c1", 2, &other)).unwrap();
        assert_eq!(contacts(&done.bindings), ["sip:anna@192.0.2.7:2"]);
        assert_eq!(done.bindings[0].reg_id, None);
        assert!(!done.answer.has(HeaderName::Require));
    }
    for id in [";reg-id=0", ""] {
        let [one, other] = two(id);
        let bindings =
            OVER_TCP.after(&[with_outbound("c1", 1, &one), with_outbound("c1", 2, &other)]);
        assert_eq!(contacts(&bindings), ["sip:anna@192.0.2.7:2"], "{id}");
    }
}

#[test]
fn goodbye_from_behind_another_router_is_not_ours() {
    let phone = |id| format!("<sip:anna@192.168.1.5:5060>;+sip.instance=\"<urn:uuid:{id}>\"");
    let both = after(&[contact("c1", 1, &phone(1)), contact("c2", 1, &phone(2))]);
    let done = outcome(&both, &contact("c1", 2, &format!("{};expires=0", phone(1)))).unwrap();
    assert_eq!(done.bindings[0].instance(), Some("<urn:uuid:2>"));
    let nameless = contact("c3", 1, "<sip:anna@192.168.1.5:5060>;expires=0");
    assert_eq!(outcome(&both, &nameless).unwrap().bindings, []);
}

#[test]
fn a_client_takes_the_media_types_that_it_names() {
    for (said, takes) in [
        ("", false),
        (";type=\"message/cpim\"", true),
        (";TYPE=\"text/plain,<Message/CPIM>\"", true),
        (";type=\"text/plain\"", false),
        (";type", false),
        (";+type=\"message/cpim\"", false),
        (";type=\"message/cpim2\"", false),
    ] {
        let value = format!("<sip:anna@192.0.2.7>{said}");
        let bindings = after(&[contact("c1", 1, &value)]);
        assert_eq!(bindings[0].takes("message/cpim"), takes, "{said}");
    }
}
