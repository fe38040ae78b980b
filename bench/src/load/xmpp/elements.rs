//! Cuts a stream into its elements. Servers write `>` in no attribute value, and comments not at all (RFC 6120 §11.1).

use memchr::memchr;
use std::ops::Range;

/// What is read of a stream.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    octets: Vec<u8>,
    /// Where the element begins that is not whole.
    begins: usize,
    /// Up to here tags are counted.
    at: usize,
    /// Tags that are open.
    depth: u32,
}

impl Elements {
    /// Takes what came.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.octets.drain(..self.begins);
        self.at -= self.begins;
        self.begins = 0;
        self.octets.extend_from_slice(octets);
    }

    /// Another stream begins.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    /// Gives the memory back, if nothing is begun.
    pub(crate) fn rest(&mut self) {
        if self.begins == self.octets.len() {
            self.octets = Vec::new();
            (self.begins, self.at) = (0, 0);
        }
    }

    /// The next whole element, or the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let open = self.at + memchr(b'<', &self.octets[self.at..])?;
            let close = open + memchr(b'>', &self.octets[open..])?;
            self.at = close + 1;
            match self.octets[open..=close] {
                [_, b'?', ..] => continue,
                [_, b'/', ..] => self.depth = self.depth.saturating_sub(1),
                [.., b'/', _] => {}
                _ => {
                    self.depth += 1;
                    if self.depth == 1 {
                        self.begins = self.at;
                        continue;
                    }
                }
            }
            if self.depth <= 1 {
                let element = self.begins..self.at;
                self.begins = self.at;
                return Some(element);
            }
        }
    }

    /// The octets of an element.
    pub(crate) fn octets(&self, element: Range<usize>) -> &[u8] {
        &self.octets[element]
    }
}

/// The value of an attribute, wherever it stands.
pub(crate) fn attribute<'e>(element: &'e [u8], name: &str) -> Option<&'e [u8]> {
    let begin = format!(" {name}=");
    let at = memchr::memmem::find(element, begin.as_bytes())? + begin.len();
    let (quote, rest) = element[at..].split_first()?;
    Some(&rest[..memchr(*quote, rest)?])
}

/// The text of an element without children.
pub(crate) fn text(element: &[u8]) -> Option<&[u8]> {
    let begins = memchr(b'>', element)? + 1;
    let ends = begins + memchr(b'<', &element[begins..])?;
    Some(&element[begins..ends])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_cut_wherever_reads_end() {
        let stream = "<?xml version='1.0'?><stream:stream id='1'><a><b/>x</a> <r/><m to=\"x\">y</m></stream:stream>";
        for length in 1..stream.len() {
            let (mut elements, mut seen) = (Elements::default(), Vec::new());
            for read in stream.as_bytes().chunks(length) {
                elements.push(read);
                while let Some(element) = elements.next() {
                    seen.push(String::from_utf8_lossy(elements.octets(element)).into_owned());
                }
            }
            let seen: Vec<_> = seen.iter().map(|it| it.trim()).collect();
            let expected = [
                "<a><b/>x</a>",
                "<r/>",
                "<m to=\"x\">y</m>",
                "</stream:stream>",
            ];
            assert_eq!(seen, expected);
        }
        assert_eq!(attribute(b"<m to=\"x\" id='7'>", "id"), Some(&b"7"[..]));
        assert_eq!(text(b"<c a='1'>dGV4dA==</c>"), Some(&b"dGV4dA=="[..]));
    }
}
