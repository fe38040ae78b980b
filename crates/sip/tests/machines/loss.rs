//! A call over a network that loses datagrams.

use proptest::prelude::*;

use crate::net::Net;

/// The call was set up and ended as if nothing had been lost.
fn assert_the_call_took_place(net: &Net) {
    let caller = net.heard("caller");
    assert!(caller.contains(&"200 INVITE".to_owned()), "{caller:?}");
    assert_eq!(caller.last().unwrap(), "200 BYE");
    let phone = net.heard("phone");
    assert_eq!(
        phone.iter().filter(|heard| *heard == "INVITE").count(),
        1,
        "{phone:?}"
    );
    assert!(phone.contains(&"ACK".to_owned()), "{phone:?}");
    assert_eq!(phone.last().unwrap(), "BYE");
    assert_eq!(net.heard("tablet"), ["INVITE", "CANCEL"]);
    assert_eq!(net.heard("proxy"), ["done 200", "done 200"]);
}

#[test]
fn call_without_loss_takes_each_message_once() {
    let mut net = Net::new(|_| false);
    net.call();
    net.run();
    assert_the_call_took_place(&net);
    // INVITE 100, 2x (INVITE 180 180), 200 200, CANCEL 200 487 ACK, ACK ACK, BYE BYE 200 200.
    assert_eq!(net.sent, 2 + 6 + 2 + 4 + 2 + 4);
    net.assert_nothing_is_left();
}

#[test]
fn call_survives_the_loss_of_any_one_message() {
    for lost in 0..20 {
        let mut net = Net::new(move |nth| nth == lost);
        net.call();
        net.run();
        assert_the_call_took_place(&net);
        net.assert_nothing_is_left();
    }
}

#[test]
fn call_survives_the_loss_of_any_two_messages() {
    for first in 0..20 {
        for second in first + 1..24 {
            let mut net = Net::new(move |nth| nth == first || nth == second);
            net.call();
            net.run();
            assert_the_call_took_place(&net);
            net.assert_nothing_is_left();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However much is lost: everything comes to its end, and nothing is remembered.
    #[test]
    fn call_ends_everywhere_whatever_is_lost(seed in 1_u64.., percent in 0_u64..=100) {
        let mut state = seed;
        let mut net = Net::new(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % 100 < percent
        });
        net.call();
        net.run();
        net.assert_nothing_is_left();
        let finals = net.heard("caller").iter().filter(|heard| heard.contains("INVITE") || heard.contains("failed"));
        prop_assert!(finals.count() >= 1);
    }
}
