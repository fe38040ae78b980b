//! Pushes that go to apps' own servers, which are components (XEP-0357 §7): made where their user is, sent and answered where the
//! component is, and then what becomes of them is the hub's to say, as of any push.

use crate::{
    enabled::{Enabled, busy, outcome, unavailable},
    line::Line,
    vocabulary::{Output, Post, Publish, Revoked},
};
use domain::{Address, NotificationId, Now, Outcome, Purpose};
use hub::{Directory, PushOrder, PushRef, Pushed};
use xmpp::{ns, stanza::StanzaCondition, xml::Element};

impl Line {
    /// A push to a device of a user of ours.
    pub(crate) fn pushes(&mut self, directory: &Directory, order: PushOrder) {
        let PushOrder {
            push,
            device,
            notification,
            ..
        } = order;
        let entry = directory.get(&device);
        let enabled = Enabled::read(&notification.token);
        // It goes to no other component than the one that was allowed when it was enabled.
        let enabled = enabled.filter(|it| it.jid.domain() == notification.app.as_str());
        let token = notification.token.into();
        let (Some(entry), Some(enabled)) = (entry, enabled) else {
            let reason = "what was enabled cannot be read".to_owned();
            return self.tell(hub::Input::Pushed(Pushed {
                push,
                device,
                token,
                outcome: Outcome::Refused { reason },
            }));
        };
        let waiting = match notification.purpose {
            Purpose::Message { unread, .. } => u64::from(unread),
            // A call is proposed by a message that waits, as far as it is known yet.
            _ => entry.queued.max(1),
        };
        let user = entry.device.user.clone();
        let publish = Publish {
            iq: enabled.publication(user.domain(), waiting),
            app: notification.app.clone(),
            channel: notification.channel,
            user,
            push,
            device,
            token,
        };
        let post = Post::Publish(Box::new(publish));
        let component = notification.app.as_str().into();
        self.out.push_back(Output::Component(component, post));
    }

    /// A publication goes to its component, which is this shard's.
    pub(crate) fn publishes(&mut self, now: Now, component: &str, mut publish: Box<Publish>) {
        if self.components.stream_of(component).is_none() {
            return self.published(publish, unavailable("the app server is not connected"));
        }
        // Once it is said, it is not needed any more.
        let mut iq = std::mem::replace(&mut publish.iq, Element::new(ns::CLIENT, "iq"));
        match self.publications.insert(now.instant, component, publish) {
            Ok(id) => {
                iq.set_attr("id", id);
                self.writes_component(component, &iq);
            }
            Err(publish) => {
                let why = "too many publications wait for an answer".to_owned();
                self.published(publish, busy(why));
            }
        }
    }

    /// A component answers us: a publication, or something that is over.
    pub(crate) fn publication_answered(&mut self, component: &str, answer: &Element) {
        let id = answer.attr("id").unwrap_or_default();
        if let Some(publish) = self.publications.answered(component, id) {
            self.published(publish, outcome(answer));
        }
    }

    /// A component is gone: what it has not answered, it will not.
    pub(crate) fn publications_lost(&mut self, component: &str) {
        for publish in self.publications.lost(component) {
            let gone = unavailable("the app server's connection is gone");
            self.published(Box::new(publish), gone);
        }
    }

    /// An app server says nothing.
    pub(crate) fn publications_late(&mut self, now: Now) {
        while let Some(publish) = self.publications.late(now.instant) {
            self.published(publish, unavailable("the app server does not answer"));
        }
    }

    /// It is settled what becomes of a publication.
    fn published(&mut self, publish: Box<Publish>, outcome: Outcome) {
        let Publish {
            user,
            app,
            channel,
            push,
            device,
            token,
            ..
        } = *publish;
        let counted = Output::Published(app, channel, outcome.clone());
        self.out.push_back(counted);
        let pushed = Pushed {
            push,
            device,
            token,
            outcome,
        };
        self.post(user, Post::Published(Box::new(pushed)));
    }

    /// An app server takes no more for a node (XEP-0357 §8): the device has no token any more, as if it had been refused.
    pub(crate) fn revoked(
        &mut self,
        now: Now,
        directory: &Directory,
        user: &Address,
        Revoked { service, node }: &Revoked,
    ) {
        let like = Enabled::like(service, Some(node));
        let app = service.domain();
        for entry in directory.of(user) {
            let of_app = entry.device.app.as_ref().map(domain::AppId::as_str);
            let mut tokens = entry.device.tokens.iter();
            let token = tokens.find(|it| it.value.starts_with(&*like) && it.dead.is_none());
            let Some(token) = token.filter(|_| of_app == Some(app)) else {
                continue;
            };
            let (token, device) = (token.value.clone(), entry.device.id.clone());
            let push = PushRef::Owed(
                NotificationId::of("revoked", node, &device),
                self.namer.fresh(now.wall),
            );
            let outcome = Outcome::TokenDead {
                since: None,
                reason: StanzaCondition::Gone.name().to_owned(),
            };
            self.tell(hub::Input::Pushed(Pushed {
                push,
                device,
                token,
                outcome,
            }));
        }
    }
}
