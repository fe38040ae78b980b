//! Protection of what was offered (XEP-0474): the server sends a hash of it inside of what both ends sign.

use super::encode;
use crate::sasl::Hash;

/// What stood in the stream features when the client chose, of the profile of SASL that it uses (XEP-0474 §6.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advertised {
    /// Names of mechanisms.
    pub mechanisms: Vec<String>,
    /// Names of channel bindings (XEP-0440); `None` if the features did not speak of any.
    pub bindings: Option<Vec<String>>,
}

/// Between two names.
const BETWEEN: u8 = 0x1E;
/// Before the channel bindings.
const BEFORE_BINDINGS: u8 = 0x1F;

impl Advertised {
    /// The value of the attribute `h` (XEP-0474 §6.1).
    pub(super) fn digest(&self, hash: Hash) -> String {
        let mut listed = joined(&self.mechanisms);
        if let Some(bindings) = &self.bindings {
            listed.push(BEFORE_BINDINGS);
            listed.extend(joined(bindings));
        }
        encode(&hash.digest(&[&listed]))
    }

    /// Was there any mechanism with channel binding?
    pub(super) fn can_bind(&self) -> bool {
        self.mechanisms.iter().any(|name| name.ends_with("-PLUS"))
    }
}

/// The names in the order of their octets.
fn joined(names: &[String]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    names.sort_unstable();
    names.join(&BETWEEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advertised(mechanisms: &[&str], bindings: Option<&[&str]>) -> Advertised {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Advertised {
            mechanisms: owned(mechanisms),
            bindings: bindings.map(owned),
        }
    }

    #[test]
    fn example_of_the_xep_in_any_order() {
        let offered = advertised(
            &["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"],
            Some(&["tls-server-end-point", "tls-exporter"]),
        );
        assert_eq!(offered.digest(Hash::Sha1), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    }

    #[test]
    fn what_was_left_out_shows() {
        let all = advertised(&["A", "B"], Some(&["x", "y"])).digest(Hash::Sha256);
        for less in [
            advertised(&["A"], Some(&["x", "y"])),
            advertised(&["A", "B"], Some(&["x"])),
            advertised(&["A", "B"], Some(&[])),
            advertised(&["A", "B"], None),
            advertised(&["A", "B", "x", "y"], None),
        ] {
            assert_ne!(less.digest(Hash::Sha256), all, "{less:?}");
        }
    }
}
