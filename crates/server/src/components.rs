//! The components that may connect (XEP-0114): what the operator says of them, read and checked. Their secrets are in files or in the
//! environment, and go nowhere but into the comparison with what a component shows.

use crate::{
    config::{self, Config},
    named_files,
};
use anyhow::{Context, Result, ensure};
use domain::Slice;
use std::{collections::BTreeSet, path::Path, sync::Arc};
use xmpp::{jid::Jid, stream::Components};

/// A component: its domain, in the form in which addresses have it, and its secret.
pub(crate) type Known = (String, String);

/// All of them, or what is wrong with one.
pub(crate) fn read(config: &Config) -> Result<Vec<Known>> {
    let mut names = BTreeSet::new();
    let all = config.im.component.iter().enumerate();
    let all = all.map(|(at, component)| {
        let known = one(config, component).and_then(|(domain, secret)| {
            ensure!(
                names.insert(domain.clone()),
                "there is another one of this domain: take one of the two out"
            );
            Ok((domain, secret))
        });
        known.with_context(|| {
            let domain = &component.domain;
            format!("[[im.component]] number {} ({domain:?})", at + 1)
        })
    });
    let all: Vec<Known> = all.collect::<Result<_>>()?;
    ensure!(
        all.is_empty() || !config.listen.component.0.is_empty(),
        "listen.component is empty, and there are components: name an address at which they connect"
    );
    Ok(all)
}

fn one(config: &Config, component: &config::Component) -> Result<Known> {
    let domain = named(&component.domain)?.as_str().to_owned();
    let ours = config.server.domains.0.iter().map(|it| it.to_lowercase());
    for ours in ours {
        ensure!(
            domain != ours && domain != im::push_service(&ours),
            "domain is one of our own: a component has another one"
        );
    }
    let (file, variable) = (&component.secret_file, &component.secret_variable);
    Ok((domain, secret(file, variable)?))
}

/// The domain of a component.
pub(crate) fn named(domain: &str) -> Result<Jid> {
    Jid::new(None, domain, None).context("domain")
}

/// What a component shows, from its file or its variable.
pub(crate) fn secret(file: &Path, variable: &str) -> Result<String> {
    let secret = match (file.as_os_str().is_empty(), variable.is_empty()) {
        (false, true) => named_files::text(file, "secret_file")?,
        (true, false) => std::env::var(variable).with_context(|| {
            format!("secret_variable: there is no {variable} in the environment")
        })?,
        _ => anyhow::bail!("name secret_file or secret_variable, one of the two"),
    };
    let secret = secret.trim();
    ensure!(
        !secret.is_empty(),
        "the secret is empty: let something like `openssl rand -hex 24` make one"
    );
    Ok(secret.to_owned())
}

/// How they are greeted, if there are any.
pub(crate) fn greeting(config: &Config) -> Result<Option<net::ComponentConfig>> {
    let known = read(config)?;
    if known.is_empty() {
        return Ok(None);
    }
    let shards = config.shards();
    Ok(Some(net::ComponentConfig {
        tcp: config.listen.component.0.clone(),
        components: Components::new(known)?,
        domain: Jid::new(None, config.domain(), None)?,
        steer: Arc::new(move |domain| Slice::of_name(domain).shard(shards)),
    }))
}

/// The domains of those that are named well.
pub(crate) fn domains(config: &Config) -> impl Iterator<Item = String> {
    let all = config.im.component.iter();
    all.filter_map(|it| Some(Jid::new(None, &it.domain, None).ok()?.as_str().to_owned()))
}

/// With what the roles know of them.
pub(crate) fn known(settings: im::Settings, config: &Config) -> Result<im::Settings> {
    let domains = read(config)?.into_iter().map(|(domain, _)| domain.into());
    Ok(im::Settings {
        components: domains.collect(),
        component_stanzas: config.limits.component_stanzas_minute,
        ..settings
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(domain: &str, secret: Option<&str>) -> (Config, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), secret.unwrap_or_default()).unwrap();
        let mut config = Config::default();
        config.im.component = vec![config::Component {
            domain: domain.to_owned(),
            secret_file: secret.map_or_else(Default::default, |_| file.path().to_owned()),
            ..config::Component::default()
        }];
        (config, file)
    }

    #[test]
    fn a_component_has_a_domain_and_a_secret_of_its_own() {
        let (config, _file) = config("Push.App.Example", Some("secret\n"));
        let known = read(&config).unwrap();
        assert_eq!(
            known,
            [("push.app.example".to_owned(), "secret".to_owned())]
        );
    }

    #[test]
    fn nonsense_is_found_and_named() {
        for (domain, secret, wrong) in [
            ("localhost", Some("s"), "one of our own"),
            ("LOCALHOST", Some("s"), "one of our own"),
            ("push.localhost", Some("s"), "one of our own"),
            ("", Some("s"), "domain"),
            ("a@b", Some("s"), "domain"),
            ("push.app.example", Some("\n"), "empty"),
            ("push.app.example", None, "secret_file or secret_variable"),
        ] {
            let (config, _file) = config(domain, secret);
            let error = format!("{:#}", read(&config).unwrap_err());
            assert!(
                error.contains(wrong) && error.contains("number 1"),
                "{error}"
            );
        }
        let (mut twice, _file) = config("push.app.example", Some("s"));
        let again = twice.im.component[0].clone();
        twice.im.component.push(again);
        let error = format!("{:#}", read(&twice).unwrap_err());
        assert!(error.contains("another one of this domain"), "{error}");
        let (mut nowhere, _file) = config("push.app.example", Some("s"));
        nowhere.listen.component = config::Addresses::of(&[]);
        let error = format!("{:#}", read(&nowhere).unwrap_err());
        assert!(error.contains("listen.component"), "{error}");
    }
}
