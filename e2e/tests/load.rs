//! sipp through the proxy: many calls, and calls over a network that loses messages.

use std::time::Duration;

use reveille_e2e::{Load, Reveille, Sipp, SippReport, Transport};

#[test]
fn a_hundred_calls_a_second_for_half_a_minute_all_go_through() {
    let mut server = Reveille::started();
    let _carol = Sipp::answering("carol", server.sip(Transport::Udp));
    let load = Load {
        calls: 3_000,
        rate: 100,
        hold: Duration::from_millis(500),
        lost_percent: 0,
    };
    let mut callers = Sipp::calling("alice", "carol", server.sip(Transport::Udp), load);
    let report = callers.finish(Duration::from_secs(90));
    assert_eq!(
        report,
        SippReport {
            successful: 3_000,
            failed: 0,
            retransmissions: 0
        },
        "{}",
        callers.errors()
    );
    server.assert_healthy();
}

#[test]
fn lost_messages_are_sent_again_and_no_call_fails() {
    let mut server = Reveille::started();
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
