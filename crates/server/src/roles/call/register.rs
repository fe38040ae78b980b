//! REGISTER: who is where from now on, and how they are woken (RFC 3261 §10.3, RFC 8599 §5.3).

use super::{
    CallRole,
    auth::{Realm, Sender},
    heard_at::heard_at,
    ids::digest_of,
    saving::AfterCommit,
};
use domain::{
    Address, AppProfile, Binding, Change, Channel, Device, DeviceId, Generation, Handed, Provider,
    Timestamp, change::HistoryEntry,
};
use sip::{
    Flow, HeaderName, Message, NameAddr, Uri,
    endpoint::ServerTxn,
    push::{PushParams, PushRequest, feature_caps},
    registrar,
};

/// RFC 8599 §8.1: the status that says that we cannot wake the device.
const PUSH_NOT_SUPPORTED: (u16, &str) = (555, "Push Notification Service Not Supported");

/// Seconds before its registration expires at which a device that can do so refreshes it by itself: before it would be
/// asked to by push.
const REFRESH_AHEAD: u64 = super::location::REFRESH_LEAD.as_secs() + 60;

/// An app profile with what names it in a Contact.
#[derive(Clone, Debug)]
pub struct AppKey {
    /// The profile.
    pub profile: AppProfile,
    /// What `pn-param` says for it: `TEAM.bundle` (RFC 8599 §10) or the Firebase project (RFC 8599 §11).
    pub param: String,
}

/// What a Contact says of push, understood.
struct PushGrant {
    profile: AppProfile,
    tokens: Vec<(Channel, String)>,
}

impl CallRole {
    pub(super) fn register(&mut self, txn: ServerTxn, flow: Flow, request: &Message) {
        let Some(user) = request.to().ok().and_then(|to| self.local_address(&to.uri)) else {
            return self.answer(txn, 404, "Not An Address Of This Server");
        };
        match self.admit(txn, flow, request, Realm::Server) {
            Some(Sender::User(sender)) if sender == user => {}
            Some(_) => return self.answer(txn, 403, "Register Yourself Only"),
            None => return,
        }
        if self.location.user(&user).is_none() {
            return self.answer(txn, 404, "No Such User");
        }
        let grants = match self.push_grants(request) {
            Ok(grants) => grants,
            Err(refused) => {
                tracing::warn!(%user, from = %flow.remote, refused, "push parameters of no configured app");
                return self.answer(txn, PUSH_NOT_SUPPORTED.0, PUSH_NOT_SUPPORTED.1);
            }
        };
        let (ids, existing): (Vec<_>, Vec<_>) = self
            .location
            .places_of(&user)
            .filter_map(|place| Some((place.device.id.clone(), known_binding(&place.device)?)))
            .unzip();
        let known: Vec<_> = existing
            .iter()
            .map(|binding| registrar::Known {
                binding,
                out_of_reach_since: None,
            })
            .collect();
        let now = self.now.wall.0;
        let applied = registrar::Registration::parse(request).and_then(|registration| {
            let policy = &self.settings.registrar;
            let outcome = registrar::apply(&known, &registration, false, now, policy)?;
            Ok((registration, outcome))
        });
        let (registration, outcome) = match applied {
            Ok(applied) => applied,
            Err(reject) => {
                let response = reject
                    .response(request)
                    .to_tag(&self.endpoint.local_tag(txn))
                    .build();
                return self.endpoint.respond(self.now.instant, txn, &response);
            }
        };
        let mut response = outcome
            .response(request, &registration, now)
            .to_tag(&self.endpoint.local_tag(txn));
        let refresh_ahead = refreshes_itself(request).then_some(REFRESH_AHEAD);
        for provider in self.providers_named(request, &grants) {
            let caps = feature_caps(provider, refresh_ahead);
            response = response.header(HeaderName::FeatureCaps, caps);
        }
        let mut changes = Vec::new();
        let mut after = AfterCommit {
            since: Some(self.now.instant),
            answer: Some((txn, response.build())),
            ..AfterCommit::default()
        };
        for change in outcome.changes {
            let known = change.old().map(|old| ids[old].clone());
            let new = change.bound();
            self.bind(&user, flow, request, (known, new), &mut changes, &mut after);
        }
        self.commit(changes, after);
    }

