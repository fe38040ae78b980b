use super::*;

fn from(address: &str) -> Source {
    Source::of(address.parse().unwrap())
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_700_000_000_000 + seconds * 1000)
}

const BAD: &str = "203.0.113.6";
const PHONE: &str = "192.0.2.7";

#[test]
fn a_source_waits_ever_longer_and_is_banned_in_the_end() {
    let mut guard = Guard::default();
    for _ in 0..FREE_BY_SOURCE - 1 {
        guard.wrong(at(0), from(BAD), "bob");
        assert_eq!(guard.ask(at(0), from(BAD), "bob"), Verdict::Open);
    }
    let mut pauses = Vec::new();
    let mut now = 0;
    for _ in 0..12 {
        guard.wrong(at(now), from(BAD), "bob");
        let Verdict::Wait(pause) = guard.ask(at(now), from(BAD), "bob") else {
            panic!("no pause");
        };
        // It makes no difference whom it asks for.
        assert_eq!(
            guard.ask(at(now), from(BAD), "nobody"),
            Verdict::Wait(pause)
        );
        pauses.push(pause.as_secs());
        now += pause.as_secs();
        assert_eq!(guard.ask(at(now), from(BAD), "carol"), Verdict::Open);
    }
    assert_eq!(pauses[..9], [1, 2, 4, 8, 16, 32, 64, 128, 256]);
    assert_eq!(pauses[9..], [300; 3]);
    // Who does not wait is banned, for a while.
    let told: Vec<_> = (0..2 * BANNED_AFTER)
        .filter_map(|_| guard.impatient(at(now), from(BAD)))
        .collect();
    assert_eq!(told.iter().filter(|it| it.banned.is_some()).count(), 1);
    assert_eq!(guard.ask(at(now), from(BAD), "bob"), Verdict::Banned);
    assert_eq!(guard.bans(at(now)).len(), 1);
    assert_ne!(guard.ask(at(now + 1800), from(BAD), "bob"), Verdict::Banned);
    assert_eq!(guard.bans(at(now + 1800)), []);
}

#[test]
fn an_account_that_is_guessed_at_from_everywhere_waits_but_its_own_phones_do_not() {
    let mut guard = Guard::default();
    guard.right(from(PHONE), "bob");
    for number in 0..1000_u32 {
        guard.wrong(at(0), Source::of(IpAddr::from(number.to_be_bytes())), "bob");
    }
    assert!(matches!(
        guard.ask(at(0), from(BAD), "bob"),
        Verdict::Wait(_)
    ));
    assert_eq!(guard.ask(at(0), from(PHONE), "bob"), Verdict::Open);
    assert_eq!(guard.ask(at(0), from(BAD), "alice"), Verdict::Open);
    // Somebody at the same place guesses at others: the phone comes in all the same.
    for _ in 0..1000 {
        guard.wrong(at(0), from(PHONE), "alice");
    }
    assert_eq!(guard.ask(at(0), from(PHONE), "alice"), Verdict::Banned);
    assert_eq!(guard.ask(at(0), from(PHONE), "bob"), Verdict::Open);
    // Nobody guesses from a place that is known, either.
    for _ in 0..FREE_BY_SOURCE {
        guard.wrong(at(0), from(PHONE), "bob");
    }
    assert!(matches!(
        guard.ask(at(0), from(PHONE), "bob"),
        Verdict::Wait(_)
    ));
}

#[test]
fn an_account_that_does_not_exist_is_answered_like_one_that_does() {
    let mut guard = Guard::default();
    let verdicts: Vec<_> = (0..40)
        .map(|number| {
            for account in ["bob", "nobody"] {
                let source = IpAddr::from([10, 0, number, if account == "bob" { 1 } else { 2 }]);
                guard.wrong(at(0), Source::of(source), account);
            }
            (
                guard.ask(at(0), from(BAD), "bob"),
                guard.ask(at(0), from(BAD), "nobody"),
            )
        })
        .collect();
    assert!(verdicts.iter().all(|(one, other)| one == other));
}

#[test]
fn a_customer_with_ipv6_is_one_source_and_a_mapped_address_is_its_ipv4_one() {
    assert_eq!(from("2001:db8:1:2::7"), from("2001:db8:1:2:ffff::1"));
    assert_ne!(from("2001:db8:1:2::7"), from("2001:db8:1:3::7"));
    assert_eq!(from("2001:db8:1:2::7").to_string(), "2001:db8:1:2::/64");
    assert_eq!(from("::ffff:192.0.2.7"), from(PHONE));
}

#[test]
fn there_is_a_line_a_source_and_minute_and_not_more_than_a_hundred() {
    let mut guard = Guard::default();
    let lines: Vec<_> = (0..90)
        .filter_map(|second| guard.wrong(at(second), from(BAD), "bob"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0].times, lines[1].times), (1, 60));
    let many = (0..10_000_u32).filter_map(|number| {
        let source = Source::of(IpAddr::from(number.to_be_bytes()));
        guard.wrong(at(600), source, "bob")
    });
    assert_eq!(many.count(), LINES as usize);
}

#[test]
fn an_operators_ban_is_for_everybody_there_and_can_be_lifted() {
    let mut guard = Guard::default();
    guard.right(from(PHONE), "bob");
    guard.ban(from(PHONE), at(60));
    assert_eq!(guard.ask(at(0), from(PHONE), "bob"), Verdict::Banned);
    assert!(guard.is_shut_out(at(0), from(PHONE)));
    assert!(!guard.is_shut_out(at(60), from(PHONE)));
    assert!(guard.lift(from(PHONE)));
    assert!(!guard.lift(from(PHONE)));
    assert_eq!(guard.ask(at(0), from(PHONE), "bob"), Verdict::Open);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut guard = Guard::default();
    for number in 0..u32::try_from(3 * REMEMBERED).unwrap() {
        let source = Source::of(IpAddr::from(number.to_be_bytes()));
        guard.wrong(at(0), source, &number.to_string());
        if number < 2 + u32::try_from(BANS).unwrap() {
            guard.ban(source, at(u64::from(number)));
        }
    }
    assert!(guard.sources.len() <= REMEMBERED);
    assert!(guard.accounts.len() <= REMEMBERED);
    assert_eq!(guard.bans.len(), BANS);
}
