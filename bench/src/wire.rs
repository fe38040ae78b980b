//! What a load generator must read of a message, found without parsing the rest: it shares the machine with the server
//! that is measured, and is apart from the product's own parser on purpose.

use memchr::memmem;

/// A message as it came.
#[derive(Copy, Clone)]
pub(crate) struct Message<'m> {
    bytes: &'m [u8],
}

/// The first line.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Start<'m> {
    /// Its method.
    Request(&'m [u8]),
    /// Its status.
    Response(u16),
}

impl<'m> Message<'m> {
    /// Any datagram.
    pub(crate) fn new(bytes: &'m [u8]) -> Self {
        Self { bytes }
    }

    /// What it is.
    pub(crate) fn start(self) -> Option<Start<'m>> {
        if let Some(rest) = self.bytes.strip_prefix(b"SIP/2.0 ") {
            return Some(Start::Response(number(rest)?));
        }
        let space = memchr::memchr(b' ', self.bytes)?;
        Some(Start::Request(&self.bytes[..space]))
    }

    /// The first value of a header field, by its long name.
    pub(crate) fn header(self, name: &str) -> Option<&'m [u8]> {
        self.headers(name).next()
    }

    /// All lines of a header field, by its long name.
    pub(crate) fn headers(self, name: &str) -> impl Iterator<Item = &'m [u8]> {
        let end = memmem::find(self.bytes, b"\r\n\r\n").unwrap_or(self.bytes.len());
        let mut lines = Lines(&self.bytes[..end]);
        lines.next();
        lines.filter_map(move |line| {
            let (field, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":")?;
            field
                .eq_ignore_ascii_case(name.as_bytes())
                .then_some(value.trim_ascii())
        })
    }

    /// The number in our Call-ID, `PREFIX-NUMBER@bench`.
    pub(crate) fn number(self) -> Option<u32> {
        let id = self.header("Call-ID")?;
        let dash = memchr::memchr(b'-', id)?;
        number(&id[dash + 1..])
    }

    /// The method that a `CSeq` names: what a response is for.
    pub(crate) fn method(self) -> Option<&'m [u8]> {
        let value = self.header("CSeq")?;
        Some(&value[memchr::memchr(b' ', value)? + 1..])
    }
}

/// Lines by CRLF.
struct Lines<'m>(&'m [u8]);

impl<'m> Iterator for Lines<'m> {
    type Item = &'m [u8];

    fn next(&mut self) -> Option<&'m [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\r', self.0).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix(b"\r\n").unwrap_or_default();
        Some(line)
    }
}

/// The decimal number at the start.
pub(crate) fn number<N: TryFrom<u64>>(digits: &[u8]) -> Option<N> {
    let digits: Vec<_> = digits
        .iter()
        .take_while(|digit| digit.is_ascii_digit())
        .collect();
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        value
            .checked_mul(10)?
            .checked_add(u64::from(**digit - b'0'))
    })?;
    N::try_from(value).ok()
}

/// A parameter of a header field's value, its quotes taken off.
pub(crate) fn parameter<'v>(value: &'v [u8], name: &str) -> Option<&'v [u8]> {
    let at = memmem::find_iter(value, name.as_bytes()).find(|at| {
        let before = at.checked_sub(1).map(|before| value[before]);
        before.is_none_or(|before| matches!(before, b' ' | b',' | b';' | b'\t'))
            && value.get(at + name.len()) == Some(&b'=')
    })?;
    let rest = &value[at + name.len() + 1..];
    let (rest, ends): (_, &[u8]) = match rest.strip_prefix(b"\"") {
        Some(quoted) => (quoted, b"\""),
        None => (rest, b",; \t"),
    };
    let end = rest
        .iter()
        .position(|octet| ends.contains(octet))
        .unwrap_or(rest.len());
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z\r\n\
        CALL-ID: r-17@bench\r\nCSeq: 2 REGISTER\r\n\
        WWW-Authenticate: Digest realm=\"a\", nonce=\"n1\", algorithm=SHA-256\r\n\
        WWW-Authenticate: Digest realm=\"a\", cnonce=\"x\", nonce=\"n2\", algorithm=MD5, qop=\"auth\"\r\n\r\nCSeq: 9 BODY";

    #[test]
    fn what_a_load_generator_needs_is_found() {
        let answer = Message::new(ANSWER);
        assert_eq!(answer.start(), Some(Start::Response(401)));
        assert_eq!(answer.number(), Some(17));
        assert_eq!(answer.method(), Some(b"REGISTER".as_slice()));
        let nonces: Vec<_> = answer
            .headers("WWW-Authenticate")
            .filter_map(|value| parameter(value, "nonce"))
            .collect();
        assert_eq!(nonces, [b"n1", b"n2"]);
        assert_eq!(answer.headers("CSeq").count(), 1);
    }

    #[test]
    fn a_request_is_known_by_its_method() {
        let request = Message::new(b"INVITE sip:u SIP/2.0\r\n\r\n");
        assert_eq!(request.start(), Some(Start::Request(b"INVITE")));
        assert_eq!(request.number(), None);
    }
}
