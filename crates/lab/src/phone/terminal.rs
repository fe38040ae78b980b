//! `reveille lab phone`: one simulated phone at the terminal. Commands come line by line on standard input, and every
//! step of the phone is printed with its time.

use std::time::Duration;

use domain::Timestamp;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};

use super::chat::Show;
use super::{Caller, Phone, PhoneConfig, PhoneError, PhoneEvent};

/// What `help` prints.
const HELP: &str = "\
suspend        go to the background and lose the connection, as iOS and Android do
background     go to the background, the connection still up
resume, tap    open the app again; on a tap it says so
answer         answer the call that rings
decline        decline it, on all devices
hangup         end the call
call WHO       call somebody: call bob, or call sip:bob@localhost
send WHO TEXT  write to somebody: send bob hello, or over the other door, send xmpp:bob@localhost hello
show HOW       over XMPP: available, away, dnd or unavailable
watch WHO      over XMPP: ask somebody to let us see them
crash          the app dies; a call wakes it
network        leave the network for another one
unregister     sign out
help, quit
";

/// How long a phone that quits waits to be signed out.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs a phone at the terminal until `quit` or the end of the input. It registers first.
///
/// # Errors
/// If it cannot start or register.
pub async fn run(config: PhoneConfig) -> Result<(), PhoneError> {
    run_on(
        config,
        BufReader::new(tokio::io::stdin()),
        tokio::io::stdout(),
    )
    .await
}

