//! What is shown of a push token: who has all of it can push to its device.

/// So many characters of a token are shown.
const SHOWN: usize = 6;

/// The beginning of a token.
pub fn shown(token: &str) -> String {
    let beginning: String = token.chars().take(SHOWN).collect();
    format!("{beginning}…")
}
