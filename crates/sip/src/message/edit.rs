//! Byte-preserving change of a message (docs/architecture.md, invariant 6): what is not named stays as it is, octet
//! for octet, unknown and odd header fields included.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::assemble::Assembly;
use super::lex::{find_unquoted, on_one_line, split_list, trim};
use crate::{HeaderName, Message};

/// Changes to one message. They act in the order in which they are made; [`Edit::finish`] writes the new message.
/// Line ends in a value that is given become blanks.
pub struct Edit<'a> {
    message: &'a Message,
    /// Another Request-URI.
    uri: Option<String>,
    fields: SmallVec<[Field; 32]>,
    body: Option<Vec<u8>>,
}

/// One header field of the message to be.
enum Field {
    /// That line of the old message, untouched.
    Kept(usize),
    /// That line of the old message with another value.
    Changed(usize, Vec<u8>),
    /// A new line.
    New(Cow<'static, str>, Vec<u8>),
}

/// A name that is looked for, and its code.
struct Wanted<'n> {
    name: HeaderName<'n>,
    code: u8,
}

impl<'n> Wanted<'n> {
    fn new(name: HeaderName<'n>) -> Self {
        Self {
            name,
            code: name.code(),
        }
    }
}

impl<'a> Edit<'a> {
    /// No change yet.
    pub fn new(message: &'a Message) -> Self {
        Self {
            message,
            uri: None,
            fields: (0..message.lines.len()).map(Field::Kept).collect(),
            body: None,
        }
    }

    /// Another Request-URI, as [`Uri::as_request_uri`](crate::Uri::as_request_uri) has it (nothing happens to a
    /// response).
    #[must_use]
    pub fn request_uri(mut self, uri: &str) -> Self {
        self.uri = Some(uri.to_owned());
        self
    }

    /// A new line above the first of that name. Without one: Via at the top, any other below the last Via.
    #[must_use]
    pub fn prepend(mut self, name: HeaderName<'_>, value: impl AsRef<[u8]>) -> Self {
        let place = self.first(name).unwrap_or_else(|| self.below_via(name));
        self.fields.insert(place, Field::new(name, value.as_ref()));
        self
    }

    /// A new line below the last of that name, or below all.
    #[must_use]
    pub fn append(mut self, name: HeaderName<'_>, value: impl AsRef<[u8]>) -> Self {
        let last = self.last(name);
        let place = last.map_or(self.fields.len(), |place| place + 1);
        self.fields.insert(place, Field::new(name, value.as_ref()));
        self
    }

    /// Takes away the first value of that name, also out of a comma list.
    #[must_use]
    pub fn remove_first_value(mut self, name: HeaderName<'_>) -> Self {
        if let Some(place) = self.first(name) {
            let value = self.value(place);
            match find_unquoted(value, b',') {
                Some(comma) => {
                    let rest = trim(&value[comma + 1..]).to_vec();
                    self.change(place, rest);
                }
                None => drop(self.fields.remove(place)),
            }
        }
        self
    }

    /// Puts another first value in place of the first of that name, also in a comma list.
    #[must_use]
    pub fn replace_first_value(mut self, name: HeaderName<'_>, value: impl AsRef<[u8]>) -> Self {
        if let Some(place) = self.first(name) {
            let old = self.value(place);
            let rest = find_unquoted(old, b',').map_or(&[][..], |comma| &old[comma..]);
            let new = on_one_line(value.as_ref())
                .chain(rest.iter().copied())
                .collect();
            self.change(place, new);
        }
        self
    }

    /// Takes away all lines of that name.
    #[must_use]
    pub fn remove_all(mut self, name: HeaderName<'_>) -> Self {
        self.keep_only_first(name, 0);
        self
    }

    /// Takes away the lines of that name with such a value.
    #[must_use]
    pub fn remove_where(mut self, name: HeaderName<'_>, such: impl Fn(&[u8]) -> bool) -> Self {
        let wanted = Wanted::new(name);
        for place in (0..self.fields.len()).rev() {
            if self.is(place, &wanted) && such(self.value(place)) {
                self.fields.remove(place);
            }
        }
        self
    }

    /// One line of that name with that value, in place of the first; below all others if there was none.
    #[must_use]
    pub fn set(mut self, name: HeaderName<'_>, value: impl AsRef<[u8]>) -> Self {
        match self.first(name) {
            Some(place) => {
                self.change(place, on_one_line(value.as_ref()).collect());
                self.keep_only_first(name, 1);
            }
            None => self.fields.push(Field::new(name, value.as_ref())),
        }
        self
    }

