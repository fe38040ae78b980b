//! An edge and its insides, over loopback.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tunnel::{
    Arrival, Clock, Edge, EdgeAddress, Fingerprint, Header, Identity, Inside, Limits, Skew, Spoken,
    State,
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn identity() -> Identity {
    Identity::from_pem(&Identity::generate().unwrap()).unwrap()
}

/// A clock that is so far ahead.
fn ahead(of_the_truth: Duration) -> Clock {
    Arc::new(move || SystemTime::now() + of_the_truth)
}

fn listen(identity: &Identity, insides: &[Fingerprint]) -> Edge {
    let at = "127.0.0.1:0".parse().unwrap();
    let known = insides.iter().copied();
    let rest = (Limits::default(), ahead(Duration::ZERO));
    Edge::listen(at, "edge", identity, known, rest).unwrap()
}

fn dial(identity: &Identity, edge: &Edge, key: Fingerprint) -> (Inside, mpsc::Receiver<Arrival>) {
    let (_, told) = watch::channel(b"a key"[..].into());
    dial_telling(told, identity, edge, key)
}

fn dial_telling(
    told: watch::Receiver<Arc<[u8]>>,
    identity: &Identity,
    edge: &Edge,
    key: Fingerprint,
) -> (Inside, mpsc::Receiver<Arrival>) {
    let at = edge.address().unwrap().to_string().into();
    let edges = [EdgeAddress { at, key }];
    let rest = (Limits::default(), ahead(Duration::ZERO));
    Inside::dial(("inside", told), identity, &edges, rest).unwrap()
}

fn header(client: u16) -> Header {
    Header {
        spoken: Spoken::SipTls,
        client: SocketAddr::from(([192, 0, 2, 1], client)),
        port: 5061,
        name: Some("edge.example.org".into()),
        exporter: None,
        end_point: None,
    }
}

fn is_up(inside: &Inside) -> bool {
    matches!(inside.status()[0].state, State::Up { .. })
}

/// Why there is no tunnel, before the first attempt has come to something.
const NOT_YET: &str = "not dialled yet";

/// Why there is no tunnel; nothing where there is one.
fn why_down(inside: &Inside) -> String {
    match &inside.status()[0].state {
        State::Down { why, .. } => why.to_string(),
        State::Up { .. } => String::new(),
    }
}

/// Whether somebody was there at the last attempt.
fn is_reached(inside: &Inside) -> bool {
    !matches!(inside.status()[0].state, State::Down { reached: false, .. })
}

/// How many insides are there.
fn there(edge: &Edge) -> usize {
    let all = edge.status();
    all.iter()
        .filter(|it| matches!(it.state, State::Up { .. }))
        .count()
}

