use super::*;

const LIMITS: Limits = Limits {
    resources: 3,
    name: 8,
    payload: 4,
    away_after: Duration::from_secs(2),
};

struct World {
    now: Now,
    presence: Presence,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn new() -> Self {
        let now = Now {
            instant: Instant::now(),
            wall: Timestamp(1000),
        };
        let presence = Presence::default();
        Self { now, presence }
    }

    fn passes(&mut self, millis: u64) -> String {
        self.now.instant += Duration::from_millis(millis);
        self.now.wall = self.now.wall.plus(Duration::from_millis(millis));
        let news = self.presence.timeout(self.now.instant, &LIMITS);
        words(&news)
    }

    fn says(&mut self, name: &str, show: Show) -> String {
        self.says_with(name, show, 0)
    }

    fn says_with(&mut self, name: &str, show: Show, priority: i8) -> String {
        let before = self.presence.resource(name);
        let resource = Resource {
            name: name.into(),
            priority,
            show,
            payload: Bytes::from_static(b"said"),
            since: self.now.wall,
            suspended: before.is_some_and(|it| it.suspended),
        };
        words(&self.presence.available(self.now, resource, &LIMITS))
    }

    fn sleeps(&mut self, name: &str, suspended: bool) -> String {
        words(&self.presence.suspended(self.now, name, suspended))
    }

    fn goes(&mut self, name: &str) -> String {
        words(&self.presence.unavailable(self.now, name, Bytes::new()))
    }
}

