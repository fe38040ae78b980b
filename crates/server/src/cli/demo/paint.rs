//! Colour, where there is somebody to see it: on a terminal, unless `NO_COLOR` is set, or anywhere with `CLICOLOR_FORCE`.

use std::{env, io::IsTerminal};

/// Paints, or does not.
#[derive(Copy, Clone, Debug)]
pub(super) struct Paint {
    colour: bool,
}

impl Paint {
    /// As the user of standard output wants it.
    pub(super) fn of_stdout() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced = is_set("CLICOLOR_FORCE") && env::var("CLICOLOR_FORCE").as_deref() != Ok("0");
        let colour = !is_set("NO_COLOR") && (forced || std::io::stdout().is_terminal());
        Self { colour }
    }

    /// Nothing is painted.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { colour: false }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Somebody's name, always in the same colour.
    pub(super) fn name(self, who: &str, text: &str) -> String {
        let code = match who {
            "Apple" | "Google" => "35",
            "Alice" | "Carol" => "34",
            _ => "36",
        };
        self.with(code, text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