async fn wait(what: &str, is_so: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

async fn taken(arrivals: &mut mpsc::Receiver<Arrival>) -> Arrival {
    timeout(PATIENCE, arrivals.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_a_client_says_comes_whole_with_who_it_is_and_so_do_answers() {
    let (ours, theirs) = (identity(), identity());
    let edge = listen(&ours, &[theirs.fingerprint()]);
    let (inside, mut arrivals) = dial(&theirs, &edge, ours.fingerprint());
    wait("up", || is_up(&inside) && there(&edge) == 1).await;
    assert_eq!(&*inside.status()[0].name, "edge");
    assert_eq!(&*edge.status()[0].name, "inside");
    assert_eq!(&*edge.told()[0], b"a key");

    let mut outer = edge.open(b"alice", &header(1)).await.unwrap();
    let said: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let expected = said.clone();
    let speaks = tokio::spawn(async move {
        outer.write_all(&said).await.unwrap();
        outer.shutdown().await.unwrap();
        let mut answer = String::new();
        outer.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let mut arrival = taken(&mut arrivals).await;
    assert_eq!(arrival.header, header(1));
    let mut heard = Vec::new();
    arrival.stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard == expected, "{} octets", heard.len());
    arrival.stream.write_all(b"well").await.unwrap();
    drop(arrival);
    assert_eq!(timeout(PATIENCE, speaks).await.unwrap().unwrap(), "well");
    inside.shutdown().await;
    edge.shutdown().await;
}

#[tokio::test]
async fn who_does_not_read_holds_up_nobody_else() {
    let (ours, theirs) = (identity(), identity());
    let edge = listen(&ours, &[theirs.fingerprint()]);
    let (inside, mut arrivals) = dial(&theirs, &edge, ours.fingerprint());
    wait("up", || there(&edge) == 1).await;
    let mut slow = edge.open(b"slow", &header(1)).await.unwrap();
    let nobody_reads = taken(&mut arrivals).await;
    let full = async {
        let chunk = vec![0; 1 << 16];
        while slow.write_all(&chunk).await.is_ok() {}
    };
    // Its own window is full, and it waits.
    assert!(timeout(Duration::from_millis(500), full).await.is_err());
    let mut quick = edge.open(b"quick", &header(2)).await.unwrap();
    quick.write_all(b"hello").await.unwrap();
    let mut arrival = taken(&mut arrivals).await;
    let mut heard = [0; 5];
    let read = timeout(PATIENCE, arrival.stream.read_exact(&mut heard)).await;
    read.unwrap().unwrap();
    assert_eq!(&heard, b"hello");
    drop(nobody_reads);
    inside.shutdown().await;
    edge.shutdown().await;
}

#[tokio::test]
async fn nobody_comes_in_whose_key_is_not_known_on_the_other_side() {
    let (ours, theirs, stranger) = (identity(), identity(), identity());
    let edge = listen(&ours, &[theirs.fingerprint()]);
    // One that the edge does not know, and one that takes the edge for another.
    let (unknown, _arrivals) = dial(&stranger, &edge, ours.fingerprint());
    let (mistaken, _arrivals) = dial(&theirs, &edge, stranger.fingerprint());
    for inside in [&unknown, &mistaken] {
        wait("told why", || {
            matches!(inside.status()[0].state, State::Down { reached: true, .. })
        })
        .await;
    }
    assert_eq!(there(&edge), 0);
    let State::Down { why, .. } = &edge.status()[0].state else {
        panic!("{:?}", edge.status());
    };
    assert_eq!(&**why, "it has not dialled yet");
    let error = edge.open(b"alice", &header(1)).await.unwrap_err();
    assert!(error.to_string().contains("none is connected"), "{error}");
    unknown.shutdown().await;
    mistaken.shutdown().await;
    edge.shutdown().await;
}

#[tokio::test]
async fn an_edge_whose_name_leads_nowhere_is_not_reached() {
    let (ours, theirs) = (identity(), identity());
    let edges = [EdgeAddress {
        at: "edge.invalid:4433".into(),
        key: ours.fingerprint(),
    }];
    let (_, told) = watch::channel(b"a key"[..].into());
    let rest = (Limits::default(), ahead(Duration::ZERO));
    let dialled = Inside::dial(("inside", told), &theirs, &edges, rest);
    let (inside, _arrivals) = dialled.unwrap();
    wait("dialled", || why_down(&inside) != NOT_YET).await;
    assert!(!is_reached(&inside));
    inside.shutdown().await;
}

#[tokio::test]
async fn an_edge_that_stops_is_not_reached_from_its_word_on() {
    let (ours, theirs) = (identity(), identity());
    let edge = listen(&ours, &[theirs.fingerprint()]);
    let (inside, _arrivals) = dial(&theirs, &edge, ours.fingerprint());
    assert!(!is_reached(&inside), "not dialled yet");
    wait("up", || is_up(&inside)).await;
    edge.shutdown().await;
    wait("down", || !is_up(&inside)).await;
    assert_eq!(why_down(&inside), "it has stopped");
    assert!(!is_reached(&inside));
    // It still runs, and takes nobody.
    let (later, _arrivals) = dial(&theirs, &edge, ours.fingerprint());
    wait("dialled", || why_down(&later) != NOT_YET).await;
    assert_eq!(why_down(&later), "it has stopped");
    assert!(!is_reached(&later));
    inside.shutdown().await;
    later.shutdown().await;
}

#[tokio::test]
async fn an_inside_that_is_revoked_goes_at_once_and_its_clients_with_it() {
    let (ours, theirs) = (identity(), identity());
    let edge = listen(&ours, &[theirs.fingerprint()]);
    let (inside, mut arrivals) = dial(&theirs, &edge, ours.fingerprint());
    wait("up", || there(&edge) == 1).await;
    let mut outer = edge.open(b"alice", &header(1)).await.unwrap();
    let arrival = taken(&mut arrivals).await;
    let was_up = Instant::now();
    edge.know([]);
    let mut octets = Vec::new();
    let ended = timeout(PATIENCE, outer.read_to_end(&mut octets)).await;
    assert!(ended.unwrap().is_err());
    wait("down", || !is_up(&inside)).await;
    let State::Down { since, .. } = inside.status()[0].state else {
        panic!("{:?}", inside.status());
    };
    assert!(since >= was_up, "it is down since it went");
    wait("forgotten", || edge.status().is_empty()).await;
    drop(arrival);
    inside.shutdown().await;
    edge.shutdown().await;
}

#[tokio::test]
async fn a_client_goes_to_the_same_inside_and_to_the_other_when_that_is_gone() {
    let (ours, one, two) = (identity(), identity(), identity());
    let edge = listen(&ours, &[one.fingerprint(), two.fingerprint()]);
    let (first, mut to_first) = dial(&one, &edge, ours.fingerprint());
    let (second, mut to_second) = dial(&two, &edge, ours.fingerprint());
    wait("both", || there(&edge) == 2).await;
    let (mut opened, mut at_first) = (Vec::new(), 0_u16);
    for client in 0..40_u16 {
        let whose = (client % 20).to_be_bytes();
        opened.push(edge.open(&whose, &header(client)).await.unwrap());
        let (arrival, is_first) = tokio::select! {
            Some(arrival) = to_first.recv() => (arrival, true),
            Some(arrival) = to_second.recv() => (arrival, false),
        };
        assert_eq!(arrival.header.client.port(), client);
        at_first += u16::from(is_first);
    }
    // Each of the twenty came twice to the same one.
    assert!(
        (2..=38).contains(&at_first) && at_first % 2 == 0,
        "{at_first}"
    );
    first.shutdown().await;
    wait("one", || there(&edge) == 1).await;
    let State::Down { why, .. } = &edge.status()[0].state else {
        panic!("{:?}", edge.status());
    };
    assert!(why.contains("stopping"), "{why}");
    for client in 0..20_u16 {
        opened.push(
            edge.open(&client.to_be_bytes(), &header(client))
                .await
                .unwrap(),
        );
        taken(&mut to_second).await;
    }
    second.shutdown().await;
    edge.shutdown().await;
}

#[tokio::test]
async fn a_client_that_comes_while_the_inside_is_gone_for_a_moment_waits_for_it() {
    let (ours, pem) = (identity(), Identity::generate().unwrap());
    let theirs = Identity::from_pem(&pem).unwrap();
    let edge = listen(&ours, &[theirs.fingerprint()]);
    let (inside, _arrivals) = dial(&theirs, &edge, ours.fingerprint());
    wait("up", || there(&edge) == 1).await;
    inside.shutdown().await;
    wait("down", || there(&edge) == 0).await;
    // By its key tokens are told until then.
    assert_eq!(&*edge.told()[0], b"a key");
    let mut opens = tokio::spawn({
        let edge = edge.clone();
        async move { edge.open(b"alice", &header(1)).await }
    });
    tokio::select! {
        biased;
        opened = &mut opens => panic!("{opened:?}"),
        () = tokio::task::yield_now() => {}
    }
    let again = Identity::from_pem(&pem).unwrap();
    let (inside, mut arrivals) = dial(&again, &edge, ours.fingerprint());
    timeout(PATIENCE, opens).await.unwrap().unwrap().unwrap();
    taken(&mut arrivals).await;
    inside.shutdown().await;
    edge.shutdown().await;
}

#[tokio::test]
async fn what_an_inside_tells_anew_is_known_at_once_and_is_what_is_remembered() {
    let (ours, theirs) = (identity(), identity());
    let edge = listen(&ours, &[theirs.fingerprint()]);
    let (tell, told) = watch::channel(b"first"[..].into());
    let (inside, mut arrivals) = dial_telling(told, &theirs, &edge, ours.fingerprint());
    wait("up", || there(&edge) == 1).await;
    for number in 0..20_u8 {
        let now = [number; 1_024];
        tell.send_replace(now[..].into());
        wait("told anew", || edge.told() == [now[..].into()]).await;
    }
    // Nobody was sent away for it, and nobody is when there is nothing more to tell.
    drop(tell);
    edge.open(b"alice", &header(1)).await.unwrap();
    taken(&mut arrivals).await;
    inside.shutdown().await;
    wait("down", || there(&edge) == 0).await;
    assert_eq!(&*edge.told()[0], &[19; 1_024]);
    edge.shutdown().await;
}

#[tokio::test]
async fn an_inside_that_starts_again_takes_its_own_place() {
    let (ours, pem) = (identity(), Identity::generate().unwrap());
    let theirs = Identity::from_pem(&pem).unwrap();
    let edge = listen(&ours, &[theirs.fingerprint()]);
    let (before, _arrivals) = dial(&theirs, &edge, ours.fingerprint());
    wait("up", || is_up(&before) && there(&edge) == 1).await;
    // The first one is still there, as far as the edge knows.
    let again = Identity::from_pem(&pem).unwrap();
    let (after, mut arrivals) = dial(&again, &edge, ours.fingerprint());
    wait("up again", || is_up(&after)).await;
    assert_eq!(there(&edge), 1);
    // It does not push the other out in its turn, and says what is the matter.
    wait("told why", || match &before.status()[0].state {
        State::Down { why, .. } => why.contains("the same tunnel.key"),
        State::Up { .. } => false,
    })
    .await;
    before.shutdown().await;
    wait("the new one", || is_up(&after) && there(&edge) == 1).await;
    let _stream = edge.open(b"alice", &header(1)).await.unwrap();
    taken(&mut arrivals).await;
    after.shutdown().await;
    edge.shutdown().await;
}

#[tokio::test]
async fn both_sides_find_out_that_a_clock_is_wrong_and_by_how_much() {
    let (ours, theirs) = (identity(), identity());
    let known = [theirs.fingerprint()];
    let wrong = (Limits::default(), ahead(Duration::from_secs(37)));
    let at = "127.0.0.1:0".parse().unwrap();
    let edge = Edge::listen(at, "edge", &ours, known, wrong).unwrap();
    let (inside, _arrivals) = dial(&theirs, &edge, ours.fingerprint());
    let skew = |state: State| match state {
        State::Up { skew, .. } => skew,
        State::Down { .. } => None,
    };
    let of_edge = || skew(edge.status()[0].state.clone());
    let of_inside = || skew(inside.status()[0].state.clone());
    wait("compared", || of_edge().is_some() && of_inside().is_some()).await;
    for (skew, ahead) in [(of_inside(), 37_000), (of_edge(), -37_000)] {
        let Skew {
            ahead: found,
            give_or_take,
        } = skew.unwrap();
        let off = Duration::from_millis(found.abs_diff(ahead));
        // Each clock is read to the millisecond.
        let most = give_or_take + Duration::from_millis(2);
        assert!(off <= most, "{found} for {ahead}, {give_or_take:?}");
    }
    inside.shutdown().await;
    edge.shutdown().await;
}
