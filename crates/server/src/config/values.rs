//! Values of the configuration that are written as text.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

/// A span of time, as "500ms", "13s", "5m", "1h" or "7d".
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Span(pub Duration);

/// Suffix and milliseconds of each unit, longest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let millis = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim())
            .map(|(_, millis)| *millis);
        number
            .parse::<u64>()
            .ok()
            .zip(millis)
            .and_then(|(number, millis)| number.checked_mul(millis))
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| format!("{text:?} is no span of time: write it as \"13s\", \"500ms\", \"5m\", \"1h\" or \"7d\""))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, size) = UNITS
            .into_iter()
            .find(|(_, size)| millis >= *size && millis % size == 0)
            .unwrap_or(("s", 1000));
        write!(f, "{}{unit}", millis / size)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// How the log is written.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// As the journal wants it where systemd reads it, else as text, with colours at a terminal.
    #[default]
    Auto,
    /// Text with the time.
    Text,
    /// An object of JSON a line.
    Json,
    /// Text with the priority in front and without the time (`sd-daemon(3)`).
    Journald,
}

/// A list of words; one string with commas does too.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

impl Words {
    /// These.
    pub fn of(words: &[&str]) -> Self {
        Self(words.iter().map(|&word| word.to_owned()).collect())
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a list of strings, or one string with commas"
        )]
        enum Written {
            List(Vec<String>),
            Text(String),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::List(words) => words,
            Written::Text(text) => text
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
        }))
    }
}

/// Addresses to listen at, as "127.0.0.1:5060" or "[`::1`]:5060".
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Addresses(pub Vec<SocketAddr>);

impl Addresses {
    /// These; what is no address is left out, and a test reads every default.
    pub fn of(addresses: &[&str]) -> Self {
        Self(
            addresses
                .iter()
                .filter_map(|address| address.parse().ok())
                .collect(),
        )
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |word: &String| {
            word.parse().map_err(|_| {
                D::Error::custom(format!(
                    "{word:?} is no address to listen at: write it as \"127.0.0.1:5060\""
                ))
            })
        };
        Words::deserialize(deserializer)?
            .0
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_as_it_is_written() {
        for text in ["500ms", "13s", "5m", "1h", "7d", "90s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 parsecs",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }
}
