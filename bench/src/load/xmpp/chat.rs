//! Pairs of users who write to each other: each message is stored, acknowledged to its writer, delivered, and acknowledged by
//! its reader.

use super::{crowd::Crowd, session::Seen};
use crate::load::{PATIENCE, scattered};
use anyhow::{Result, bail};
use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

/// Who writes to whom, and what is under way.
pub(crate) struct Chat {
    users: u32,
    /// For each writer, its messages that the server has not acknowledged, with the count that will say so.
    unacknowledged: HashMap<u32, VecDeque<(u32, u32)>>,
    /// What is missing of each message under way: to be delivered, to be acknowledged.
    missing: HashMap<u32, u8>,
}

/// What a run was.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Messages delivered and acknowledged: as many as were sent.
    pub(crate) finished: u32,
    /// Messages that came to a reader twice.
    pub(crate) again: u32,
}

impl Chat {
    /// Between users `u0` and `u1`, `u2` and `u3`, and so on.
    pub(crate) fn new(users: u32) -> Self {
        Self {
            users: users & !1,
            unacknowledged: HashMap::new(),
            missing: HashMap::new(),
        }
    }

    /// Sends `count` messages, the first with number `first`, `window` under way at once, and waits until all are done.
    pub(crate) fn run(
        &mut self,
        crowd: &mut Crowd,
        first: u32,
        count: u32,
        window: u32,
    ) -> Result<Tally> {
        let (mut tally, mut begun, mut heard) = (Tally::default(), 0, Instant::now());
        while tally.finished < count {
            while begun < count.min(tally.finished + window) {
                self.begin(crowd, first + begun)?;
                begun += 1;
            }
            crowd.turn(|user, seen| match seen {
                Seen::Message(number) => match self.missing.get_mut(&number) {
                    Some(missing) if *missing & DELIVERY != 0 => {
                        *missing &= !DELIVERY;
                        heard = Instant::now();
                        tally.finished += self.done(number);
                    }
                    _ => tally.again += 1,
                },
                Seen::Acknowledged(h) => tally.finished += self.acknowledged(user, h),
                Seen::Online | Seen::Done(_) | Seen::Ended => {}
            })?;
            if heard.elapsed() > PATIENCE {
                bail!("{} of {begun} messages were lost", begun - tally.finished);
            }
        }
        Ok(tally)
    }

    fn begin(&mut self, crowd: &mut Crowd, number: u32) -> Result<()> {
        let writer = scattered(number, self.users);
        let stanza = message(writer ^ 1, number);
        let count = crowd.session(writer)?.send(stanza.as_bytes())?;
        let waiting = self.unacknowledged.entry(writer).or_default();
        waiting.push_back((count, number));
        self.missing.insert(number, DELIVERY | ACKNOWLEDGEMENT);
        Ok(())
    }

    /// Says how many messages are done by that.
    fn acknowledged(&mut self, user: u32, h: u32) -> u32 {
        let mut done = 0;
        while let Some(waiting) = self.unacknowledged.get_mut(&user)
            && let Some((_, number)) = waiting.pop_front_if(|(count, _)| *count <= h)
        {
            if let Some(missing) = self.missing.get_mut(&number) {
                *missing &= !ACKNOWLEDGEMENT;
            }
            done += self.done(number);
        }
        done
    }

    fn done(&mut self, number: u32) -> u32 {
        let done = self.missing.get(&number) == Some(&0);
        if done {
            self.missing.remove(&number);
        }
        done.into()
    }
}

const DELIVERY: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 2;

/// Has one user write to another; the message has the reader's number. Says how many stanzas left with it.
pub(crate) fn write_to(crowd: &mut Crowd, writer: u32, reader: u32) -> Result<u32> {
    let stanza = message(reader, reader);
    crowd.session(writer)?.send(stanza.as_bytes())
}

/// Has the other one of a pair write to `reader`, who is away.
pub(crate) fn leave_word(crowd: &mut Crowd, reader: u32) -> Result<()> {
    let writer = reader ^ 1;
    let count = write_to(crowd, writer, reader)?;
    let mut is_kept = false;
    while !is_kept {
        crowd.turn(|user, seen| {
            is_kept |= user == writer && matches!(seen, Seen::Acknowledged(h) if h >= count);
        })?;
    }
    Ok(())
}

/// As clients write it: with a request for a receipt, and the state of the chat.
fn message(to: u32, number: u32) -> String {
    format!(
        "<message to='u{to}@localhost' type='chat' id='m{number}' xml:lang='en'><body>Wherefore art thou, number {number}?</body>\
         <request xmlns='urn:xmpp:receipts'/><active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
}
