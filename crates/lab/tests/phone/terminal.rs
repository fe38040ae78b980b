use lab::phone::terminal;
use sip::endpoint::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

use crate::registrar::{Heard, Registrar};
use crate::world::android;
use lab::phone::PhoneConfig;

#[tokio::test]
async fn a_phone_at_the_terminal_obeys_and_tells() {
    let registrar = Registrar::start(Transport::Udp).await;
    let config = PhoneConfig::new(
        "bob",
        "wakeup",
        "localhost",
        (Transport::Udp, registrar.address),
        android(),
    );
    let (mut typed, input) = tokio::io::duplex(1_000);
    let (output, mut printed) = tokio::io::duplex(100_000);
    let running = tokio::spawn(terminal::run_on(config, BufReader::new(input), output));
    typed
        .write_all(b"help\nnonsense\nsend alice@localhost hello there\nanswer\n")
        .await
        .unwrap();
    let said =
        |heard: &Heard| matches!(heard, Heard::Request { body, .. } if body == "hello there");
    registrar.hears(1, said).await;
    typed.write_all(b"suspend\nquit\n").await.unwrap();
    running.await.unwrap().unwrap();
    let mut text = String::new();
    printed.read_to_string(&mut text).await.unwrap();
    for expected in [
        "registered for 3600 s, in 2 round trips",
        "call WHO",
        "not understood",
        "message kept by the server",
        "no such call",
        "asleep",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}