    /// Gives every value of that name (comma lists split) to `change`; where it returns another one, that is written.
    /// A line of which no value changes stays untouched.
    #[must_use]
    pub fn map_values<'v, F>(mut self, name: HeaderName<'_>, mut change: F) -> Self
    where
        F: FnMut(&[u8]) -> Option<Cow<'v, [u8]>>,
    {
        let wanted = Wanted::new(name);
        for place in 0..self.fields.len() {
            if !self.is(place, &wanted) {
                continue;
            }
            let old: Vec<_> = split_list(self.value(place)).collect();
            let new: Vec<_> = old.iter().map(|value| change(value)).collect();
            if new.iter().any(Option::is_some) {
                let values: Vec<&[u8]> = old
                    .iter()
                    .zip(&new)
                    .map(|(old, new)| new.as_deref().unwrap_or(old))
                    .collect();
                let value = on_one_line(&values.join(&b", "[..])).collect();
                self.change(place, value);
            }
        }
        self
    }

    /// Another body, with Content-Type and Content-Length to match.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self.set(HeaderName::ContentType, content_type)
            .set(HeaderName::ContentLength, body.len().to_string())
    }

    /// The changed message.
    pub fn finish(self) -> Message {
        let old = self.message;
        let body = self.body.as_deref().unwrap_or(old.body());
        let mut assembly = self.start(old.bytes.len() + body.len() + 512);
        let mut place = 0;
        while place < self.fields.len() {
            match &self.fields[place] {
                Field::Kept(first) => {
                    let run = self.kept_run(place, *first);
                    let lines = &old.lines[*first..first + run];
                    assembly.copied_fields(&old.bytes, lines, old.line_end(first + run - 1));
                    place += run - 1;
                }
                Field::Changed(line, value) => {
                    assembly.changed_field(&old.bytes, old.lines[*line], &[value]);
                }
                Field::New(name, value) => assembly.field(name, value),
            }
            place += 1;
        }
        assembly.finish(body)
    }

    fn start(&self, capacity: usize) -> Assembly {
        match (&self.uri, self.message.method()) {
            (Some(uri), Some(method)) => {
                Assembly::request(method.as_str(), uri, capacity + uri.len())
            }
            _ => Assembly::same_start(self.message, capacity),
        }
    }

    /// How many fields from `place` on are untouched neighbours of the old message, whose first is `line`.
    fn kept_run(&self, place: usize, line: usize) -> usize {
        self.fields[place..]
            .iter()
            .zip(line..)
            .take_while(|(field, line)| matches!(field, Field::Kept(kept) if kept == line))
            .count()
    }

    fn first(&self, name: HeaderName<'_>) -> Option<usize> {
        let wanted = Wanted::new(name);
        (0..self.fields.len()).find(|&place| self.is(place, &wanted))
    }

    fn last(&self, name: HeaderName<'_>) -> Option<usize> {
        let wanted = Wanted::new(name);
        (0..self.fields.len())
            .rev()
            .find(|&place| self.is(place, &wanted))
    }

    fn below_via(&self, name: HeaderName<'_>) -> usize {
        if name == HeaderName::Via {
            return 0;
        }
        self.last(HeaderName::Via).map_or(0, |via| via + 1)
    }

    fn is(&self, place: usize, wanted: &Wanted<'_>) -> bool {
        match &self.fields[place] {
            Field::Kept(line) | Field::Changed(line, _) => {
                let line = self.message.lines[*line];
                self.message.is_named(line, wanted.code, wanted.name)
            }
            // Both in canonical spelling, if they are known names.
            Field::New(own, _) => own.eq_ignore_ascii_case(
                wanted
                    .name
                    .canonical()
                    .unwrap_or_else(|| wanted.name.as_str()),
            ),
        }
    }

    fn value(&self, place: usize) -> &[u8] {
        match &self.fields[place] {
            Field::Kept(line) => self.message.lines[*line].value(&self.message.bytes),
            Field::Changed(_, value) | Field::New(_, value) => value,
        }
    }

    fn change(&mut self, place: usize, value: Vec<u8>) {
        let field = &mut self.fields[place];
        *field = match std::mem::replace(field, Field::Kept(0)) {
            Field::Kept(line) | Field::Changed(line, _) => Field::Changed(line, value),
            Field::New(name, _) => Field::New(name, value),
        };
    }

    fn keep_only_first(&mut self, name: HeaderName<'_>, keep: usize) {
        let wanted = Wanted::new(name);
        let mut seen = 0;
        let mut place = 0;
        while place < self.fields.len() {
            if self.is(place, &wanted) {
                seen += 1;
                if seen > keep {
                    self.fields.remove(place);
                    continue;
                }
            }
            place += 1;
        }
    }
}

impl Field {
    fn new(name: HeaderName<'_>, value: &[u8]) -> Self {
        Self::New(name.spelling(), value.to_vec())
    }
}
