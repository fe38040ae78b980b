use super::{Media, bencode::Value, legs};
use crate::{config::Config, metrics::Metrics};
use call::{Description, Over, Side, Turn};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{net::UdpSocket, task::JoinHandle};

/// What a daemon does with a command.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Does {
    Answers,
    /// Answers what comes with the same cookie for the second time only: the first answer was lost.
    AnswersRepeated,
    Refuses,
    SaysNothing,
    /// It says that it is there, and takes nothing.
    OnlyPongs,
    /// Its answer to a `delete` is longer than a datagram can be, so that nothing comes.
    SaysNothingOfWhatEnds,
    SaysNonsense,
    /// Of its answers a part is missing.
    SaysHalf,
}

/// Cookies and commands as they came.
type Heard = Arc<Mutex<Vec<(String, Value)>>>;

/// A daemon of rtpengine as the ng protocol shows it.
struct Fake {
    at: SocketAddr,
    heard: Heard,
    does: Arc<Mutex<Does>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    async fn new(does: Does) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        let (heard, does) = (Heard::default(), Arc::new(Mutex::new(does)));
        let task = tokio::spawn(serve(socket, heard.clone(), does.clone()));
        Self {
            at,
            heard,
            does,
            task,
        }
    }

    fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn heard(&self) -> MutexGuard<'_, Vec<(String, Value)>> {
        self.heard.lock().unwrap()
    }

    /// The commands that came, each once.
    fn commands(&self) -> Vec<String> {
        let mut heard: Vec<_> = self.heard().clone();
        heard.dedup();
        let command = |(_, value): &(String, Value)| value.get("command").unwrap().to_vec();
        let commands = heard.iter().map(command);
        commands.map(|it| String::from_utf8(it).unwrap()).collect()
    }
}

async fn serve(socket: UdpSocket, heard: Heard, does: Arc<Mutex<Does>>) {
    let mut buffer = vec![0; 65_535];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let text = &buffer[..length];
        let blank = text.iter().position(|octet| *octet == b' ').unwrap();
        let cookie = String::from_utf8(text[..blank].to_vec()).unwrap();
        let command = Value::read(&text[blank + 1..]).unwrap();
        let is_first = {
            let mut heard = heard.lock().unwrap();
            let is_first = heard.iter().all(|(known, _)| *known != cookie);
            heard.push((cookie.clone(), command.clone()));
            is_first
        };
        let does = *does.lock().unwrap();
        let answer = match does {
            Does::SaysNothing => continue,
            Does::OnlyPongs if command.get("command") != Some(b"ping") => continue,
            Does::SaysNothingOfWhatEnds if command.get("command") == Some(b"delete") => continue,
            Does::AnswersRepeated if is_first => continue,
            Does::SaysHalf => format!("{cookie} d6:result").into_bytes(),
            Does::SaysNonsense => b"nonsense of nobody".to_vec(),
            Does::Refuses => written(
                &cookie,
                &Value::map([
                    ("result", Value::text("error")),
                    ("error-reason", Value::text("Ran out of ports")),
                ]),
            ),
            Does::Answers
            | Does::AnswersRepeated
            | Does::OnlyPongs
            | Does::SaysNothingOfWhatEnds => {
                let sdp = command.get("sdp").unwrap_or_default();
                let result = match command.get("command") {
                    Some(b"ping") => "pong",
                    _ => "ok",
                };
                let sdp = [b"relayed ", sdp].concat();
                let answer = [("result", Value::text(result)), ("sdp", Value::text(sdp))];
                written(&cookie, &Value::map(answer))
            }
        };
        socket.send_to(&answer, from).await.unwrap();
    }
}

fn written(cookie: &str, value: &Value) -> Vec<u8> {
    let mut datagram = format!("{cookie} ").into_bytes();
    value.write(&mut datagram);
    datagram
}

/// What asks these daemons, and what it counts.
async fn asking(daemons: &[SocketAddr]) -> (Media, Arc<Metrics>) {
    let mut config = Config::default();
    config.call.media = "rtpengine".to_owned();
    config.media.rtpengine.0 = daemons.to_vec();
    config.media.answer_within.0 = Duration::from_millis(500);
    let metrics = Arc::new(Metrics::default());
    let media = Media::of(&config, &metrics).await.unwrap().unwrap();
    (media, metrics)
}

fn offer(leg: &str) -> Description {
    Description {
        leg: leg.into(),
        turn: Turn::Offer,
        offerer: "a".to_owned(),
        answerer: None,
        sdp: "v=0".into(),
        from: Side::Outside,
        to: Side::Inside,
    }
}

fn answer(leg: &str) -> Description {
    Description {
        turn: Turn::Answer,
        answerer: Some("b".to_owned()),
        ..offer(leg)
    }
}

