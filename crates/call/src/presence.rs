//! SUBSCRIBE, NOTIFY and PUBLISH for presence: phones see others and say what their users do. We are an end of these dialogs, not
//! a proxy.

use crate::{
    dialogs::{Dialogs, Whereabouts, heard},
    documents::{Documents, PIDF},
    gate::Sender,
    publications::{self, Publications, Publish, Refused},
    settings::Settings,
    subscriptions::{self, Subscription, SubscriptionId, Subscriptions, Wanted},
};
use domain::{Address, Now, roster::Direction};
use hub::{Input, NotDone, Said, Showing, Ticket};
use sip::{
    Flow, HeaderName, Message,
    dialog::{Dialog, NotOfDialog},
    endpoint::{ClientTxn, Endpoint, ServerTxn},
    steer::{SHARD_DIGITS, TOKEN_DOT},
};
use std::{sync::Arc, time::Instant};

/// A wish that is refused: status, reason, and a header field that says what would do.
type Refusal = (u16, &'static str, Option<(HeaderName<'static>, String)>);

/// A refusal that says nothing more.
fn refusal(status: u16, reason: &'static str) -> Refusal {
    (status, reason, None)
}

/// A request that is ours to answer.
pub(crate) struct Request<'r> {
    pub(crate) txn: ServerTxn,
    pub(crate) flow: Flow,
    pub(crate) message: &'r Message,
    pub(crate) sender: &'r Sender,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Presence {
    settings: Arc<Settings>,
    subscriptions: Subscriptions,
    publications: Publications,
    pub(crate) documents: Documents,
}

impl Presence {
    pub(crate) fn reconfigure(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
    }

