//! The commented example configuration, generated from the tables.

use super::{App, Config, Key, SECTIONS};
use std::fmt::Write;

/// A whole `reveille.toml`: every key with its meaning and, commented out by `#! `, its default.
pub fn example() -> String {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    let mut text = String::from(
        "# Every key may be left out; what stands behind `#!` is its default. Every key can also be set by an\n\
         # environment variable: REVEILLE_SECTION__KEY, as REVEILLE_CALL__WAKE_TIMEOUT=13s.\n",
    );
    for (section, doc, keys) in SECTIONS {
        let _ = write!(text, "\n{}[{section}]\n", comment(doc));
        write_keys(&mut text, keys, defaults.get(*section), "#! ");
        if *section == "push" {
            let app = toml::Value::try_from(App::default()).ok();
            let _ = write!(text, "\n{}# [[push.app]]\n", comment(App::DOC));
            write_keys(&mut text, App::KEYS, app.as_ref(), "# ");
        }
    }
    text
}

fn write_keys(text: &mut String, keys: &[Key], defaults: Option<&toml::Value>, prefix: &str) {
    for key in keys
        .iter()
        .filter(|key| key.name != "app" || prefix == "# ")
    {
        let default = defaults
            .and_then(|table| table.get(key.name))
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = writeln!(text, "{}{prefix}{} = {default}", comment(key.doc), key.name);
    }
}

fn comment(doc: &str) -> String {
    doc.lines()
        .fold(String::new(), |text, line| text + "#" + line + "\n")
}
