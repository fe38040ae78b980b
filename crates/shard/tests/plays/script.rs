//! How plays are written. A step a line; a line that begins with a space goes on with the one before; `#` begins a remark,
//! `---` a scene: another world, where nothing has happened yet.
//!
//! ```text
//! alice and bob are friends                     both see the other
//! alice/desk arrives                            a connection, and nothing else
//! alice/desk opens a stream                     the same, and its features are taken
//! alice/desk shows HT-SHA-256-NONE $t: <fast …/>   `<authenticate/>` with this token, and with what stands here
//! alice/desk connects [speaking de]             signs in; says nothing of being there
//! alice/desk shows who it is                    signs in, and wants no address yet
//! alice/desk comes online [at priority -1]      the same, sends <presence/>, and takes its own presence back
//! alice/desk sends: <message …/>                any octets; `$id` is what it was when it was received
//! alice/desk receives: <message …/>             next of all; `*` is any value, `$id` too, <rest/> any number of children
//! alice/desk receives sooner or later: …        whatever came before
//! alice/desk receives nothing
//! alice/desk disconnects                        the connection is lost without a word
//! alice/desk closes                             </stream:stream>, and the server does the same
//! alice/desk is sent away: conflict             a stream error, and the end
//! push.app connects as a component             its domain; from then on it sends and receives as clients do
//! bob's phone registers [over TCP]              over SIP
//! bob's phone registers and takes envelopes     says that it takes CPIM (RFC 3840)
//! bob's phone shows bob.good over TLS: REGISTER bob -> 200  a token; `401 Bearer …` with the first challenge
//! bob's phone is hung up on                     we have closed its connection
//! bob's phone falls asleep                      its connection is lost
//! bob's phone is out of reach                   the same, and nobody knows yet
//! bob's phone unregisters
//! bob's phone calls: alice                      whose phone answers
//! bob's phone hangs up
//! bob's phone rang: 1                           so many times so far
//! bob's phone watches: alice                    SUBSCRIBE; `watches on: alice for 600 s` within it
//! bob's phone watches on as another: dave after alice  the same from dave, who is not even asked for a password
//! bob's phone sees: alice active: open, away    a NOTIFY; `sees nothing`
//! bob's phone publishes: away                   PUBLISH; `open`, `closed`, `the same`, `nothing`
//! bob's phone is answered 423: SUBSCRIBE alice; Event: presence; Expires: 1
//! bob's phone writes to alice: hi
//! bob's phone writes to alice about X in de: hi with a subject and a language; `receives: (X in de) hi`
//! bob's phone is answered 480 when it writes to alice
//! bob's phone is answered 480 when it calls alice
//! bob's phone receives: hi                      a text; `[…]` is something else in short
//! bob's phone wants receipts of alice: hi       in an envelope, by the id `m1`
//! bob's phone tells alice: delivered x          a receipt of what has the id `x`; `displayed x`, `active`, `idle`
//! 2 messages wait for bob                       in the store
//! bob-token is pushed: 2 unread                 a push goes to one of bob's tokens; each is named, in order; `call *`
//! no push is sent
//! the provider says that bob-token is dead      to whatever is pushed there from now on
//! it is counted: requests 1                     what was refused since this was asked last, by reason
//! the store is slow                             it keeps its answers to itself
//! the store answers                             and now it gives them
//! the store hangs                               nothing is saved any more
//! the store refuses the next step
//! the shards are apart, the shards are together     what one XMPP role says to another waits
//! the server restarts                           killed: what is not in the store is gone, and all connections
//! the server stops and starts with 2 shards     asked to
//! bob's account is removed
//! bob's password is changed
//! alice invites erin by the word xyzzy             or `the server`, and `somebody`
//! alice/desk sends 3 times: <message …/>
//! time passes: 10 s
//! ```
//!
//! In stanzas `{kept by bob}` is our id, `{message 2}` that of the second message that was archived, `{late}` the stamp of a
//! message that waited, and `{error wait resource-constraint}` what it says. `{n}` counts what is sent several times; `{sm}`,
//! `{csi}`, `{sasl2}`, `{bind2}`, `{fast}`, `{carbons}`, `{push}` and `{jmi}` (calls) stand for the namespaces of these; `{tokens v m}` are the
//! tokens for calls and messages that a client hands over, `-` is none; `{secret s}` what it wants said to an app's own server, and
//! `{publication n 1 s}` what is published there at the node `n` of one message, `-` without a secret.

