//! Where the header fields that everybody asks for stand first, found in the one scan: a call's are read dozens of
//! times on its way.

use super::header_name::{HeaderName, UNKNOWN};
use super::scan::Line;

/// Names that are looked up at once; the rest is searched for.
const QUICK: [HeaderName<'static>; 22] = [
    HeaderName::Authorization,
    HeaderName::CSeq,
    HeaderName::CallId,
    HeaderName::Contact,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::Event,
    HeaderName::Expires,
    HeaderName::FeatureCaps,
    HeaderName::From,
    HeaderName::MaxForwards,
    HeaderName::Path,
    HeaderName::ProxyAuthorization,
    HeaderName::ProxyRequire,
    HeaderName::Reason,
    HeaderName::RecordRoute,
    HeaderName::Require,
    HeaderName::Route,
    HeaderName::Supported,
    HeaderName::To,
    HeaderName::UserAgent,
    HeaderName::Via,
];

/// The place in [`QUICK`] of each code of a name; beyond its end for all others.
const PLACES: [u8; 256] = {
    let mut places = [u8::MAX; 256];
    let mut place = 0;
    while place < QUICK.len() {
        let code = QUICK[place].known_code();
        assert!(code != UNKNOWN);
        #[expect(clippy::cast_possible_truncation, reason = "a handful")]
        let small = place as u8;
        places[code as usize] = small;
        place += 1;
    }
    places
};

/// There is none.
const ABSENT: u8 = u8::MAX;

/// From here on lines are searched.
const FAR: u8 = u8::MAX - 1;

/// The first line of each of the [`QUICK`] names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Index([u8; QUICK.len()]);

impl Index {
    pub(crate) fn of(lines: &[Line]) -> Self {
        let mut first = [ABSENT; QUICK.len()];
        for (place, line) in lines.iter().enumerate() {
            let quick = first.get_mut(usize::from(PLACES[usize::from(line.code)]));
            if let Some(first) = quick.filter(|first| **first == ABSENT) {
                *first = u8::try_from(place).unwrap_or(FAR).min(FAR);
            }
        }
        Self(first)
    }

    /// The lines from the first on that can have this code.
    pub(crate) fn from(self, code: u8, lines: &[Line]) -> &[Line] {
        let start = match self.0.get(usize::from(PLACES[usize::from(code)])) {
            Some(&ABSENT) => lines.len(),
            Some(&first) => usize::from(first),
            None => 0,
        };
        lines.get(start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use crate::{HeaderName, Limits, Message};

    #[test]
    fn a_field_is_found_wherever_it_stands() {
        for above in [0, 1, 253, 254, 255] {
            let filler = "X: y\r\n".repeat(above);
            let text = format!(
                "OPTIONS sip:r.example SIP/2.0\r\n{filler}t: <sip:a@b>\r\nSubject: s\r\n\r\n"
            );
            let limits = Limits {
                header_count: 300,
                ..Limits::default()
            };
            let message = Message::parse(text.into(), &limits).unwrap();
            assert_eq!(
                message.header_text(HeaderName::To),
                Some("<sip:a@b>"),
                "{above}"
            );
            assert_eq!(message.header_text(HeaderName::Subject), Some("s"));
            assert_eq!(message.headers(HeaderName::Other("x")).count(), above);
            assert!(!message.has(HeaderName::From));
        }
    }
}
