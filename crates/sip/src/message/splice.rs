//! One change at one place, for what is done to each message on its way: quicker than [`Edit`](crate::Edit), which is
//! for many changes at once. Everything else stays as it is, octet for octet.

use std::ops::Range;

use bytes::Bytes;

use super::lex::{find_unquoted, trim};
use super::scan::{Line, Lines};
use crate::{HeaderName, Message};

impl Message {
    /// Another first value of that header field, also in a comma list; the very same without one. It must be on one
    /// line, and no comma list.
    pub(crate) fn with_first_value(&self, name: HeaderName<'_>, value: &str) -> Self {
        debug_assert!(!value.contains(['\r', '\n']), "not on one line: {value}");
        let Some(place) = self.first_line(name) else {
            return self.clone();
        };
        let line = self.lines[place];
        let old = line.value(&self.bytes);
        let end = find_unquoted(old, b',').unwrap_or(old.len());
        let start = line.value_start as usize;
        self.spliced(start..start + end, value.as_bytes(), place, false)
    }

    /// The message without the first value of that header field, also out of a comma list.
    pub(crate) fn without_first_value(&self, name: HeaderName<'_>) -> Self {
        let Some(place) = self.first_line(name) else {
            return self.clone();
        };
        let line = self.lines[place];
        let old = line.value(&self.bytes);
        let Some(comma) = find_unquoted(old, b',') else {
            let whole = line.start as usize..self.line_end(place) as usize;
            return self.spliced(whole, &[], place, true);
        };
        let start = line.value_start as usize;
        let rest = trim(&old[comma + 1..]).len();
        self.spliced(start..start + old.len() - rest, &[], place, false)
    }

    fn first_line(&self, name: HeaderName<'_>) -> Option<usize> {
        let code = name.code();
        self.lines
            .iter()
            .position(|line| self.is_named(*line, code, name))
    }

    /// Puts `new` in the place of some octets of one line, or of a `whole` one.
    fn spliced(&self, old: Range<usize>, new: &[u8], place: usize, whole: bool) -> Self {
        let bytes = [&self.bytes[..old.start], new, &self.bytes[old.end..]].concat();
        // Messages are far below 4 GiB.
        let moved = |offset: u32| {
            let offset = offset as usize + new.len() - old.len();
            u32::try_from(offset).unwrap_or(u32::MAX)
        };
        let mut lines: Lines = self.lines[..place].into();
        if !whole {
            let line = self.lines[place];
            lines.push(Line {
                value_end: moved(line.value_end),
                ..line
            });
        }
        lines.extend(self.lines[place + 1..].iter().map(|line| Line {
            start: moved(line.start),
            value_start: moved(line.value_start),
            value_end: moved(line.value_end),
            ..*line
        }));
        let body = moved(self.body);
        Self::new(Bytes::from(bytes), self.start.clone(), &lines, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Edit, Limits};

    const MESSAGES: [&str; 4] = [
        "BYE sip:a SIP/2.0\r\nX: 1\r\nv:  SIP/2.0/UDP a;x=\"1,2\" , SIP/2.0/UDP b\r\nTo: <sip:b>\r\nVia: c\r\n\r\nbody",
        "BYE sip:a SIP/2.0\r\nVia: a\r\n\r\n",
        "BYE sip:a SIP/2.0\r\nX: 1\r\nVia: a,\r\n b,c\r\nY: 2\r\n\r\nVia: body",
        "SIP/2.0 200 OK\r\nX: 1\r\n\r\n",
    ];

    fn is_as_parsed(message: &Message) {
        let again = Message::parse(message.bytes().clone(), &Limits::default()).unwrap();
        assert_eq!(again.body(), message.body());
        assert!(again.all_headers().eq(message.all_headers()));
        assert!(
            again
                .values(HeaderName::Via)
                .eq(message.values(HeaderName::Via))
        );
    }

    #[test]
    fn a_splice_is_what_an_edit_would_be() {
        for text in MESSAGES {
            let message = Message::parse(text.into(), &Limits::default()).unwrap();
            for value in ["", "SIP/2.0/UDP other;branch=1;received=192.0.2.1"] {
                let spliced = message.with_first_value(HeaderName::Via, value);
                is_as_parsed(&spliced);
                let edit = Edit::new(&message).replace_first_value(HeaderName::Via, value);
                assert!(
                    spliced
                        .values(HeaderName::Via)
                        .eq(edit.finish().values(HeaderName::Via))
                );
            }
            let mut spliced = message.clone();
            let mut edited = message.clone();
            for _ in 0..4 {
                spliced = spliced.without_first_value(HeaderName::Via);
                edited = Edit::new(&edited)
                    .remove_first_value(HeaderName::Via)
                    .finish();
                is_as_parsed(&spliced);
                assert_eq!(spliced, edited);
            }
        }
    }
}