use crate::users::DOMAIN;
use sip::Transport;
use std::time::Duration;
use xmpp::{
    ns,
    xml::{Element, Item, Limits, Reader},
};

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) act: Act,
}

/// A token that a phone shows, and how it is answered.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) token: String,
    pub(crate) transport: Transport,
    pub(crate) method: String,
    pub(crate) to: String,
    pub(crate) answer: String,
}

#[derive(Debug)]
pub(crate) enum Act {
    Scene,
    IsCounted(String),
    Friends(String, String),
    Arrives(String),
    Opens(String),
    Connects(String, Option<String>),
    ShowsItself(String),
    ConnectsAsComponent(String),
    ComesOnline(String, Option<String>),
    Sends(String, usize, String),
    Receives(String, String),
    ReceivesLater(String, String),
    ReceivesNothing(String),
    Disconnects(String),
    Closes(String),
    SentAway(String, String),
    PhoneRegisters(String, Transport),
    PhoneTakesEnvelopes(String),
    PhoneShows(String, Shown),
    PhoneSleeps(String),
    PhoneIsOutOfReach(String),
    PhoneUnregisters(String),
    PhoneCalls(String, String),
    PhoneHangsUp(String),
    PhoneIsHungUpOn(String),
    PhoneRang(String, usize),
    PhoneWatches(String, String),
    PhoneWatchesOn(String, String, u32, u16),
    PhoneWatchesAs(String, String, String),
    PhoneSees(String, Option<String>),
    PhonePublishes(String, String),
    PhoneIsAnswered(String, u16, String),
    PhoneWrites(String, String, String),
    PhoneReceives(String, String),
    PhoneIsRefused(String, u16, &'static str, String),
    PhoneWantsReceipts(String, String, String),
    PhoneTells(String, String, String),
    Wait(usize, String),
    Passes(Duration),
    StoreIsSlow(bool),
    StoreHangs,
    StoreRefuses,
    ShardsAreApart(bool),
    Restarts(Option<usize>),
    AccountIsRemoved(String),
    IsPushed(String, String),
    NoPush,
    Reads(String, String),
    TokenDies(String),
    PasswordIsChanged(String),
    ShowsToken(String, String, String, String),
    Invites(Option<String>, Option<String>, String),
}

/// The steps of a play.
pub(crate) fn read(text: &str) -> Result<Vec<Step>, String> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let is_more = line.starts_with(' ');
        match lines.last_mut() {
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            Some((_, whole)) if is_more => {
                if !whole.ends_with('>') && !whole.ends_with(':') {
                    whole.push(' ');
                }
                whole.push_str(line.trim());
            }
            _ => lines.push((number + 1, line.trim().to_owned())),
        }
    }
    let step = |(line, text): (usize, String)| match act(&text) {
        Some(act) => Ok(Step { line, text, act }),
        None => Err(format!("line {line}: no step: {text}")),
    };
    lines.into_iter().map(step).collect()
}