/// `phone:Away*`: with a star if that is on its behalf.
fn words(news: &[News]) -> String {
    let word = |it: &News| match &it.seen {
        Seen::Here {
            show,
            on_behalf,
            payload,
            ..
        } => {
            assert_eq!(&payload[..], b"said");
            let star = if *on_behalf { "*" } else { "" };
            format!("{}:{show:?}{star}", it.resource)
        }
        Seen::Gone { .. } => format!("{}:gone", it.resource),
    };
    news.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_client_says_is_seen_each_time_it_says_it() {
    let mut world = World::new();
    assert_eq!(world.says("phone", Show::Available), "phone:Available");
    assert_eq!(world.says("phone", Show::Available), "phone:Available");
    assert_eq!(world.says("desk", Show::Chat), "desk:Chat");
    assert_eq!(
        world.says("phone", Show::DoNotDisturb),
        "phone:DoNotDisturb"
    );
    assert_eq!(world.goes("phone"), "phone:gone");
    assert_eq!(world.goes("phone"), "");
    assert_eq!(words(&world.presence.seen()), "desk:Chat");
}

#[test]
fn a_user_is_away_when_all_clients_have_slept_for_a_while_and_back_with_the_first() {
    let mut world = World::new();
    world.says("phone", Show::Chat);
    world.says("desk", Show::ExtendedAway);
    assert_eq!(world.sleeps("phone", true), "");
    assert_eq!(world.passes(60_000), "", "the other is awake");
    assert_eq!(world.sleeps("desk", true), "");
    assert_eq!(world.passes(1_999), "");
    // Who is away for long is not made to seem nearer.
    assert_eq!(world.passes(1), "phone:Away*");
    assert_eq!(world.presence.next_timeout(&LIMITS), None);
    assert_eq!(world.sleeps("desk", false), "phone:Chat");
}

#[test]
fn who_is_back_at_once_is_not_seen_to_have_slept() {
    let mut world = World::new();
    world.says("phone", Show::Available);
    for _ in 0..5 {
        assert_eq!(world.sleeps("phone", true), "");
        assert_eq!(world.passes(1_500), "");
        assert_eq!(world.sleeps("phone", false), "");
        assert_eq!(world.passes(1_500), "");
    }
}

#[test]
fn the_last_client_that_is_awake_goes_and_the_rest_are_away() {
    let mut world = World::new();
    world.says("phone", Show::Available);
    world.says("desk", Show::Available);
    world.sleeps("phone", true);
    assert_eq!(world.goes("desk"), "desk:gone");
    assert_eq!(world.passes(2_000), "phone:Away*");
    assert_eq!(
        world.says("phone", Show::Chat),
        "phone:Away*",
        "asleep still"
    );
    assert_eq!(world.says("desk", Show::Away), "phone:Chat desk:Away");
}

#[test]
fn for_one_more_the_client_that_spoke_longest_ago_goes() {
    let mut world = World::new();
    for name in ["a", "b", "c", "a"] {
        world.says(name, Show::Available);
    }
    assert_eq!(world.says("d", Show::Chat), "b:gone d:Chat");
    assert_eq!(world.presence.resources().len(), 3);
}

#[test]
fn a_long_name_is_not_seen_and_long_words_are_left_out() {
    let mut world = World::new();
    assert_eq!(world.says("a long name", Show::Chat), "");
    let resource = Resource {
        name: "phone".into(),
        priority: 0,
        show: Show::Chat,
        payload: Bytes::from_static(b"said at length"),
        since: world.now.wall,
        suspended: false,
    };
    world.presence.available(world.now, resource, &LIMITS);
    let [phone] = world.presence.resources() else {
        panic!("one client");
    };
    assert_eq!((&*phone.name, phone.payload.len()), ("phone", 0));
}

#[test]
fn a_user_does_what_the_client_of_the_highest_priority_said_last() {
    let mut world = World::new();
    assert_eq!(world.presence.show(), None);
    world.says_with("a", Show::Away, 5);
    world.says_with("b", Show::DoNotDisturb, 5);
    world.says_with("c", Show::Chat, 1);
    assert_eq!(world.presence.show(), Some(Show::DoNotDisturb));
    world.says_with("a", Show::Available, 5);
    assert_eq!(world.presence.show(), Some(Show::Available));
    for name in ["a", "b", "c"] {
        world.sleeps(name, true);
    }
    world.passes(2_000);
    assert_eq!(world.presence.show(), Some(Show::Away));
}

impl World {
    fn telephone(&mut self, show: Option<Show>, suspended: bool) -> String {
        let telephone = show.map(|show| Resource {
            name: TELEPHONE.into(),
            priority: 0,
            show,
            payload: Bytes::from_static(b"said"),
            since: self.now.wall,
            suspended,
        });
        words(&self.presence.telephone(self.now, telephone))
    }
}

#[test]
fn telephones_are_one_more_client() {
    let mut world = World::new();
    assert_eq!(
        world.telephone(Some(Show::Available), false),
        "telephone:Available"
    );
    assert_eq!(world.telephone(Some(Show::Available), false), "");
    assert_eq!(
        world.telephone(Some(Show::DoNotDisturb), false),
        "telephone:DoNotDisturb"
    );
    assert!(!world.presence.is_empty());
    assert_eq!(world.telephone(None, false), "telephone:gone");
    assert_eq!(world.telephone(None, false), "");
    assert!(world.presence.is_empty());
}

#[test]
fn a_telephone_that_sleeps_for_a_moment_says_nothing_by_that() {
    let mut world = World::new();
    world.telephone(Some(Show::Available), false);
    world.passes(60_000);
    assert_eq!(world.telephone(Some(Show::Available), true), "");
    assert_eq!(world.passes(1_999), "");
    assert_eq!(world.telephone(Some(Show::Available), false), "");
    assert_eq!(world.telephone(Some(Show::Available), true), "");
    assert_eq!(world.passes(2_000), "telephone:Away*");
    assert_eq!(
        world.telephone(Some(Show::Available), false),
        "telephone:Available"
    );
}

#[test]
fn a_user_with_a_telephone_that_is_awake_is_not_away() {
    let mut world = World::new();
    world.says("pad", Show::Available);
    world.telephone(Some(Show::Available), false);
    assert_eq!(world.sleeps("pad", true), "");
    assert_eq!(world.passes(10_000), "");
    assert_eq!(world.telephone(Some(Show::Available), true), "");
    assert_eq!(world.passes(2_000), "telephone:Away* pad:Away*");
}

#[test]
fn a_telephone_that_is_looked_at_first_when_it_sleeps_has_slept_for_long() {
    let mut world = World::new();
    assert_eq!(
        world.telephone(Some(Show::Available), true),
        "telephone:Away*"
    );
    assert_eq!(world.passes(10_000), "");
}

#[test]
fn a_telephone_takes_no_clients_place() {
    let mut world = World::new();
    world.telephone(Some(Show::Available), false);
    for name in ["a", "b", "c"] {
        let said = world.says(name, Show::Available);
        assert_eq!(said, format!("{name}:Available"));
    }
    assert_eq!(world.presence.seen().len(), 4);
}