fn over(leg: &str) -> Over {
    Over {
        leg: leg.into(),
        dialog: Some(("a".to_owned(), "b".to_owned())),
    }
}

/// A leg that goes to the first of these, as long as it answers.
fn leg_of(first: &Fake, other: &Fake) -> String {
    let mut names = (0..).map(|number| format!("leg{number}"));
    let is_firsts = |leg: &String| legs::rank(leg, first.at) < legs::rank(leg, other.at);
    names.find(is_firsts).unwrap()
}

#[tokio::test]
async fn a_daemon_is_asked_and_its_answer_taken() {
    let daemon = Fake::new(Does::Answers).await;
    let (media, metrics) = asking(&[daemon.at]).await;
    let relayed = media.relay(offer("leg")).await.unwrap();
    assert_eq!(relayed.sdp, "relayed v=0");
    assert_eq!(&*relayed.by, format!("rtpengine at {}", daemon.at));
    media.forget(&over("leg")).await;
    assert_eq!(daemon.commands(), ["offer", "delete"]);
    let (_, delete) = daemon.heard().pop().unwrap();
    let tags = (delete.get("from-tag"), delete.get("to-tag"));
    assert_eq!(tags, (Some(&b"a"[..]), Some(&b"b"[..])));
    assert!(metrics.render().contains("reveille_media_relayed_total 1"));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_cookie() {
    let daemon = Fake::new(Does::AnswersRepeated).await;
    let (media, _) = asking(&[daemon.at]).await;
    assert!(media.relay(offer("leg")).await.is_ok());
    let heard = daemon.heard();
    assert!(heard.len() >= 2);
    assert!(heard.iter().all(|one| *one == heard[0]), "{heard:?}");
}

#[tokio::test]
async fn another_daemon_takes_over_from_one_that_is_silent_refuses_or_is_gone() {
    for does in [Does::SaysNothing, Does::SaysNonsense, Does::Refuses] {
        let (first, other) = (Fake::new(does).await, Fake::new(Does::Answers).await);
        let (media, _) = asking(&[first.at, other.at]).await;
        let leg = leg_of(&first, &other);
        assert!(media.relay(offer(&leg)).await.is_ok(), "{does:?}");
        assert!(media.relay(answer(&leg)).await.is_ok(), "{does:?}");
        assert_eq!(other.commands(), ["offer", "answer"], "{does:?}");
    }
    let (first, other) = (
        Fake::new(Does::Answers).await,
        Fake::new(Does::Answers).await,
    );
    let (media, _) = asking(&[first.at, other.at]).await;
    let leg = leg_of(&first, &other);
    drop(first);
    assert!(media.relay(offer(&leg)).await.is_ok());
}

#[tokio::test]
async fn a_leg_stays_with_its_daemon_until_that_is_gone_and_another_then_begins_anew() {
    let (first, other) = (
        Fake::new(Does::SaysNothing).await,
        Fake::new(Does::Answers).await,
    );
    let (media, metrics) = asking(&[first.at, other.at]).await;
    let leg = leg_of(&first, &other);
    assert!(media.relay(offer(&leg)).await.is_ok());
    // The one that it would be with is back: what has begun goes on where it is.
    first.does(Does::Answers);
    for daemon in &media.0.daemons {
        daemon.is_there();
    }
    let before = first.heard().len();
    assert!(media.relay(answer(&leg)).await.is_ok());
    assert!(media.relay(offer(&leg)).await.is_ok());
    assert_eq!(first.heard().len(), before);
    other.does(Does::SaysNothing);
    assert!(
        media.relay(answer(&leg)).await.is_err(),
        "nobody else knows the offer"
    );
    assert!(media.relay(offer(&leg)).await.is_ok());
    assert!(first.heard().len() > before);
    let missing = "reveille_media_missing_total{reason=\"unanswered\"} 1";
    assert!(metrics.render().contains(missing), "{}", metrics.render());
}

#[tokio::test]
async fn who_does_not_answer_is_not_asked_until_it_does_and_there_is_an_alarm() {
    let daemon = Fake::new(Does::SaysNothing).await;
    let (media, metrics) = asking(&[daemon.at]).await;
    assert!(media.relay(offer("leg")).await.is_err());
    assert!(media.0.daemons[0].is_up(), "one answer may be lost");
    assert!(media.relay(offer("leg")).await.is_err());
    let heard = daemon.heard().len();
    assert_eq!(
        media.relay(offer("leg")).await.unwrap_err(),
        "no rtpengine answers"
    );
    assert_eq!(daemon.heard().len(), heard, "at once");
    // What is known of an offer of before nobody else knows.
    let before = daemon.commands().len();
    assert!(media.relay(answer("leg")).await.is_err());
    media.forget(&over("leg")).await;
    assert_eq!(daemon.commands()[before..], ["answer", "delete"]);
    let standing = metrics.alarms().standing();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].name, "media_relay_down");
    assert_eq!(standing[0].subject, daemon.at.to_string());
    daemon.does(Does::Answers);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let watching = tokio::spawn(media.clone().watch(stopped));
    let over = async {
        while !media.0.daemons[0].is_up() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), over)
        .await
        .unwrap();
    assert!(media.relay(offer("leg")).await.is_ok());
    assert!(metrics.alarms().standing().is_empty());
    stop.send(true).unwrap();
    watching.await.unwrap();
}