    /// Carries one change of the registrar over to the device that it is about.
    fn bind(
        &mut self,
        user: &Address,
        flow: Flow,
        request: &Message,
        (known, new): (Option<DeviceId>, Option<&registrar::Binding>),
        changes: &mut Vec<Change>,
        after: &mut AfterCommit,
    ) {
        let Some(new) = new else {
            let Some(id) = known else { return };
            self.unbind(&id, "unregistered", changes);
            return;
        };
        let from = flow;
        let path: Vec<_> = new.path().map(str::to_owned).collect();
        let flow = if path.is_empty() {
            heard_at(from, request, new.contact())
        } else {
            from
        };
        let id = known.unwrap_or_else(|| device_id(user, &key_of(new)));
        let place = self.location.place(&id);
        // Over the same flow it is the same place, whatever the contact says; behind a proxy the contact tells.
        let fresh = place.is_none_or(|place| {
            let moved =
                |bound: &Binding| !path.is_empty() && contact_uri(&bound.contact) != new.contact();
            place.flow != Some(flow) || place.device.binding.as_ref().is_none_or(moved)
        });
        let mut device = place.map_or_else(
            || Device::new(id.clone(), user.clone(), self.now.wall),
            |place| place.device.clone(),
        );
        let first = place.is_none();
        if first {
            self.make_room(user, changes);
        }
        // Its lines come behind it: a line is about a device that the store knows.
        let mut lines = Vec::new();
        device.seen_at = self.now.wall;
        if fresh {
            // What the client said over its last connection says nothing about this one.
            device.word = None;
        }
        // RFC 8599 §4.1.2: without pn-prid it wants no pushes any more.
        if new.push().is_none() && device.take_tokens_back() {
            let what = "wants no pushes any more".to_owned();
            lines.push(history(&id, self.now.wall, what));
        }
        let wanted = new.push().filter(|_| !is_woken_upstream(request));
        if let Some(grant) = wanted.and_then(|push| self.push_grant(&push)) {
            device.app = Some(grant.profile.app);
            for (channel, token) in grant.tokens {
                let handed = Handed::InRegistration;
                if device.give_token(channel, &token, handed, self.now.wall) {
                    let what = format!("new {} token {}", channel.name(), shown(&token));
                    lines.push(history(&id, self.now.wall, what));
                }
            }
        }
        if first || device.binding.is_none() {
            let what = format!(
                "registered over {} from {}",
                from.transport.as_str(),
                from.remote
            );
            lines.push(history(&id, self.now.wall, what));
        }
        let user_agent = request
            .header_text(HeaderName::UserAgent)
            .unwrap_or_default();
        device.binding = Some(Binding {
            contact: format!("<{}>{}", new.contact(), new.params()),
            source: super::location::source_of(flow),
            q: new.q,
            expires_at: Timestamp(new.expires_at_ms),
            call_id: new.call_id().to_owned(),
            cseq: new.cseq,
            path,
            user_agent: user_agent.chars().take(128).collect(),
        });
        changes.push(Change::PutDevice(Box::new(device.clone())));
        changes.append(&mut lines);
        self.location.put_device(device, Some(flow));
        if let Some(messages) = self.unclaimed.remove(user) {
            changes.push(Change::AdoptQueue {
                user: user.clone(),
                device: id.clone(),
            });
            let count = i64::try_from(messages).unwrap_or(i64::MAX);
            self.count_queued(&id, count);
            after.queued.push((id.clone(), count));
            after.adopted = Some((user.clone(), messages));
        }
        after.returned.push((id, fresh));
    }

    /// Makes room for one more device of a user: the one that is gone for longest is forgotten. Says whether there is room.
    pub(super) fn make_room(&mut self, user: &Address, changes: &mut Vec<Change>) -> bool {
        loop {
            if self.location.places_of(user).count() < self.settings.registrar.max_bindings {
                return true;
            }
            let devices = self.location.places_of(user).map(|place| &place.device);
            let gone = devices.filter(|device| device.binding.is_none());
            let Some(oldest) = gone.min_by_key(|device| device.seen_at) else {
                return false;
            };
            let id = oldest.id.clone();
            tracing::info!(device = %id, "forgotten: its user has too many devices");
            self.forget(&id, changes);
        }
    }