/// The same, on other streams.
///
/// # Errors
/// If the phone cannot start or register.
pub async fn run_on(
    config: PhoneConfig,
    input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> Result<(), PhoneError> {
    let phone = Phone::start(config).await?;
    phone.register().await?;
    let mut lines = input.lines();
    let mut printed = 0;
    print(&mut output, "`help` lists the commands\n").await;
    loop {
        for entry in phone.events_since(printed) {
            print(
                &mut output,
                &format!("{}  {}\n", clock(entry.at), describe(&entry.event)),
            )
            .await;
            printed = entry.seq + 1;
        }
        let line = tokio::select! {
            line = lines.next_line() => line,
            () = phone.changed(printed) => continue,
        };
        let Ok(Some(line)) = line else {
            break;
        };
        match command(&phone, line.trim()).await {
            Ok(Done::Quit) => break,
            Ok(Done::Print(text)) => print(&mut output, text).await,
            Ok(Done::Nothing) => {}
            Err(error) => print(&mut output, &format!("{error}\n")).await,
        }
    }
    let _ = tokio::time::timeout(FAREWELL, phone.unregister()).await;
    phone.shutdown().await;
    Ok(())
}

enum Done {
    Nothing,
    Print(&'static str),
    Quit,
}

async fn command(phone: &Phone, line: &str) -> Result<Done, PhoneError> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    match (word, rest) {
        ("", _) => {}
        ("suspend", "") => phone.suspend().await?,
        ("background", "") => phone.background().await?,
        ("resume", "") => phone.resume().await?,
        ("tap", "") => phone.tap().await?,
        ("answer", call) => phone.answer(&call_or_latest(phone, call)).await?,
        ("decline", call) => phone.decline(&call_or_latest(phone, call)).await?,
        ("hangup", call) => phone.hangup(&call_or_latest(phone, call)).await?,
        ("network", "") => phone.change_network().await?,
        ("crash", "") => phone.crash().await?,
        ("unregister", "") => phone.unregister().await?,
        ("call", uri) if !uri.is_empty() => drop(phone.call(&whole(phone, uri)).await?),
        ("send", rest) if rest.contains(' ') => {
            let (uri, text) = rest.split_once(' ').unwrap_or_default();
            let uri = whole(phone, uri);
            phone.send_message(&uri, text.trim()).await?;
        }
        ("show", how) if Show::named(how).is_some() => {
            phone.show(Show::named(how).unwrap_or_default()).await?;
        }
        ("watch", address) if !address.is_empty() => {
            let domain = &phone.config().domain;
            phone.subscribe(&with_domain(address, domain)).await?;
        }
        ("help", _) => return Ok(Done::Print(HELP)),
        ("quit" | "exit", _) => return Ok(Done::Quit),
        _ => return Ok(Done::Print("not understood; `help` lists the commands\n")),
    }
    Ok(Done::Nothing)
}

/// The call that is named, else the one that was heard of last.
fn call_or_latest(phone: &Phone, call: &str) -> String {
    if !call.is_empty() {
        return call.to_owned();
    }
    let latest = phone
        .events()
        .into_iter()
        .rev()
        .find_map(|entry| match entry.event {
            PhoneEvent::CallKitRinging { call, .. }
            | PhoneEvent::Ringing { call }
            | PhoneEvent::Calling { call, .. }
            | PhoneEvent::Answered { call } => Some(call),
            _ => None,
        });
    latest.unwrap_or_default()
}

/// A URI of what somebody types: a name is one of the phone's own domain, and calls go over SIP.
fn whole(phone: &Phone, typed: &str) -> String {
    uri(typed, &phone.config().domain)
}

/// Schemes that have a user and a domain.
const SCHEMES: [&str; 3] = ["sip", "sips", "xmpp"];

fn uri(typed: &str, domain: &str) -> String {
    match typed.split_once(':') {
        Some((scheme, rest)) if SCHEMES.contains(&scheme) => {
            format!("{scheme}:{}", with_domain(rest, domain))
        }
        // What stands before the colon is a host, and behind it its port.
        Some((host, _)) if host.contains('@') => format!("sip:{typed}"),
        Some(_) => typed.to_owned(),
        None => format!("sip:{}", with_domain(typed, domain)),
    }
}

fn with_domain(name: &str, domain: &str) -> String {
    if name.contains('@') {
        name.to_owned()
    } else {
        format!("{name}@{domain}")
    }
}

async fn print(output: &mut (impl AsyncWrite + Unpin), text: &str) {
    // A terminal that is gone also ends the input.
    let _ = output.write_all(text.as_bytes()).await;
    let _ = output.flush().await;
}

/// The time of day, UTC, to the millisecond.
fn clock(at: Timestamp) -> String {
    let (seconds, millis) = (at.0 / 1_000, at.0 % 1_000);
    format!(
        "{:02}:{:02}:{:02}.{millis:03}",
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// An event in words.
pub fn describe(event: &PhoneEvent) -> String {
    match event {
        PhoneEvent::Registered {
            expires,
            round_trips,
        } => {
            let plural = if *round_trips == 1 { "" } else { "s" };
            format!("registered for {expires} s, in {round_trips} round trip{plural}")
        }
        PhoneEvent::RegistrationFailed { why } => format!("not registered: {why}"),
        PhoneEvent::Unregistered => "signed out".to_owned(),
        PhoneEvent::SignedIn {
            resumed,
            round_trips,
        } => {
            let how = if *resumed { ", where it was" } else { "" };
            format!("signed in over XMPP{how}, in {round_trips} round trips")
        }
        PhoneEvent::SignInFailed { why } => format!("not signed in over XMPP: {why}"),
        PhoneEvent::SignedOut => "signed out of XMPP".to_owned(),
        PhoneEvent::StreamLost => "the connection for XMPP broke".to_owned(),
        PhoneEvent::PushesEnabled => "the server will push to it".to_owned(),
        PhoneEvent::PushesRefused { why } => format!("the server will not push to it: {why}"),
        PhoneEvent::CaughtUp { messages } => format!("archive read: {messages} new"),
        PhoneEvent::ContactsRead { count } => format!("{count} contacts"),
        PhoneEvent::PresenceSeen { from, show } => format!("{from} is {show}"),
        PhoneEvent::MessageDelivered { by, .. } => format!("{by} has the message"),
        PhoneEvent::ConnectionLost => "the connection broke".to_owned(),
        PhoneEvent::NetworkChanged => "on another network".to_owned(),
        PhoneEvent::Backgrounded => "in the background, still connected".to_owned(),
        PhoneEvent::Suspended => "asleep, connection closed".to_owned(),
        PhoneEvent::Resumed { by_push: true } => "woken by the push, in the foreground".to_owned(),
        PhoneEvent::Resumed { by_push: false } => "in the foreground".to_owned(),
        PhoneEvent::Tapped => "the user taps".to_owned(),
        PhoneEvent::Crashed => "the app crashed".to_owned(),
        PhoneEvent::Pushed {
            channel,
            kind,
            caller,
            ..
        } => {
            let from = caller
                .as_ref()
                .map_or(String::new(), |caller| format!(" from {caller}"));
            format!("push on the {} channel: {kind}{from}", channel.name())
        }
        PhoneEvent::DuplicatePushDropped { .. } => {
            "push dropped: the call was here already".to_owned()
        }
        PhoneEvent::CallKitRinging { name, number, .. } => {
            let (name, number) = (name.clone(), number.clone());
            format!("CallKit rings: {}", Caller { name, number })
        }
        PhoneEvent::CallKitClosed { .. } => "CallKit closed".to_owned(),
        PhoneEvent::NotificationShown {
            kind,
            from,
            text,
            unread,
        } => {
            let from = from
                .as_ref()
                .map_or(String::new(), |from| format!(" from {from}"));
            let text = text
                .as_ref()
                .map_or(String::new(), |text| format!(": {text}"));
            let unread = unread.map_or(String::new(), |unread| format!(" ({unread} unread)"));
            format!("shown: {kind}{from}{text}{unread}")
        }
        PhoneEvent::Proposed { from, .. } => format!("a call is proposed by {from}"),
        PhoneEvent::NotificationsRemoved { removed, unread } => {
            let unread = unread.map_or(String::new(), |unread| format!(" ({unread} unread)"));
            format!("read elsewhere: {removed} taken away{unread}")
        }
        PhoneEvent::InviteReceived { from, .. } => format!("INVITE from {from}"),
        PhoneEvent::Ringing { .. } => "ringing; `answer` or `decline`".to_owned(),
        PhoneEvent::Calling { to, .. } => format!("calling {to}"),
        PhoneEvent::Progress { status, .. } => format!("{status} {}", sip::reason_phrase(*status)),
        PhoneEvent::Answered { .. } => "answered".to_owned(),
        PhoneEvent::Connected { .. } => "connected".to_owned(),
        PhoneEvent::Renewed { .. } => "the other side renewed the call".to_owned(),
        PhoneEvent::RenewalTaken { .. } => "the call was renewed".to_owned(),
        PhoneEvent::CallFailed { status, reason, .. } => format!("no call: {status} {reason}"),
        PhoneEvent::Cancelled { reason, .. } => match reason {
            Some(reason) => format!("stopped ringing: {reason}"),
            None => "stopped ringing: the caller gave up".to_owned(),
        },
        PhoneEvent::Ended { by_us: true, .. } => "call ended by us".to_owned(),
        PhoneEvent::Ended { by_us: false, .. } => "call ended by the other side".to_owned(),
        PhoneEvent::MessageReceived { from, text, .. } => format!("message from {from}: {text}"),
        PhoneEvent::DuplicateMessageDropped { .. } => {
            "message dropped: it was here before".to_owned()
        }
        PhoneEvent::MessageSent { status: 202, .. } => "message kept by the server".to_owned(),
        PhoneEvent::MessageSent { .. } => "message delivered".to_owned(),
        PhoneEvent::WokenForNothing { .. } => "woken for a call that never came".to_owned(),
        PhoneEvent::Killed { why } => format!("KILLED by iOS: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_the_phones_own_domain() {
        for (typed, meant) in [
            ("bob", "sip:bob@localhost"),
            ("bob@example.org", "sip:bob@example.org"),
            ("bob@example.org:5070", "sip:bob@example.org:5070"),
            ("sip:bob", "sip:bob@localhost"),
            ("sips:bob@example.org", "sips:bob@example.org"),
            ("xmpp:bob", "xmpp:bob@localhost"),
            ("tel:+123", "tel:+123"),
        ] {
            assert_eq!(uri(typed, "localhost"), meant, "{typed}");
        }
    }
}