#[tokio::test]
async fn of_a_leg_that_nobody_remembers_every_daemon_is_told() {
    let (one, other) = (
        Fake::new(Does::Answers).await,
        Fake::new(Does::Answers).await,
    );
    let (media, _) = asking(&[one.at, other.at]).await;
    media.forget(&over("from before a restart")).await;
    assert_eq!(
        (one.commands(), other.commands()),
        (vec!["delete".to_owned()], vec!["delete".to_owned()])
    );
}

#[tokio::test]
async fn a_daemon_that_takes_no_offers_is_shown_whatever_its_pongs_say() {
    let daemon = Fake::new(Does::OnlyPongs).await;
    let (media, metrics) = asking(&[daemon.at]).await;
    assert!(media.relay(offer("leg")).await.is_err());
    media.look(0).await;
    media.tell();
    assert!(media.0.daemons[0].is_up());
    assert_eq!(metrics.alarms().standing().len(), 1);
    daemon.does(Does::Answers);
    assert!(media.relay(offer("leg")).await.is_ok());
    assert!(metrics.alarms().standing().is_empty());
}

#[tokio::test]
async fn who_says_nothing_of_what_ends_is_there_all_the_same() {
    let daemon = Fake::new(Does::SaysNothingOfWhatEnds).await;
    let (media, metrics) = asking(&[daemon.at]).await;
    for leg in ["one", "other", "third"] {
        assert!(media.relay(offer(leg)).await.is_ok());
    }
    for leg in ["one", "other", "third"] {
        media.forget(&over(leg)).await;
    }
    assert!(media.0.daemons[0].is_up());
    assert!(metrics.alarms().standing().is_empty());
    // And one silence after them is still the first.
    daemon.does(Does::SaysNothing);
    assert!(media.relay(answer("fourth")).await.is_err());
    assert!(media.0.daemons[0].is_up());
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_ends_its_question_and_is_a_sign_of_life() {
    let daemon = Fake::new(Does::SaysNothing).await;
    let (media, metrics) = asking(&[daemon.at]).await;
    assert!(media.relay(answer("leg")).await.is_err());
    daemon.does(Does::SaysHalf);
    let before = daemon.heard().len();
    for _ in 0..3 {
        let why = media.relay(offer("leg")).await.unwrap_err();
        assert!(why.ends_with("its answer cannot be read"), "{why}");
    }
    assert_eq!(daemon.heard().len(), before + 3, "each is asked once");
    daemon.does(Does::SaysNothing);
    assert!(media.relay(answer("leg")).await.is_err());
    assert!(
        media.0.daemons[0].is_up(),
        "it is silent for the first time"
    );
    assert!(metrics.alarms().standing().is_empty());
}

#[tokio::test]
async fn what_nobody_needs_to_describe_no_daemon_is_asked_about() {
    let daemon = Fake::new(Does::Answers).await;
    let (media, metrics) = asking(&[daemon.at]).await;
    let of = |sdp: String| Description {
        sdp: sdp.into(),
        ..offer("leg")
    };
    let media_lines = |count| "v=0\r\n".to_owned() + &"m=audio 9 RTP/AVP 0\r\n".repeat(count);
    for (sdp, is_asked) in [
        (media_lines(16), true),
        (media_lines(17), false),
        ("v".repeat(16 * 1024), true),
        ("v".repeat(16 * 1024 + 1), false),
        ("v".repeat(70_000), false),
    ] {
        let before = daemon.commands().len();
        assert_eq!(media.relay(of(sdp)).await.is_ok(), is_asked);
        assert_eq!(daemon.commands().len() > before, is_asked);
    }
    let missing = "reveille_media_missing_total{reason=\"refused\"} 3";
    assert!(metrics.render().contains(missing), "{}", metrics.render());
}

#[tokio::test]
async fn what_cannot_be_sent_says_nothing_of_a_daemon() {
    let daemon = Fake::new(Does::Answers).await;
    let (media, metrics) = asking(&[daemon.at]).await;
    for _ in 0..3 {
        let too_long = Description {
            offerer: "a".repeat(70_000),
            ..offer("leg")
        };
        assert!(media.relay(too_long).await.is_err());
    }
    assert!(media.0.daemons[0].is_up());
    assert!(metrics.alarms().standing().is_empty());
    assert!(media.relay(offer("leg")).await.is_ok());
}