    /// Of nobody yet; until it is told otherwise no phone is shown anything, and none says anything.
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            subscriptions: Subscriptions::default(),
            publications: Publications::default(),
            documents: Documents {
                read: |_| None,
                write: |_, _| Vec::new(),
            },
        }
    }

    /// How many subscriptions and publications there are.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.subscriptions.len(), self.publications.len())
    }

    /// When something is due.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let (due, over) = (
            self.subscriptions.next_due(),
            self.publications.next_timeout(),
        );
        due.into_iter().chain(over).min()
    }

    /// Something is shown to a user.
    pub(crate) fn show(&mut self, now: Now, showing: &Showing) {
        self.subscriptions.show(now.instant, showing);
    }

    /// Whoever was this user is nobody any more: what their phones asked for and said is over (RFC 6665 §4.1.3). What the hub is to be
    /// told.
    pub(crate) fn signed_out(
        &mut self,
        now: Now,
        endpoint: &mut Endpoint,
        user: &Address,
    ) -> Vec<Input> {
        let mut told = Vec::new();
        let waiting = self.subscriptions.end_all(now.instant, user, "deactivated");
        for wanted in waiting {
            refuse(endpoint, now, wanted.txn, refusal(403, "Signed Out"));
            told.push(looks_away(wanted.subscription));
        }
        if self.publications.end_all(user) {
            told.push(self.states(user));
        }
        told
    }

    /// There may be a way to a user's phones again.
    pub(crate) fn way_is_open(&mut self, now: Now, user: &Address) {
        self.subscriptions.way_is_open(now.instant, user);
    }

    /// A user's phone wants to see somebody (RFC 6665 §4.2.1.1): what the hub is to be told, by this ticket and this name of the
    /// watcher; or with which status it was refused.
    pub(crate) fn subscribe(
        &mut self,
        now: Now,
        endpoint: &mut Endpoint,
        request: &Request<'_>,
        peer: Address,
        (ticket, client): (Ticket, Box<str>),
    ) -> Result<Input, u16> {
        let wanted = self.subscribes(now, endpoint, request, peer, (ticket, client));
        wanted.map_err(|refused| refuse(endpoint, now, request.txn, refused))
    }

    fn subscribes(
        &mut self,
        now: Now,
        endpoint: &Endpoint,
        request: &Request<'_>,
        peer: Address,
        (ticket, client): (Ticket, Box<str>),
    ) -> Result<Input, Refusal> {
        let Request {
            txn,
            flow,
            message: request,
            sender,
        } = *request;
        let user = sender.user().filter(|user| self.settings.shard.has(user));
        let user = user.ok_or(refusal(403, "Presence Is For Our Users"))?;
        if !takes_pidf(request) {
            return Err((406, "", Some((HeaderName::Accept, PIDF.to_owned()))));
        }
        let seconds =
            subscriptions::seconds(request).map_err(|()| too_brief(subscriptions::SHORTEST))?;
        if !self.subscriptions.has_room(user) {
            tracing::warn!(%user, "as many subscriptions as may be: one more is refused");
            return Err(refusal(503, "Too Many Subscriptions"));
        }
        let tag = endpoint.local_tag(txn);
        let dialog = Dialog::begun_by(request, &tag).map_err(malformed)?;
        let heard = heard(request, flow);
        let shard = self.settings.shard.number;
        let token = format!("{shard:0SHARD_DIGITS$x}{TOKEN_DOT}{tag}");
        let contact = format!("<{}>", self.settings.uri(&token, heard));
        let event = request.header_text(HeaderName::Event).unwrap_or_default();
        let subscription = Subscription::new(
            (user.clone(), peer.clone()),
            client.clone(),
            heard,
            dialog,
            (event.to_owned(), contact),
            now.instant,
        );
        let wanted = Wanted {
            txn,
            subscription,
            seconds,
        };
        self.subscriptions.waits(ticket, wanted);
        let watches = Said::Watches {
            ticket,
            peer,
            client,
        };
        Ok(Input::Said(user.clone(), watches))
    }

    /// The hub has spoken of a wish to see somebody: whom to refuse that, and what the hub is to be told then.
    pub(crate) fn watched(
        &mut self,
        now: Now,
        endpoint: &mut Endpoint,
        ticket: Ticket,
        result: Result<Direction, NotDone>,
    ) -> Option<(ServerTxn, NotDone, Input)> {
        let wanted = self.subscriptions.heard(ticket)?;
        let txn = wanted.txn;
        match result {
            Err(why) => Some((txn, why, looks_away(wanted.subscription))),
            Ok(direction) => {
                accept(
                    endpoint,
                    now,
                    txn,
                    wanted.seconds,
                    &wanted.subscription.contact,
                );
                self.subscriptions.begin(now.instant, wanted, direction);
                None
            }
        }
    }

    /// Whose subscription a request is inside of.
    pub(crate) fn whose(&self, request: &Message) -> Option<Address> {
        let (_, one) = self.subscriptions.of(request)?;
        Some(one.user.clone())
    }

    /// A subscription is refreshed, or ended by its watcher (RFC 6665 §4.2.1.4), who is its user.
    pub(crate) fn resubscribe(&mut self, now: Now, endpoint: &mut Endpoint, request: &Request<'_>) {
        let Request {
            txn, flow, message, ..
        } = *request;
        let Some((id, one)) = self.subscriptions.of(message) else {
            return;
        };
        let contact = one.contact.clone();
        let seconds = subscriptions::seconds(message);
        let seconds = seconds.map_err(|()| too_brief(subscriptions::SHORTEST));
        let refreshed = seconds.and_then(|seconds| {
            let to = (heard(message, flow), seconds);
            let refreshed = self.subscriptions.refresh(now.instant, id, message, to);
            refreshed.map(|()| seconds).map_err(malformed)
        });
        match refreshed {
            Ok(seconds) => accept(endpoint, now, txn, seconds, &contact),
            Err(refused) => {
                refuse(endpoint, now, txn, refused);
            }
        }
    }

    /// Watchers are told what is due. Says whether anything was, and what the hub is to be told.
    pub(crate) fn notifies(
        &mut self,
        now: Now,
        endpoint: &mut Endpoint,
        dialogs: &Dialogs,
        whereabouts: Whereabouts<'_>,
    ) -> (bool, Vec<Input>) {
        let (mut any, mut told) = (false, Vec::new());
        while let Some((id, one)) = self.subscriptions.next(now.instant) {
            any = true;
            // Over the flow by which it asked, else over the one to which its device has moved.
            let up = Some(one.flow).filter(|flow| dialogs.is_up(flow));
            let moved = || whereabouts.find(&one.user, None, &one.flow, domain::Timestamp(0));
            let flow = up.or_else(moved);
            told.extend(self.notify(now, endpoint, id, flow));
        }
        (any, told)
    }

    fn notify(
        &mut self,
        now: Now,
        endpoint: &mut Endpoint,
        id: SubscriptionId,
        flow: Option<Flow>,
    ) -> Option<Input> {
        let documents = &self.documents;
        let notify = self.subscriptions.tell(now.instant, id, flow, documents);
        let sent = notify.zip(flow).and_then(|(notify, flow)| {
            let sent = endpoint.request(now.instant, flow, &notify);
            sent.map_err(|error| tracing::warn!(%error, "a watcher was not told"))
                .ok()
        });
        self.subscriptions.told(id, sent).map(looks_away)
    }

    /// A watcher has answered.
    pub(crate) fn answered(&mut self, txn: ClientTxn, status: u16) -> Option<Input> {
        self.subscriptions.answered(txn, status).map(looks_away)
    }

    /// A user's phone says what its user does (RFC 3903 §6).
    pub(crate) fn publish(
        &mut self,
        now: Now,
        endpoint: &mut Endpoint,
        request: &Request<'_>,
        callee: &Address,
        tag: &str,
    ) -> Result<Input, u16> {
        let txn = request.txn;
        let published = self.publishes(now, request, callee, tag);
        let seconds = published.map_err(|refused| refuse(endpoint, now, txn, refused))?;
        if let Some(response) = endpoint.response_to(txn, 200, "") {
            let response = response
                .header(HeaderName::SipEtag, tag)
                .header(HeaderName::Expires, seconds.to_string());
            endpoint.respond(now.instant, txn, &response.build());
        }
        Ok(self.states(callee))
    }

    fn publishes(
        &mut self,
        now: Now,
        request: &Request<'_>,
        user: &Address,
        tag: &str,
    ) -> Result<u32, Refusal> {
        let Request {
            message: request,
            sender,
            ..
        } = *request;
        if sender.user() != Some(user) {
            return Err(refusal(403, "Publish For Yourself Only"));
        }
        let known = publications::known(request).map_err(|()| refusal(400, "Two SIP-If-Match"))?;
        let seconds =
            publications::seconds(request).map_err(|()| too_brief(publications::SHORTEST))?;
        let stated = match request.body() {
            [] if known.is_none() => return Err(refusal(400, "Nothing Is Published")),
            [] => None,
            body => {
                let media = request.header_text(HeaderName::ContentType);
                if !media.is_some_and(is_pidf) {
                    return Err((415, "", Some((HeaderName::Accept, PIDF.to_owned()))));
                }
                let stated = (self.documents.read)(body);
                Some(stated.ok_or(refusal(400, "No Presence Document"))?)
            }
        };
        let publish = Publish {
            known,
            stated,
            seconds,
        };
        let published = self.publications.publish(now.instant, user, publish, tag);
        published.map_err(|why| match why {
            Refused::Unknown => refusal(412, ""),
            Refused::TooMany => refusal(503, "Too Many Publications"),
        })?;
        Ok(seconds)
    }

    /// Publications are over that were not refreshed.
    pub(crate) fn publications_end(&mut self, now: Now) -> Vec<Input> {
        let users = self.publications.timeout(now.instant);
        users.iter().map(|user| self.states(user)).collect()
    }

    fn states(&self, user: &Address) -> Input {
        let stated = self.publications.of(user).map(Box::new);
        Input::Said(user.clone(), Said::Telephone(stated))
    }
}