fn act(text: &str) -> Option<Act> {
    if text.starts_with("---") {
        return Some(Act::Scene);
    }
    if let Some(time) = text.strip_prefix("time passes: ") {
        let (number, unit) = time.split_once(' ')?;
        let seconds = match unit {
            "s" => 1,
            "min" => 60,
            "h" => 3600,
            _ => return None,
        };
        return Some(Act::Passes(Duration::from_secs(
            number.parse::<u64>().ok()? * seconds,
        )));
    }
    if let Some((number, user)) = text.split_once(" messages wait for ") {
        return Some(Act::Wait(number.parse().ok()?, user.to_owned()));
    }
    if let Some(counted) = text.strip_prefix("it is counted: ") {
        return Some(Act::IsCounted(counted.to_owned()));
    }
    match text {
        "no push is sent" => return Some(Act::NoPush),
        "the store is slow" => return Some(Act::StoreIsSlow(true)),
        "the server restarts" => return Some(Act::Restarts(None)),
        "the store answers" => return Some(Act::StoreIsSlow(false)),
        "the store hangs" => return Some(Act::StoreHangs),
        "the store refuses the next step" => return Some(Act::StoreRefuses),
        "the shards are apart" => return Some(Act::ShardsAreApart(true)),
        "the shards are together" => return Some(Act::ShardsAreApart(false)),
        _ => {}
    }
    if let Some(shards) = text.strip_prefix("the server stops and starts with ") {
        let shards = shards.strip_suffix(" shards")?.parse().ok()?;
        return Some(Act::Restarts(Some(shards)));
    }
    if let Some((who, word)) = text.split_once(" by the word ") {
        let (inviter, guest) = who.split_once(" invites ")?;
        let named = |it: &str, nobody| (it != nobody).then(|| it.to_owned());
        let (inviter, guest) = (named(inviter, "the server"), named(guest, "somebody"));
        return Some(Act::Invites(inviter, guest, word.to_owned()));
    }
    if let Some(told) = text.strip_prefix("a story tells: ") {
        let (step, words) = told.split_once(' ')?;
        return Some(Act::Reads(step.to_owned(), words.to_owned()));
    }
    if let Some(user) = text.strip_suffix("'s account is removed") {
        return Some(Act::AccountIsRemoved(user.to_owned()));
    }
    if let Some((token, about)) = text.split_once(" is pushed: ") {
        return Some(Act::IsPushed(token.to_owned(), about.to_owned()));
    }
    if let Some(token) = text.strip_prefix("the provider says that ") {
        let token = token.strip_suffix(" is dead")?;
        return Some(Act::TokenDies(token.to_owned()));
    }
    if let Some(user) = text.strip_suffix("'s password is changed") {
        return Some(Act::PasswordIsChanged(user.to_owned()));
    }
    if let Some((user, what)) = text.split_once("'s phone ") {
        return of_phone(user.to_owned(), what);
    }
    let (who, what) = text.split_once(' ')?;
    of_client(who.to_owned(), what)
}

fn of_phone(user: String, what: &str) -> Option<Act> {
    match what {
        "registers" => return Some(Act::PhoneRegisters(user, Transport::Udp)),
        "registers over TCP" => return Some(Act::PhoneRegisters(user, Transport::Tcp)),
        "is out of reach" => return Some(Act::PhoneIsOutOfReach(user)),
        "falls asleep" => return Some(Act::PhoneSleeps(user)),
        "registers and takes envelopes" => return Some(Act::PhoneTakesEnvelopes(user)),
        "unregisters" => return Some(Act::PhoneUnregisters(user)),
        "hangs up" => return Some(Act::PhoneHangsUp(user)),
        "is hung up on" => return Some(Act::PhoneIsHungUpOn(user)),
        "sees nothing" => return Some(Act::PhoneSees(user, None)),
        _ => {}
    }
    let answered = what.strip_prefix("is answered ");
    if let Some((status, what)) = answered.and_then(|it| it.split_once(" when it ")) {
        let (method, to) = match what.strip_prefix("calls ") {
            Some(to) => ("INVITE", to),
            None => ("MESSAGE", what.strip_prefix("writes to ")?),
        };
        let status = status.parse().ok()?;
        return Some(Act::PhoneIsRefused(user, status, method, to.to_owned()));
    }
    let (verb, said) = what.split_once(": ")?;
    match verb {
        "receives" => return Some(Act::PhoneReceives(user, said.to_owned())),
        "calls" => return Some(Act::PhoneCalls(user, said.to_owned())),
        "rang" => return Some(Act::PhoneRang(user, said.parse().ok()?)),
        "watches" => return Some(Act::PhoneWatches(user, said.to_owned())),
        "sees" => return Some(Act::PhoneSees(user, Some(said.to_owned()))),
        "publishes" => return Some(Act::PhonePublishes(user, said.to_owned())),
        "watches on" => {
            let (peer, seconds) = said.strip_suffix(" s")?.split_once(" for ")?;
            let seconds = seconds.parse().ok()?;
            return Some(Act::PhoneWatchesOn(user, peer.to_owned(), seconds, 200));
        }
        "watches on as another" => {
            let (other, peer) = said.split_once(" after ")?;
            return Some(Act::PhoneWatchesAs(user, other.to_owned(), peer.to_owned()));
        }
        "watches on in vain" => {
            return Some(Act::PhoneWatchesOn(user, said.to_owned(), 600, 481));
        }
        _ => {}
    }
    if let Some(status) = verb.strip_prefix("is answered ") {
        let status = status.parse().ok()?;
        return Some(Act::PhoneIsAnswered(user, status, said.to_owned()));
    }
    if let Some(shown) = verb.strip_prefix("shows ") {
        let (token, transport) = shown.split_once(" over ")?;
        let (request, answer) = said.split_once(" -> ")?;
        let (method, to) = request.split_once(' ')?;
        let shown = Shown {
            token: token.to_owned(),
            transport: Transport::from_via(transport)?,
            method: method.to_owned(),
            to: to.to_owned(),
            answer: answer.to_owned(),
        };
        return Some(Act::PhoneShows(user, shown));
    }
    if let Some(to) = verb.strip_prefix("wants receipts of ") {
        return Some(Act::PhoneWantsReceipts(
            user,
            to.to_owned(),
            said.to_owned(),
        ));
    }
    if let Some(to) = verb.strip_prefix("tells ") {
        return Some(Act::PhoneTells(user, to.to_owned(), said.to_owned()));
    }
    let to = verb.strip_prefix("writes to ")?;
    Some(Act::PhoneWrites(user, to.to_owned(), said.to_owned()))
}

