//! Two Linphones that talk: each plays a tone, and hears the other's.

use crate::{Linphone, Rtpengine, SOON};

/// More packets than come by chance: a second of audio.
pub const ENOUGH: u64 = 50;

/// One calls the other, who answers, and both talk.
pub fn talk(caller: &mut Linphone, callee: &mut Linphone, uri: &str) {
    caller.call(uri);
    callee.wait_ringing(SOON);
    is_answered(caller, callee);
}

/// Who rings answers, and both talk.
pub fn is_answered(caller: &mut Linphone, callee: &mut Linphone) {
    callee.answer();
    caller.expect("to LinphoneCallStreamsRunning", SOON);
    caller.plays();
    callee.plays();
}

/// Both hear something for a while; then one hangs up, and each has sent and received enough, through this relay.
pub fn heard(relay: &mut Rtpengine, phones: [&mut Linphone; 2]) {
    let [one, other] = phones;
    for _ in 0..3 {
        one.wait_hearing(SOON);
        other.wait_hearing(SOON);
    }
    one.hang_up();
    for phone in [one, other] {
        let (sent, received) = phone.audio_packets(SOON);
        assert!(sent >= ENOUGH && received >= ENOUGH, "{sent} {received}");
        phone.wait_call_over(SOON);
    }
    let through = relay.packets(SOON);
    assert!(through.iter().all(|it| *it >= ENOUGH), "{through:?}");
}