    /// Forgets devices that have been out of reach since `before`.
    pub(super) fn forget_gone(&mut self, before: Timestamp) {
        let gone = |device: &Device| device.binding.is_none() && device.seen_at < before;
        let devices = self.location.places().map(|place| &place.device);
        let ids: Vec<_> = devices
            .filter(|device| gone(device))
            .map(|device| device.id.clone())
            .collect();
        let mut changes = Vec::new();
        for id in &ids {
            self.forget(id, &mut changes);
        }
        if !changes.is_empty() {
            tracing::info!(devices = ids.len(), "forgotten: out of reach for too long");
            self.commit(changes, AfterCommit::default());
        }
    }

    fn forget(&mut self, id: &DeviceId, changes: &mut Vec<Change>) {
        self.location.remove_device(id);
        self.device_gone(id.clone());
        changes.push(Change::RemoveDevice(id.clone()));
    }

    /// Takes the binding off a device: it is not called and not pushed to any more (RFC 8599 §5.6.1). Its queue stays.
    pub(super) fn unbind(&mut self, id: &DeviceId, why: &str, changes: &mut Vec<Change>) {
        let flowless = self.location.update(id, |device| device.binding = None);
        if let Some(device) = flowless {
            self.location.put_device(device.clone(), None);
            changes.push(Change::PutDevice(Box::new(device)));
            changes.push(history(id, self.now.wall, why.to_owned()));
        }
    }

    pub(super) fn expire_bindings(&mut self) {
        let mut changes = Vec::new();
        while let Some(id) = self.location.expired(self.now.wall) {
            tracing::info!(device = %id, "registration expired");
            self.unbind(&id, "registration expired", &mut changes);
        }
        if !changes.is_empty() {
            self.commit(changes, AfterCommit::default());
        }
    }

    /// What every Contact says of push; `Err` names one that no app of ours matches.
    fn push_grants(&self, request: &Message) -> Result<Vec<PushGrant>, String> {
        let Ok(sip::Contacts::List(contacts)) = request.contacts() else {
            return Ok(Vec::new());
        };
        let mut grants = Vec::new();
        let leaving = |contact: &NameAddr<'_>| match contact.param("expires") {
            Some(expires) => expires.trim() == "0",
            None => request.expires() == Ok(Some(0)),
        };
        if is_woken_upstream(request) {
            return Ok(grants);
        }
        for contact in contacts.into_iter().filter(|contact| !leaving(contact)) {
            match PushRequest::of(&contact.uri) {
                PushRequest::Wake(params) => {
                    let named =
                        format!("pn-provider={} pn-param={}", params.provider, params.param);
                    grants.push(self.push_grant(&params).ok_or(named)?);
                }
                PushRequest::Query(Some(provider))
                    if !self
                        .apps
                        .iter()
                        .any(|app| app.profile.provider.name() == provider) =>
                {
                    return Err(format!("pn-provider={provider}"));
                }
                PushRequest::Query(_) | PushRequest::None | PushRequest::Outdated => {}
            }
        }
        Ok(grants)
    }

    fn push_grant(&self, params: &PushParams<'_>) -> Option<PushGrant> {
        let of_provider = || {
            self.apps
                .iter()
                .filter(|app| app.profile.provider.name() == params.provider)
        };
        // The parameter alone, or with the services after the app's own name.
        let whole = of_provider().find(|app| app.param == params.param);
        let app = whole.or_else(|| of_provider().find(|app| app.param == params.app()))?;
        let channel = |service: Option<&str>| match service {
            Some("voip") => Some(Channel::Voip),
            Some("remote" | "message") => Some(Channel::Message),
            _ => None,
        };
        let mut tokens = Vec::new();
        for token in params.tokens() {
            let token_for = |channel| (channel, token.token.to_owned());
            match (
                channel(token.service),
                app.profile.provider,
                app.profile.generation,
            ) {
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
        Some(PushGrant {
            profile: app.profile.clone(),
            tokens,
        })
    }

    /// The providers to be named in Feature-Caps: those that were granted, or asked for (RFC 8599 §5.2, §5.4).
    fn providers_named(&self, request: &Message, grants: &[PushGrant]) -> Vec<&'static str> {
        let mut named: Vec<_> = grants
            .iter()
            .map(|grant| grant.profile.provider.name())
            .collect();
        if let Ok(sip::Contacts::List(contacts)) = request.contacts() {
            for contact in contacts {
                if let PushRequest::Query(asked) = PushRequest::of(&contact.uri) {
                    let ours = self.apps.iter().map(|app| app.profile.provider.name());
                    named.extend(
                        ours.filter(|name| asked.as_deref().is_none_or(|asked| asked == *name)),
                    );
                }
            }
        }
        named.sort_unstable();
        named.dedup();
        named
    }
}

