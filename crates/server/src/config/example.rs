//! The commented example configuration, generated from the tables.

use super::{App, Client, Component, Config, Key, Matrix, PushComponent, SECTIONS};
use serde::Serialize;
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
        let lists: &[(&str, &str, &[Key], Option<toml::Value>)] = match *section {
            "push" => &[
                ("app", App::DOC, App::KEYS, value(&App::default())),
                (
                    "matrix",
                    Matrix::DOC,
                    Matrix::KEYS,
                    value(&Matrix::default()),
                ),
                (
                    "component",
                    PushComponent::DOC,
                    PushComponent::KEYS,
                    value(&PushComponent::default()),
                ),
            ],
            "im" => &[(
                "component",
                Component::DOC,
                Component::KEYS,
                value(&Component::default()),
            )],
            "oauth" => &[(
                "client",
                Client::DOC,
                Client::KEYS,
                value(&Client::default()),
            )],
            _ => continue,
        };
        for (name, doc, keys, defaults) in lists {
            let _ = write!(text, "\n{}# [[{section}.{name}]]\n", comment(doc));
            write_keys(&mut text, keys, defaults.as_ref(), "# ");
        }
    }
    text
}

fn value(of: &impl Serialize) -> Option<toml::Value> {
    toml::Value::try_from(of).ok()
}

/// The same with these keys set; each name must stand in one section only.
pub fn example_with(set: &[(&str, String)]) -> String {
    let mut text = String::new();
    for line in example().lines() {
        let known = line
            .strip_prefix("#! ")
            .and_then(|line| line.split_once(" = "))
            .map(|(key, _)| key);
        match set.iter().find(|(key, _)| Some(*key) == known) {
            Some((key, value)) => text.extend([*key, " = ", value, "\n"]),
            None => text.extend([line, "\n"]),
        }
    }
    text
}

/// Keys whose values are lists of tables, which are shown behind their section.
const LISTS: [&str; 3] = ["app", "component", "matrix"];

fn write_keys(text: &mut String, keys: &[Key], defaults: Option<&toml::Value>, prefix: &str) {
    for key in keys {
        let default = defaults.and_then(|table| table.get(key.name));
        let is_list = default.is_some_and(|it| it.as_array().is_some_and(Vec::is_empty));
        if is_list && LISTS.contains(&key.name) && prefix != "# " {
            continue;
        }
        let default = default.map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "{}{prefix}{} = {default}", comment(key.doc), key.name);
    }
}

fn comment(doc: &str) -> String {
    doc.lines()
        .fold(String::new(), |text, line| text + "#" + line + "\n")
}
