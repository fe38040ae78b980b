//! `SASLprep` (RFC 4013): the form in which user names and passwords are compared. The tables of RFC 3454 come from the
//! crate `stringprep`: it is small, has no `unsafe` of its own, and Rust's database clients sign in with it.

use std::borrow::Cow;

use super::{MAX_NAME, Refusal};

/// A user name or password in the form of RFC 4013.
///
/// # Errors
/// [`Refusal::BadName`] if it is empty, too long, or has characters that it must not have; those that Unicode 3.2 did not
/// have, such as most emoji, are among them.
pub fn prepare(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if text.len() > MAX_NAME {
        return Err(Refusal::BadName);
    }
    let prepared = stringprep::saslprep(text).map_err(|_| Refusal::BadName)?;
    // What is written in a compatible form may grow, by the factor of 18 at most.
    if prepared.is_empty() || prepared.len() > MAX_NAME {
        return Err(Refusal::BadName);
    }
    Ok(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4013 §3, and a few more.
    #[test]
    fn examples() {
        for (text, wanted) in [
            ("I\u{AD}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{AA}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("\u{627}\u{31}", None),
            ("", None),
            ("\u{AD}", None),
            ("a\u{A0}b", Some("a b")),
            ("a\0b", None),
            ("pass word", Some("pass word")),
        ] {
            let found = prepare(text).ok();
            assert_eq!(found.as_deref(), wanted, "{text:?}");
        }
    }

    #[test]
    fn long_names_are_refused_before_and_after() {
        assert!(prepare(&"a".repeat(MAX_NAME)).is_ok());
        assert!(prepare(&"a".repeat(MAX_NAME + 1)).is_err());
        // The one ligature of eighteen characters.
        assert!(prepare(&"\u{FDFA}".repeat(MAX_NAME / 3)).is_err());
    }
}
