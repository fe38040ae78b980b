//! What a REGISTER says of pushes, understood: which app, which tokens, and what the answer promises (RFC 8599 §4, §5).

use crate::settings::AppKey;
use domain::{AppProfile, Channel, Provider};
use hub::PushOffer;
use sip::{
    push::{PushParams, PushRequest, PushToken, feature_caps},
    registrar::Registration,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// Seconds before its registration expires at which a device that can do so refreshes it by itself: before it would be
/// asked to by push.
const REFRESH_AHEAD: u64 = hub::REFRESH_LEAD.as_secs() + 120;

/// The apps that can be pushed to.
#[derive(Clone, Debug)]
pub(crate) struct Grants(Arc<[AppKey]>);

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
                PushRequest::Wake(params) if self.app(params).is_none() => {
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

    /// The app that a Contact's parameters name.
    fn app(&self, params: &PushParams<'_>) -> Option<&AppProfile> {
        let of_provider = || {
            let apps = self.0.iter();
            apps.filter(|app| app.profile.provider.name() == params.provider)
        };
        // The parameter alone, or with the services after the app's own name.
        let whole = of_provider().find(|app| app.param == params.param);
        let app = whole.or_else(|| of_provider().find(|app| app.param == params.app()))?;
        Some(&app.profile)
    }

    /// What a binding asks of the hub.
    pub(crate) fn offer(&self, push: Option<&PushParams<'_>>, woken_upstream: bool) -> PushOffer {
        let wanted = push.filter(|_| !woken_upstream);
        match wanted.and_then(|push| Some((push, self.app(push)?))) {
            Some((push, app)) => {
                let tokens = push.tokens();
                let all = tokens.iter().flat_map(|token| {
                    let channels = channels(*token, app.provider).iter();
                    channels.map(|channel| (*channel, Box::from(token.token)))
                });
                PushOffer::Tokens(app.app.clone(), all.collect())
            }
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
        let mut named = SmallVec::<[&str; 2]>::new();
        let mut refreshes_itself = false;
        for contact in registration.contacts() {
            refreshes_itself |= contact.refreshes_itself;
            match &contact.push {
                PushRequest::Wake(params)
                    if !registration.woken_upstream && registration.wish(contact) != Some(0) =>
                {
                    let hopeless = || params.tokens().iter().all(|it| is_dead(it.token));
                    let app = self.app(params).filter(|_| !hopeless());
                    named.extend(app.map(|app| app.provider.name()));
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

/// What a token is for.
fn channels(token: PushToken<'_>, provider: Provider) -> &'static [Channel] {
    match (token.service, provider) {
        (Some("voip"), _) => &[Channel::Voip],
        // Apple's topic without a service is that of messages.
        (Some("remote" | "message"), _) | (_, Provider::Apns) => &[Channel::Message],
        // Google has one token for everything, and so has Web Push. No Contact names an app's own server.
        (_, Provider::Fcm | Provider::WebPush | Provider::AppServer) => {
            &[Channel::Voip, Channel::Message]
        }
    }
}
