//! Bencode: how rtpengine's ng protocol writes its messages. Lengths and depths of what is read have limits.

use std::collections::BTreeMap;

/// Values within values. What rtpengine (10.5) says of a leg when that ends are nine: tags, medias, streams, and their counters.
const DEEPEST: usize = 16;

/// A value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    /// Octets.
    Text(Vec<u8>),
    /// A number.
    Number(i64),
    /// A list.
    List(Vec<Value>),
    /// Values by names.
    Map(BTreeMap<Vec<u8>, Value>),
}

impl Value {
    /// Octets.
    pub(super) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().to_vec())
    }

    /// A list of texts.
    pub(super) fn texts<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// Values by names.
    pub(super) fn map<const N: usize>(values: [(&str, Self); N]) -> Self {
        let named = values.map(|(name, value)| (name.as_bytes().to_vec(), value));
        Self::Map(named.into())
    }

    /// With one more value.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: Self) -> Self {
        if let Self::Map(values) = &mut self {
            values.insert(name.as_bytes().to_vec(), value);
        }
        self
    }

    /// The octets of that name.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        match self {
            Self::Map(values) => match values.get(name.as_bytes())? {
                Self::Text(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Writes it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => write_text(text, out),
            Self::Number(number) => out.extend(format!("i{number}e").bytes()),
            Self::List(values) => {
                out.push(b'l');
                for value in values {
                    value.write(out);
                }
                out.push(b'e');
            }
            Self::Map(values) => {
                out.push(b'd');
                for (name, value) in values {
                    write_text(name, out);
                    value.write(out);
                }
                out.push(b'e');
            }
        }
    }

    /// Reads one that is all there is.
    pub(super) fn read(mut octets: &[u8]) -> Option<Self> {
        let value = read(&mut octets, DEEPEST)?;
        octets.is_empty().then_some(value)
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend(format!("{}:", text.len()).bytes());
    out.extend_from_slice(text);
}

fn read(octets: &mut &[u8], depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    match octets.first()? {
        b'i' => {
            *octets = &octets[1..];
            Some(Value::Number(number(octets, b'e')?))
        }
        b'l' => {
            *octets = &octets[1..];
            let mut values = Vec::new();
            while !ends(octets) {
                values.push(read(octets, depth)?);
            }
            Some(Value::List(values))
        }
        b'd' => {
            *octets = &octets[1..];
            let mut values = BTreeMap::new();
            while !ends(octets) {
                let name = text(octets)?;
                values.insert(name, read(octets, depth)?);
            }
            Some(Value::Map(values))
        }
        _ => text(octets).map(Value::Text),
    }
}

/// Goes past the end of a list or map, if it is there.
fn ends(octets: &mut &[u8]) -> bool {
    let ends = octets.first() == Some(&b'e');
    if ends {
        *octets = &octets[1..];
    }
    ends
}

fn number(octets: &mut &[u8], end: u8) -> Option<i64> {
    let length = octets.iter().position(|it| *it == end)?;
    let number = std::str::from_utf8(&octets[..length]).ok()?.parse().ok()?;
    *octets = &octets[length + 1..];
    Some(number)
}

fn text(octets: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(number(octets, b':')?).ok()?;
    let (text, rest) = octets.split_at_checked(length)?;
    *octets = rest;
    Some(text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let value = Value::map([
            ("command", Value::text("offer")),
            ("n", Value::Number(-3)),
            ("flags", Value::texts(["a", ""])),
            ("in", Value::map([("x", Value::text([0, 255]))])),
        ]);
        let mut octets = Vec::new();
        value.write(&mut octets);
        assert_eq!(
            octets,
            b"d7:command5:offer5:flagsl1:a0:e2:ind1:x2:\0\xffe1:ni-3ee"
        );
        assert_eq!(Value::read(&octets), Some(value));
    }

    /// So many lists within lists.
    fn lists(depth: usize) -> Vec<u8> {
        [b"l".repeat(depth), b"e".repeat(depth)].concat()
    }

    #[test]
    fn what_is_said_of_a_leg_that_ends_is_read() {
        assert!(Value::read(&lists(9)).is_some());
    }

    #[test]
    fn what_is_no_value_is_not_read() {
        let deep = lists(DEEPEST + 1);
        for octets in [
            &b""[..],
            b"d",
            b"de ",
            b"5:abcd",
            b"-1:",
            b"i1",
            b"ixe",
            b"l1:a",
            b"di1e1:ae",
            b"99999999999999999999:a",
            &deep,
        ] {
            assert_eq!(Value::read(octets), None, "{octets:?}");
        }
    }
}
