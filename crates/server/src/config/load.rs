//! Reads the configuration from a file and the environment, and says what is wrong with it so that it can be mended.

use super::{Config, SECTIONS, error::ConfigError, sound};
use std::path::Path;

const PREFIX: &str = "REVEILLE_";

/// The configuration of `defaults`, the file, and the environment; the later goes first. Variables are named
/// `REVEILLE_SECTION__KEY`.
pub fn load(
    defaults: &Config,
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut table = toml::Table::try_from(defaults).map_err(|error| ConfigError::Value {
        key: "defaults".to_owned(),
        message: error.to_string(),
    })?;
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|why| ConfigError::Unreadable {
            path: path.to_owned(),
            why,
        })?;
        let wrong = |error: &toml::de::Error| ConfigError::File {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
            hint: hint(error.message()),
        };
        toml::from_str::<Config>(&text).map_err(|error| wrong(&error))?;
        let written: toml::Table = toml::from_str(&text).map_err(|error| wrong(&error))?;
        for (section, keys) in written {
            merge(&mut table, section, keys);
        }
    }
    let mut variables: Vec<_> = environment
        .filter(|(name, _)| name.starts_with(PREFIX) && name.contains("__"))
        .collect();
    variables.sort();
    for (name, value) in variables {
        override_by(&mut table, &name, &value)?;
    }
    let config: Config = table
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Value {
            key: "config".to_owned(),
            message: error.to_string(),
        })?;
    check(&config)?;
    Ok(config)
}

fn merge(table: &mut toml::Table, section: String, written: toml::Value) {
    match (table.get_mut(&section), written) {
        (Some(toml::Value::Table(known)), toml::Value::Table(keys)) => known.extend(keys),
        (_, written) => {
            table.insert(section, written);
        }
    }
}

fn override_by(table: &mut toml::Table, name: &str, value: &str) -> Result<(), ConfigError> {
    let path = name[PREFIX.len()..].to_lowercase();
    let (section, key) = path.split_once("__").unwrap_or((&path, ""));
    let wrong = |message: String| {
        let hint = hint(&message);
        ConfigError::Environment {
            name: name.to_owned(),
            message,
            hint,
        }
    };
    let Some((_, _, keys)) = SECTIONS.iter().find(|(known, ..)| *known == section) else {
        return Err(wrong(format!("unknown section `{section}`")));
    };
    if !keys.iter().any(|known| known.name == key) {
        return Err(wrong(format!("unknown field `{key}`")));
    }
    let as_value = value
        .parse::<toml::Value>()
        .ok()
        .filter(|value| !value.is_str());
    let set = |value: toml::Value, table: &toml::Table| {
        let mut changed = table.clone();
        if let Some(toml::Value::Table(keys)) = changed.get_mut(section) {
            keys.insert(key.to_owned(), value);
        }
        changed.clone().try_into::<Config>().map(|_| changed)
    };
    let as_text = || set(toml::Value::String(value.to_owned()), table);
    let changed = match as_value {
        Some(value) => set(value, table).or_else(|_| as_text()),
        None => as_text(),
    };
    *table = changed.map_err(|error| wrong(error.message().to_owned()))?;
    Ok(())
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let mut found = sound::check(config);
    match found.len() {
        0 => Ok(()),
        1 => Err(found.remove(0)),
        _ => Err(ConfigError::Several(found)),
    }
}

/// "; did you mean `x`?" for a message about an unknown field.
fn hint(message: &str) -> String {
    let Some(unknown) = message
        .split("unknown field `")
        .nth(1)
        .or_else(|| message.split("unknown section `").nth(1))
    else {
        return String::new();
    };
    let unknown = unknown.split('`').next().unwrap_or_default();
    let names = SECTIONS.iter().flat_map(|(section, _, keys)| {
        std::iter::once(*section).chain(keys.iter().map(|key| key.name))
    });
    let listed = super::App::KEYS
        .iter()
        .chain(super::Client::KEYS)
        .chain(super::Component::KEYS)
        .chain(super::Matrix::KEYS)
        .chain(super::PushComponent::KEYS);
    let names = names.chain(listed.map(|key| key.name));
    let nearest = names.min_by_key(|name| distance(unknown, name));
    match nearest.filter(|name| distance(unknown, name) <= unknown.len().max(3) / 2) {
        Some(name) => {
            let sections = SECTIONS
                .iter()
                .filter(|(_, _, keys)| keys.iter().any(|key| key.name == name));
            let homes: Vec<_> = sections
                .map(|(section, ..)| format!("[{section}]"))
                .collect();
            let home = if homes.is_empty() {
                String::new()
            } else {
                format!(" in {}", homes.join(" or "))
            };
            format!("\n  Did you mean `{name}`{home}? All keys: `reveille config example`")
        }
        None => "\n  All keys: `reveille config example`".to_owned(),
    }
}

