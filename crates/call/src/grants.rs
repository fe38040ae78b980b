//! What a REGISTER says of pushes, understood: which app, which tokens, and what the answer promises (RFC 8599 §4, §5).

use crate::settings::AppKey;
use domain::{AppId, Channel, Generation, Provider};
use hub::PushOffer;
use sip::{
    push::{PushParams, PushRequest, feature_caps},
    registrar::Registration,
};
use std::sync::Arc;

/// Seconds before its registration expires at which a device that can do so refreshes it by itself: before it would be
/// asked to by push.
const REFRESH_AHEAD: u64 = hub::REFRESH_LEAD.as_secs() + 120;

/// The apps that can be pushed to.
#[derive(Clone, Debug)]
pub(crate) struct Grants(Arc<[AppKey]>);

/// What one Contact is granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Grant {
    pub(crate) app: AppId,
    pub(crate) provider: Provider,
    pub(crate) tokens: Vec<(Channel, Box<str>)>,
}

impl Grants {
    pub(crate) fn new(apps: Arc<[AppKey]>) -> Self {
        Self(apps)
    }

    /// Says what is wrong if a Contact that stays names no app of ours: then the REGISTER is answered 555.
    pub(crate) fn check(&self, registration: &Registration<'_>) -> Result<(), String> {
        if registration.woken_upstream {
            return Ok(());
        }
        let contacts = registration.contacts().iter();
        for contact in contacts.filter(|contact| registration.wish(contact) != Some(0)) {
            match &contact.push {
                PushRequest::Wake(params) if self.grant(params).is_none() => {
                    let PushParams {
                        provider, param, ..
                    } = params;
                    return Err(format!("pn-provider={provider} pn-param={param}"));
                }
                PushRequest::Query(Some(provider)) if !self.knows(provider) => {
                    return Err(format!("pn-provider={provider}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn knows(&self, provider: &str) -> bool {
        let mut apps = self.0.iter();
        apps.any(|app| app.profile.provider.name() == provider)
    }

    /// The app and the tokens that a Contact's parameters name.
    pub(crate) fn grant(&self, params: &PushParams<'_>) -> Option<Grant> {
        let of_provider = || {
            let apps = self.0.iter();
            apps.filter(|app| app.profile.provider.name() == params.provider)
        };
        // The parameter alone, or with the services after the app's own name.
        let whole = of_provider().find(|app| app.param == params.param);
        let app = whole.or_else(|| of_provider().find(|app| app.param == params.app()))?;
        let profile = &app.profile;
        let mut tokens = Vec::new();
        for token in params.tokens() {
            let token_for = |channel| (channel, Box::from(token.token));
            let channel = match token.service {
                Some("voip") => Some(Channel::Voip),
                Some("remote" | "message") => Some(Channel::Message),
                _ => None,
            };
            match (channel, profile.provider, profile.generation) {
                (Some(channel), ..) => tokens.push(token_for(channel)),
                // Google has one token for everything.
                (None, Provider::Fcm, _) => {
                    tokens.extend([token_for(Channel::Voip), token_for(Channel::Message)]);
                }
                // Apple's topic without a service is that of messages.
                (None, Provider::Apns, Generation::SingleChannel | Generation::DualChannel) => {
                    tokens.push(token_for(Channel::Message));
                }
            }
        }
        Some(Grant {
            app: profile.app.clone(),
            provider: profile.provider,
            tokens,
        })
    }

    /// What a binding asks of the hub.
    pub(crate) fn offer(&self, push: Option<&PushParams<'_>>, woken_upstream: bool) -> PushOffer {
        let wanted = push.filter(|_| !woken_upstream);
        match wanted.and_then(|push| self.grant(push)) {
            Some(grant) => PushOffer::Tokens(grant.app, grant.tokens),
            None => PushOffer::None,
        }
    }

    /// The values of Feature-Caps: the providers that were granted, unless `is_dead` knows that nothing can come of it,
    /// or asked for (RFC 8599 §5.2, §5.4).
    pub(crate) fn promises(
        &self,
        registration: &Registration<'_>,
        is_dead: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut named = Vec::new();
        let mut refreshes_itself = false;
        for contact in registration.contacts() {
            refreshes_itself |= contact.refreshes_itself;
            match &contact.push {
                PushRequest::Wake(params)
                    if !registration.woken_upstream && registration.wish(contact) != Some(0) =>
                {
                    let grant = self.grant(params);
                    let hopeless = |grant: &Grant| grant.tokens.iter().all(|(_, it)| is_dead(it));
                    let grant = grant.filter(|grant| !hopeless(grant));
                    named.extend(grant.map(|grant| grant.provider.name()));
                }
                PushRequest::Query(asked) => {
                    let ours = self.0.iter().map(|app| app.profile.provider.name());
                    named.extend(ours.filter(|name| asked.as_deref().is_none_or(|it| it == *name)));
                }
                _ => {}
            }
        }
        named.sort_unstable();
        named.dedup();
        let ahead = refreshes_itself.then_some(REFRESH_AHEAD);
        named
            .into_iter()
            .map(|provider| feature_caps(provider, ahead))
            .collect()
    }
}