/// An event package that is ours to serve and that we do not know (RFC 3903 §6).
pub(crate) fn refuse_event(endpoint: &mut Endpoint, now: Now, txn: ServerTxn) {
    let allowed = (HeaderName::AllowEvents, "presence".to_owned());
    refuse(endpoint, now, txn, (489, "", Some(allowed)));
}

/// Says with which status.
fn refuse(
    endpoint: &mut Endpoint,
    now: Now,
    txn: ServerTxn,
    (status, reason, header): Refusal,
) -> u16 {
    if let Some(mut response) = endpoint.response_to(txn, status, reason) {
        if let Some((name, value)) = header {
            response = response.header(name, value);
        }
        endpoint.respond(now.instant, txn, &response.build());
    }
    status
}

fn accept(endpoint: &mut Endpoint, now: Now, txn: ServerTxn, seconds: u32, contact: &str) {
    if let Some(response) = endpoint.response_to(txn, 200, "") {
        let response = response
            .header(HeaderName::Contact, contact)
            .header(HeaderName::Expires, seconds.to_string());
        endpoint.respond(now.instant, txn, &response.build());
    }
}

/// A subscription is over: its watcher does not look any more.
fn looks_away(over: Subscription) -> Input {
    Input::Said(over.user, Said::LooksAway)
}

fn too_brief(shortest: u32) -> Refusal {
    (
        423,
        "",
        Some((HeaderName::MinExpires, shortest.to_string())),
    )
}

fn malformed(why: NotOfDialog) -> Refusal {
    match why {
        NotOfDialog::Malformed => refusal(400, "One Contact Is Needed"),
        NotOfDialog::TooLarge => refusal(513, ""),
        NotOfDialog::OutOfOrder => refusal(500, "Out Of Order"),
    }
}

fn is_pidf(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default();
    media.trim().eq_ignore_ascii_case(PIDF)
}

/// Whether a watcher takes our documents: who says nothing does (RFC 3856 §6.7).
fn takes_pidf(request: &Message) -> bool {
    let mut accepted = request.values(HeaderName::Accept).peekable();
    let takes = |media: &[u8]| {
        let media = std::str::from_utf8(media).unwrap_or_default();
        let any = media.split(';').next().unwrap_or_default().trim();
        is_pidf(media) || any == "*/*" || any == "application/*"
    };
    accepted.peek().is_none() || accepted.any(takes)
}
