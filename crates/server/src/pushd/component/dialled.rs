//! The servers whose component we are, as the operator has named them.

use crate::{
    components::{named, secret},
    config::{self, Config},
};
use anyhow::{Context, Result, ensure};
use std::collections::HashSet;
use xmpp::jid::Jid;

/// A server whose component we are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Dialled {
    /// Our domain there.
    pub(crate) domain: Jid,
    /// Its port for components.
    pub(super) server: String,
    pub(super) secret: String,
}

/// All of [[push.component]], read and checked.
pub(crate) fn read(config: &Config) -> Result<Vec<Dialled>> {
    let mut known = HashSet::new();
    let all = config.push.component.iter().enumerate();
    let all = all.map(|(at, component)| {
        let one = one(component).and_then(|one| {
            let is_first = known.insert((one.domain.clone(), one.server.clone()));
            ensure!(is_first, "there is another one of this domain and server");
            Ok(one)
        });
        one.with_context(|| {
            let domain = &component.domain;
            format!("[[push.component]] number {} ({domain:?})", at + 1)
        })
    });
    all.collect()
}

fn one(component: &config::PushComponent) -> Result<Dialled> {
    let (file, variable) = (&component.secret_file, &component.secret_variable);
    let server = component.server.clone();
    let port = server.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    ensure!(
        matches!(port, Some(Ok(1..))),
        "server is host and port of the server's components, as \"xmpp.example.org:5347\""
    );
    Ok(Dialled {
        domain: named(&component.domain)?,
        server,
        secret: secret(file, variable)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut config::PushComponent);

    #[test]
    fn nonsense_is_found_and_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        let good = config::PushComponent {
            domain: "push.example.org".to_owned(),
            server: "127.0.0.1:5347".to_owned(),
            secret_file: file.path().to_owned(),
            ..config::PushComponent::default()
        };
        let read_all = |all: Vec<config::PushComponent>| {
            let mut config = Config::default();
            config.push.component = all;
            read(&config).map_err(|error| format!("{error:#}"))
        };
        let one = &read_all(vec![good.clone()]).unwrap()[0];
        assert_eq!(
            (one.domain.as_str(), &*one.secret),
            ("push.example.org", "secret")
        );
        let wrong: [(Change, &str); 4] = [
            (|it| it.domain = "a@b".to_owned(), "domain"),
            (
                |it| it.server = "127.0.0.1".to_owned(),
                "server is host and port",
            ),
            (
                |it| it.secret_file.clear(),
                "secret_file or secret_variable",
            ),
            (|it| it.secret_variable = "X".to_owned(), "one of the two"),
        ];
        for (change, says) in wrong {
            let mut bad = good.clone();
            change(&mut bad);
            let error = read_all(vec![bad]).unwrap_err();
            assert!(
                error.contains(says) && error.contains("number 1"),
                "{error}"
            );
        }
        let twice = read_all(vec![good.clone(), good]).unwrap_err();
        assert!(twice.contains("another one"), "{twice}");
    }
}
