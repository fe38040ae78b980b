//! sipp through the proxy: many calls, and calls over a network that loses messages.

use std::time::Duration;

use reveille_e2e::{Load, Reveille, SOON, Sipp, Transport, poll};

/// A server where one user may call another as often as that.
fn busy() -> Reveille {
    let mut server = Reveille::new();
    for key in [
        "requests_per_source",
        "calls_per_caller",
        "calls_per_caller_minute",
        "calls_per_callee",
        "calls_per_callee_minute",
    ] {
        server = server.with("limits", key, "10000");
    }
    server.start();
    server
}

#[test]
fn a_hundred_calls_a_second_for_half_a_minute_all_go_through() {
    let mut server = busy();
    let carol = Sipp::answering("carol", server.sip(Transport::Udp));
    let load = Load {
        calls: 3_000,
        rate: 100,
        hold: Duration::from_millis(500),
        lost_percent: 0,
    };
    let mut callers = Sipp::calling("alice", "carol", server.sip(Transport::Udp), load);
    let report = callers.finish(Duration::from_secs(90));
    assert_eq!(
        (report.successful, report.failed),
        (3_000, 0),
        "{}",
        callers.errors()
    );
    // A host that is busy with other things answers late, and then what is sent again has its reason: an answer that
    // took 500 ms, or a 200 that the callee sent again and that wants an ACK again. Nothing else is.
    let explained = poll(SOON, || {
        let again = carol.report().retransmissions;
        (report.retransmissions <= report.late + again).then_some(())
    });
    assert!(
        explained.is_some(),
        "sent again for no reason: the caller {report:?}, the callee {:?}",
        carol.report()
    );
    server.assert_healthy();
}

#[test]
fn lost_messages_are_sent_again_and_no_call_fails() {
    let mut server = busy();
    let _carol = Sipp::answering("carol", server.sip(Transport::Udp));
    let load = Load {
        calls: 200,
        rate: 40,
        hold: Duration::from_millis(200),
        lost_percent: 3,
    };
    let mut callers = Sipp::calling("alice", "carol", server.sip(Transport::Udp), load);
    let report = callers.finish(Duration::from_mins(2));
    assert_eq!(
        (report.successful, report.failed),
        (200, 0),
        "{}",
        callers.errors()
    );
    assert!(
        report.retransmissions > 0,
        "nothing was lost, so nothing was tested"
    );
    server.assert_healthy();
}
