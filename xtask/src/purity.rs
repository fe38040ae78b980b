//! Words that have no place in a pure crate: whoever says them performs. Comments and tests may.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

use crate::source::Source;

/// Runtimes, clocks, tasks and the library that draws randomness, as tokens. (A phone may `ring`.)
const WORDS: &[&[&str]] = &[
    &["tokio"],
    &["ring", ":", ":"],
    &["Instant", ":", ":", "now"],
    &["SystemTime"],
    &["spawn"],
];

/// Each place where one of them is said.
pub(crate) fn impure_words(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for module in &source.modules {
        let mut tokens = Vec::new();
        for item in &module.items {
            flatten(item.to_token_stream(), &mut tokens);
        }
        for (at, (_, line)) in tokens.iter().enumerate() {
            let said = WORDS.iter().find(|words| {
                let here = tokens[at..].iter().map(|(token, _)| token.as_str());
                here.take(words.len()).eq(words.iter().copied())
            });
            if let Some(words) = said {
                let file = module.file.display();
                found.push(format!(
                    "{file}:{line}: a pure crate says `{}`",
                    words.concat()
                ));
            }
        }
    }
    found
}

/// Tokens one behind the other, each with its line. Comments are none; those of the documentation are text.
fn flatten(tokens: TokenStream, into: &mut Vec<(String, usize)>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => flatten(group.stream(), into),
            token => into.push((token.to_string(), token.span().start().line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn words_in(text: &str) -> Vec<String> {
        let read = |_: &Path| Some(text.to_owned());
        impure_words(&Source::parse(Path::new("src/lib.rs"), &read).expect("a source"))
    }

    #[test]
    fn a_clock_a_runtime_and_a_task_are_found_wherever_they_are_said() {
        for said in [
            "use tokio::sync::Notify;",
            "use ring::hmac;",
            "fn f() { let now = std::time::Instant::now(); }",
            "fn f(at: SystemTime) {}",
            "fn f() { debug!(at = ?Instant::now()); }",
            "fn f() { std::thread::spawn(|| ()); }",
        ] {
            assert_eq!(words_in(said).len(), 1, "{said}");
        }
        assert_eq!(
            words_in("//! Text.\n\nfn f(at: SystemTime) {}"),
            ["src/lib.rs:3: a pure crate says `SystemTime`"]
        );
    }

    #[test]
    fn comments_tests_and_ringing_phones_say_what_they_like() {
        for said in [
            "/// Like tokio's, see `Instant::now`.\nfn f(now: Instant) {} // no spawn",
            "#[cfg(test)] mod tests { fn f() { tokio::spawn(async {}); } }",
            "fn ring(wake: &mut Wake) { wake.ring() }",
        ] {
            assert!(words_in(said).is_empty(), "{said}");
        }
    }
}