fn of_client(who: String, what: &str) -> Option<Act> {
    if let Some(other) = what.strip_prefix("and ") {
        return Some(Act::Friends(
            who,
            other.strip_suffix(" are friends")?.to_owned(),
        ));
    }
    if let Some(lang) = what.strip_prefix("connects speaking ") {
        return Some(Act::Connects(who, Some(lang.to_owned())));
    }
    if let Some(priority) = what.strip_prefix("comes online at priority ") {
        return Some(Act::ComesOnline(who, Some(priority.to_owned())));
    }
    if let Some((verb, said)) = what.split_once(':') {
        let said = short(said.trim(), !verb.starts_with("sends"))?;
        return match verb {
            "sends" => Some(Act::Sends(who, 1, said)),
            "receives" => Some(Act::Receives(who, said)),
            "receives sooner or later" => Some(Act::ReceivesLater(who, said)),
            "is sent away" => Some(Act::SentAway(who, said)),
            _ if verb.starts_with("shows ") => {
                let (mechanism, token) = verb.strip_prefix("shows ")?.split_once(' ')?;
                let (mechanism, token) = (mechanism.to_owned(), token.to_owned());
                Some(Act::ShowsToken(who, mechanism, token, said))
            }
            _ => {
                let times = verb.strip_prefix("sends ")?.strip_suffix(" times")?;
                Some(Act::Sends(who, times.parse().ok()?, said))
            }
        };
    }
    match what {
        "arrives" => Some(Act::Arrives(who)),
        "opens a stream" => Some(Act::Opens(who)),
        "shows who it is" => Some(Act::ShowsItself(who)),
        "connects" => Some(Act::Connects(who, None)),
        "connects as a component" => Some(Act::ConnectsAsComponent(who)),
        "comes online" => Some(Act::ComesOnline(who, None)),
        "receives nothing" => Some(Act::ReceivesNothing(who)),
        "disconnects" => Some(Act::Disconnects(who)),
        "closes" => Some(Act::Closes(who)),
        _ => None,
    }
}

/// What has a short name.
fn namespace(name: &str) -> Option<&'static str> {
    let named = [
        ("sm", ns::SM),
        ("csi", ns::CSI),
        ("sasl2", ns::SASL2),
        ("bind2", ns::BIND2),
        ("fast", ns::FAST),
        ("carbons", ns::CARBONS),
        ("push", ns::PUSH),
        ("jmi", ns::JINGLE_MESSAGE),
    ];
    let row = named.into_iter().find(|(short, _)| *short == name);
    row.map(|(_, namespace)| namespace)
}