/// How many letters must be added, removed or changed to make `a` out of `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(&Config::default(), Some(file.path()), environment)
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_the_nearest_known_one() {
        let error = read("[call]\nringing_aftr = \"5s\"\n", &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(
            error.contains("Did you mean `ringing_after` in [call]"),
            "{error}"
        );
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let environment = [
            ("REVEILLE_CALL__WAKE_TIMEOUT", "9s"),
            ("REVEILLE_LISTEN__SIP_UDP", "127.0.0.1:6060,[::1]:6060"),
        ];
        let config = read(
            "[call]\nwake_timeout = \"11s\"\nno_answer = \"20s\"\n",
            &environment,
        )
        .unwrap();
        assert_eq!(config.call.wake_timeout, super::super::Span::seconds(9));
        assert_eq!(config.call.no_answer, super::super::Span::seconds(20));
        assert_eq!(config.listen.sip_udp.0.len(), 2);
        assert_eq!(config.listen.sip_tcp, Config::default().listen.sip_tcp);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, value, expected) in [
            (
                "REVEILLE_CALL__WAKE_TIMEOT",
                "9s",
                "Did you mean `wake_timeout`",
            ),
            ("REVEILLE_CALLS__WAKE_TIMEOUT", "9s", "Did you mean `call`"),
            ("REVEILLE_CALL__WAKE_TIMEOUT", "soon", "no span of time"),
            ("REVEILLE_LIMITS__HELD_CALLS", "many", "invalid type"),
            ("REVEILLE_LISTEN__ADMIN", "here", "no address"),
        ] {
            let error = read("", &[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn each_edge_has_a_key_of_its_own() {
        let edges = |keys: [&str; 2]| {
            let [one, other] = keys.map(|it| format!("edge.example.org:4433#{}", it.repeat(43)));
            read(&format!("[edge]\nedges = [{one:?}, {other:?}]"), &[])
        };
        assert!(edges(["A", "Q"]).is_ok());
        let error = edges(["A", "A"]).unwrap_err().to_string();
        assert!(error.contains("the key of another edge"), "{error}");
    }

    #[test]
    fn values_that_do_not_go_together_are_refused() {
        for (text, expected) in [
            ("[server]\nroles = [\"im\"]", "server.roles"),
            ("[server]\nroles = []", "at least one role"),
            ("[server]\ndomains = []", "server.domains"),
            ("[call]\nmax_expires = \"10s\"", "call.default_expires"),
            ("[call]\nringing_after = \"20s\"", "call.ringing_after"),
            ("[call]\nfallback = \"voicemail\"", "\"voicemail\""),
            ("[call]\nfallback = \"tel:+123\"", "call.fallback"),
            ("[call]\nmedia = \"rtpproxy\"", "call.media"),
            ("[call]\nmedia = \"rtpengine\"", "media.rtpengine"),
            ("[media]\nmissing = \"never\"", "media.missing"),
            ("[media]\ninside = \"in\"", "media.inside"),
            ("[media]\nanswer_within = \"1m\"", "media.answer_within"),
            ("[call]\nno_answer = \"0s\"", "call.no_answer"),
            ("[call]\nwake_timeout = \"1h\"", "call.wake_timeout"),
            ("[call]\ntrusted = [\"0.0.0.0/0\"]", "trusts everybody"),
            ("[server]\ndomains = [\"exa mple\"]", "\"exa mple\""),
            ("[server]\ndomains = [\"a.org\", \"A.org\"]", "twice"),
            ("[server]\nnode = \"sip.a.org:5060\"", "without a port"),
            ("[server]\nshards = 257", "server.shards"),
            ("[oauth]\nissuer = \"http://a.org\"", "oauth.issuer"),
            ("[oauth]\naccess = \"60d\"", "shorter than oauth.refresh"),
            ("[oauth]\nissuer = \"https://a.org/\"", "nothing behind it"),
            ("[oauth]\nissuer = \"https://a.org:0\"", "oauth.issuer"),
            ("[oauth]\nissuer = \"https://a.org:0444\"", "oauth.issuer"),
            ("[observe]\nlog = \"blah==\"", "observe.log"),
            ("[observe]\nlog = \"inof\"", "\"inof\""),
            ("[observe]\nretention = \"0s\"", "observe.retention"),
            ("[limits]\nheld_calls = 0", "limits.held_calls"),
            ("[limits]\nmessage_bytes = 100", "limits.message_bytes"),
            ("[listen]\nadmin = [\"127.0.0.1:9090\"]", "listen.health"),
            ("[listen]\nadmin = [\"127.0.0.1:5060\"]", "listen.sip_tcp"),
            (
                "[server]\nroles = [\"push\"]\n[listen]\npush = [\"127.0.0.1:9090\"]",
                "listen.push",
            ),
        ] {
            let error = read(text, &[]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let text = "[server]\ndomains = [\"exa mple\"]\n[limits]\nconnections = 0\n";
        let error = read(text, &[]).unwrap_err().to_string();
        assert!(error.contains("2 things are wrong"), "{error}");
        assert!(error.contains("server.domains"), "{error}");
        assert!(error.contains("limits.connections"), "{error}");
    }

    #[test]
    fn names_and_filters_that_make_sense_pass() {
        for text in [
            "[server]\ndomains = [\"b\u{fc}cher.example\", \"192.0.2.1\", \"xn--a\"]",
            "[server]\nnode = \"[2001:db8::1]\"",
            "[observe]\nlog = \"info,reveille=debug\"",
            "[observe]\nlog = \"off\"",
            "[call]\nringing_after = \"0s\"",
            "[listen]\nsip_tcp = [\"0.0.0.0:5060\", \"[::]:5060\"]",
            "[listen]\npush = [\"127.0.0.1:9090\"]",
            "[oauth]\nissuer = \"https://sip.a.org:8443\"",
            "[oauth]\nissuer = \"https://[2001:db8::1]\"",
        ] {
            read(text, &[]).unwrap();
        }
    }

    #[test]
    fn a_missing_file_names_the_remedy() {
        let error = load(
            &Config::default(),
            Some(Path::new("/nowhere/reveille.toml")),
            std::iter::empty(),
        )
        .unwrap_err();
        assert!(error.to_string().contains("reveille init"), "{error}");
    }

    #[test]
    fn the_example_is_the_defaults() {
        let example = super::super::example();
        let uncommented: String = example
            .lines()
            .map(|line| line.strip_prefix("#! ").unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let config: Config = toml::from_str(&uncommented).unwrap();
        assert_eq!(
            toml::to_string(&config).unwrap(),
            toml::to_string(&Config::default()).unwrap()
        );
    }
}
