//! How plays are written. A step a line; a line that begins with a space goes on with the one before; `#` begins a remark,
//! `---` a scene: another world, where nothing has happened yet.
//!
//! ```text
//! alice and bob are friends                     both see the other
//! alice/desk arrives                            a connection, and nothing else
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
//! bob's phone registers                         over SIP
//! bob's phone writes to alice: hi
//! bob's phone receives: hi
//! 2 messages wait for bob                       in the store
//! the store is slow                             it keeps its answers to itself
//! the store answers                             and now it gives them
//! the shards are apart, the shards are together     what one XMPP role says to another waits
//! the server restarts                           what is not in the store is gone, and all connections
//! bob's account is removed
//! alice/desk sends 3 times: <message …/>
//! time passes: 10 s
//! ```
//!
//! In stanzas `{kept by bob}` is our id, `{message 2}` that of the second message that was archived, `{late}` the stamp of a
//! message that waited, and `{error wait resource-constraint}` what it says. `{n}` counts what is sent several times; `{sm}` and
//! `{csi}` stand for the namespaces of stream management and of client state.

use crate::users::DOMAIN;
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

#[derive(Debug)]
pub(crate) enum Act {
    Scene,
    Friends(String, String),
    Arrives(String),
    Connects(String, Option<String>),
    ShowsItself(String),
    ComesOnline(String, Option<String>),
    Sends(String, usize, String),
    Receives(String, String),
    ReceivesLater(String, String),
    ReceivesNothing(String),
    Disconnects(String),
    Closes(String),
    SentAway(String, String),
    PhoneRegisters(String),
    PhoneWrites(String, String, String),
    PhoneReceives(String, String),
    Wait(usize, String),
    Passes(Duration),
    StoreIsSlow(bool),
    ShardsAreApart(bool),
    Restarts,
    AccountIsRemoved(String),
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
    match text {
        "the store is slow" => return Some(Act::StoreIsSlow(true)),
        "the server restarts" => return Some(Act::Restarts),
        "the store answers" => return Some(Act::StoreIsSlow(false)),
        "the shards are apart" => return Some(Act::ShardsAreApart(true)),
        "the shards are together" => return Some(Act::ShardsAreApart(false)),
        _ => {}
    }
    if let Some(user) = text.strip_suffix("'s account is removed") {
        return Some(Act::AccountIsRemoved(user.to_owned()));
    }
    if let Some((user, what)) = text.split_once("'s phone ") {
        return of_phone(user.to_owned(), what);
    }
    let (who, what) = text.split_once(' ')?;
    of_client(who.to_owned(), what)
}

fn of_phone(user: String, what: &str) -> Option<Act> {
    if what == "registers" {
        return Some(Act::PhoneRegisters(user));
    }
    let (verb, said) = what.split_once(": ")?;
    if verb == "receives" {
        return Some(Act::PhoneReceives(user, said.to_owned()));
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
            _ => {
                let times = verb.strip_prefix("sends ")?.strip_suffix(" times")?;
                Some(Act::Sends(who, times.parse().ok()?, said))
            }
        };
    }
    match what {
        "arrives" => Some(Act::Arrives(who)),
        "shows who it is" => Some(Act::ShowsItself(who)),
        "connects" => Some(Act::Connects(who, None)),
        "comes online" => Some(Act::ComesOnline(who, None)),
        "receives nothing" => Some(Act::ReceivesNothing(who)),
        "disconnects" => Some(Act::Disconnects(who)),
        "closes" => Some(Act::Closes(who)),
        _ => None,
    }
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
            ["sm"] => format!("xmlns='{}'", ns::SM),
            ["csi"] => format!("xmlns='{}'", ns::CSI),
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