/// With what is written short written out; `got`: an error may have a text.
fn short(text: &str, got: bool) -> Option<String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, more)) = rest.split_once('{') {
        let (word, after) = more.split_once('}')?;
        whole.push_str(before);
        let words: Vec<&str> = word.split(' ').collect();
        let long = match words[..] {
            ["kept", "by", user] => {
                format!(
                    "<stanza-id xmlns='{}' by='{user}@{DOMAIN}' id='*'/>",
                    ns::STANZA_ID
                )
            }
            ["tokens", voip, message] => tokens(voip, message),
            ["secret", secret] => options(secret),
            ["publication", node, waiting, secret] => publication(node, waiting, secret),
            [name] if namespace(name).is_some() => {
                format!("xmlns='{}'", namespace(name)?)
            }
            ["message", number] => format!("{{message {number}}}"),
            ["n"] => "{n}".to_owned(),
            ["late"] => format!("<delay xmlns='{}' from='{DOMAIN}' stamp='*'/>", ns::DELAY),
            ["error", kind, condition] => {
                let condition = format!("<{condition} xmlns='{}'/>", ns::STANZA_ERRORS);
                let text = if got { "<rest/>" } else { "" };
                format!("<error type='{kind}'>{condition}{text}</error>")
            }
            _ => return None,
        };
        whole.push_str(&long);
        rest = after;
    }
    whole.push_str(rest);
    Some(whole)
}

/// What a client wants said with each publication at its app's own server.
fn options(secret: &str) -> String {
    let (data, kind) = (ns::DATA, ns::PUBSUB_PUBLISH_OPTIONS);
    format!(
        "<x xmlns='{data}' type='submit'><field var='FORM_TYPE'><value>{kind}</value></field>\
         <field var='secret'><value>{secret}</value></field></x>"
    )
}

/// What is published there (XEP-0357 §7).
fn publication(node: &str, waiting: &str, secret: &str) -> String {
    let (pubsub, push, data, summary) = (ns::PUBSUB, ns::PUSH, ns::DATA, ns::PUSH_SUMMARY);
    let options = if secret == "-" {
        String::new()
    } else {
        format!("<publish-options>{}</publish-options>", options(secret))
    };
    format!(
        "<pubsub xmlns='{pubsub}'><publish node='{node}'><item><notification xmlns='{push}'><x xmlns='{data}' type='form'>\
         <field var='FORM_TYPE'><value>{summary}</value></field>\
         <field var='message-count'><value>{waiting}</value></field></x></notification></item></publish>{options}</pubsub>"
    )
}

/// What a client hands over to be pushed to.
fn tokens(voip: &str, message: &str) -> String {
    let rows = [
        ("FORM_TYPE", ns::PUBSUB_PUBLISH_OPTIONS),
        ("app", "org.example.app"),
        ("voip", voip),
        ("message", message),
    ];
    let rows = rows.iter().filter(|(_, value)| *value != "-");
    let field = |(name, value)| format!("<field var='{name}'><value>{value}</value></field>");
    let fields: String = rows.map(|row| field(*row)).collect();
    format!("<x xmlns='{}' type='submit'>{fields}</x>", ns::DATA)
}

/// Elements as they stand in a stream.
pub(crate) fn elements(text: &str) -> Result<Vec<Element>, String> {
    let mut reader = Reader::new(Limits::default());
    let header = format!(
        "<stream:stream xmlns='{}' xmlns:stream='{}'>",
        ns::CLIENT,
        ns::STREAM
    );
    reader.push(header.as_bytes());
    reader.push(text.as_bytes());
    let mut elements = Vec::new();
    while let Some(item) = reader.next().map_err(|it| format!("{it}: {text}"))? {
        if let Item::Element(element) = item {
            elements.push(element);
        }
    }
    if elements.is_empty() || reader.is_midway() {
        return Err(format!("no stanza: {text}"));
    }
    Ok(elements)
}