/// Whether a proxy on the way has said that it wakes the device: then we do not (RFC 8599 §5.6.1).
fn is_woken_upstream(request: &Message) -> bool {
    let mut caps = request.headers(HeaderName::FeatureCaps);
    caps.any(|caps| String::from_utf8_lossy(caps).contains("+sip.pns="))
}

/// Whether the device says that it can refresh its registration without being woken (RFC 8599 §8.5).
fn refreshes_itself(request: &Message) -> bool {
    let Ok(sip::Contacts::List(contacts)) = request.contacts() else {
        return false;
    };
    contacts
        .iter()
        .any(|contact| contact.params.has("+sip.pnsreg"))
}

/// The id of the device that a user's client names so: short, the same every time, never another user's. An app with
/// two accounts is two devices.
pub fn device_id(user: &Address, key: &str) -> DeviceId {
    DeviceId(format!(
        "{}-{}",
        user.name(),
        &digest_of(&[user.as_str(), key])[..10]
    ))
}

/// By what a client names its device: its instance (RFC 5626 §4.1), its push token, else its contact.
fn key_of(binding: &registrar::Binding) -> String {
    match (binding.instance(), binding.push()) {
        (Some(instance), _) => instance_key(instance),
        (None, Some(push)) => format!("{}:{}", push.provider, push.prid),
        (None, None) => binding.contact().to_owned(),
    }
}

/// An instance id without what every one of them has: the bare UUID, as in the device API.
pub fn instance_key(instance: &str) -> String {
    let instance = instance.trim_matches(['<', '>']);
    instance
        .strip_prefix("urn:uuid:")
        .unwrap_or(instance)
        .to_lowercase()
}

/// The binding of a device as the registrar knows it.
fn known_binding(device: &Device) -> Option<registrar::Binding> {
    let bound = device.binding.as_ref()?;
    let contact = NameAddr::parse(bound.contact.as_bytes())?;
    let registration = registrar::Registration {
        to: contact.uri,
        call_id: &bound.call_id,
        cseq: bound.cseq,
        contacts: registrar::Contacts::None,
        expires: None,
        path: bound.path.iter().map(String::as_str).collect(),
        user_agent: &bound.user_agent,
        supports_path: false,
        supports_outbound: false,
        woken_upstream: false,
    };
    let contact = registrar::Contact {
        q: bound.q,
        ..registrar::Contact::of(&contact)
    };
    let expires_at = bound.expires_at.0;
    Some(registrar::Binding::new(
        &contact,
        &registration,
        None,
        expires_at,
    ))
}

/// The URI in a contact as it is kept.
pub(super) fn contact_uri(contact: &str) -> String {
    NameAddr::parse(contact.as_bytes()).map_or_else(String::new, |contact| {
        let uri: Uri<'_> = contact.uri;
        uri.as_str().to_owned()
    })
}

pub(super) fn history(device: &DeviceId, at: Timestamp, what: String) -> Change {
    Change::History(HistoryEntry {
        device: device.clone(),
        at,
        what,
    })
}

/// As much of a token as a person needs to recognise it.
pub(super) fn shown(token: &str) -> String {
    let start: String = token.chars().take(8).collect();
    format!("{start}… ({} characters)", token.chars().count())
}
