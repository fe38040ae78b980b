//! What goes by a media relay: descriptions of sessions between parties of whom one is outside wait until a relay has
//! written itself into them, and what comes after them in their dialog waits with them.

use super::Role;
use crate::{
    media::{
        Description, Leg, MediaId, Relayable, Relayed, Side, Through, Turn,
        body::{self, Seen},
    },
    requests::NO_RELAY,
    settings::Relaying,
    token::{DialogId, Ends, Mark},
    vocabulary::Output,
};
use bytes::Bytes;
use domain::{DoorId, Note, Now, TraceEvent, TrackingId, trace::Step, wake::Failure};
use hub::CallId;
use sip::{
    Edit, Flow, HeaderName, Message, Method,
    endpoint::{self, ServerTxn},
};

/// Why a description that may be there goes to no relay.
const UNREADABLE: &str = "its body cannot be read";

/// What waits for a relay.
#[derive(Debug)]
pub(super) enum Pending {
    /// A call for a door, perhaps over a flow that was dialled.
    Ring(CallId, DoorId, Option<Flow>, Leg),
    /// A call for its fallback.
    Fallback(CallId, String, Flow, Leg),
    /// A request inside a dialog: from where, and where to, and what its description is.
    Request(ServerTxn, Flow, Message, Flow, Leg, Turn),
    /// An ACK, and where it goes.
    Ack(Message, Flow, TrackingId),
    /// A response, and where it came from.
    Response(Flow, Message, TrackingId),
}

impl Pending {
    /// The dialog whose next messages wait for it. What begins one goes before all others.
    fn dialog(&self) -> Option<DialogId> {
        let (Self::Request(_, _, message, ..)
        | Self::Ack(message, ..)
        | Self::Response(_, message, _)) = self
        else {
            return None;
        };
        Some(DialogId::of(message.call_id().unwrap_or_default()))
    }
}

impl Role {
    /// Takes in a message in its turn.
    pub(super) fn received(&mut self, now: Now, flow: Flow, message: Message) {
        match self.answer_to_relay(&message) {
            Some((tracking, description)) => {
                let pending = Pending::Response(flow, message, tracking);
                self.ask_relay(now, pending, description);
            }
            None => self.give_endpoint(now, flow, message),
        }
    }

    fn give_endpoint(&mut self, now: Now, flow: Flow, message: Message) {
        let received = endpoint::Input::Received { flow, message };
        self.endpoint.handle(now.instant, received);
    }

    fn ask_relay(&mut self, now: Now, pending: Pending, description: Description) {
        let dialog = pending.dialog();
        match self.relays.ask(pending, dialog) {
            Ok(id) => self.out.push_back(Output::Relay(id, Box::new(description))),
            Err(pending) => self.relay_says(now, pending, Err("too much is asked of relays")),
        }
    }

    /// A relay has answered, or none has. Says which dialog goes on.
    pub(super) fn relayed(
        &mut self,
        now: Now,
        id: MediaId,
        answer: &Result<Relayed, String>,
    ) -> Option<DialogId> {
        let (pending, dialog) = self.relays.take(id)?;
        self.relay_says(now, pending, answer.as_ref().map_err(String::as_str));
        dialog
    }

    fn relay_says(&mut self, now: Now, pending: Pending, answer: Result<&Relayed, &str>) {
        match pending {
            Pending::Ring(call, door, dialled, leg) => {
                self.tells_relay(now, &leg.tracking, Some(&leg), answer);
                match self.through(now, call, leg, answer) {
                    Ok(through) => self.send_to(now, call, door, dialled, Some(through)),
                    Err(why) => {
                        self.tell([hub::Input::Failed(call, door, Failure::NotSent, why)]);
                    }
                }
            }
            Pending::Fallback(call, uri, flow, leg) => {
                self.tells_relay(now, &leg.tracking, Some(&leg), answer);
                let through = self.through(now, call, leg, answer);
                let (calls, mut line) = self.line(now);
                let way = through.ok().map(|through| (flow, Some(through)));
                calls.fall_back(&mut line, call, &uri, way);
            }
            Pending::Request(txn, from, request, to, leg, turn) => {
                self.tells_relay(now, &leg.tracking, None, answer);
                let body = answer.ok().and_then(|it| rewritten(&request, &it.sdp));
                match (turn, &body) {
                    (Turn::Offer, None) if self.settings.relaying == Relaying::Needed => {
                        self.legs.end(&leg);
                        return self.no_relay(now, txn);
                    }
                    (Turn::Answer, Some(_)) => self.legs.callee_answered(&leg.name),
                    _ => {}
                }
                let through = Some(Through { leg, body });
                self.send_on(now, txn, from, &request, to, through);
            }
            Pending::Ack(ack, to, tracking) => {
                self.tells_relay(now, &tracking, None, answer);
                let ack = edited(ack, answer);
                self.endpoint.proxy_ack(to, &ack);
            }
            Pending::Response(flow, response, tracking) => {
                self.tells_relay(now, &tracking, None, answer);
                let response = edited(response, answer);
                self.give_endpoint(now, flow, response);
            }
        }
    }

    /// How a call goes to where it was asked for, if it may go there without a relay or has one. `Err`: why it does not.
    fn through(
        &mut self,
        now: Now,
        call: CallId,
        leg: Leg,
        answer: Result<&Relayed, &str>,
    ) -> Result<Through, String> {
        let relaying = self.settings.relaying;
        let (calls, line) = self.line(now);
        let body = answer.map_err(str::to_owned).and_then(|relayed| {
            let invite = calls.invite(&line, call);
            let body = invite.and_then(|invite| rewritten(invite, &relayed.sdp));
            body.ok_or_else(|| "the call is over".to_owned())
        });
        match body {
            Ok(body) => Ok(Through {
                leg,
                body: Some(body),
            }),
            Err(_) if relaying != Relaying::Needed => Ok(Through { leg, body: None }),
            Err(why) => {
                self.legs.end(&leg);
                self.calls.lacks_relay(call);
                Err(format!("no media relay: {why}"))
            }
        }
    }

    /// A story tells once by whom a leg is relayed, and each time that something is not.
    fn tells_relay(
        &mut self,
        now: Now,
        tracking: &TrackingId,
        begins: Option<&Leg>,
        answer: Result<&Relayed, &str>,
    ) {
        let (step, detail) = match (begins, answer) {
            (Some(leg), Ok(relayed)) => {
                let detail = format!("by {} as {}", relayed.by, leg.name);
                (Step::MediaRelayed, detail)
            }
            (None, Ok(_)) => return,
            (_, Err(why)) => (Step::MediaNotRelayed, why.to_owned()),
        };
        self.out.push_back(Output::Note(Note::Story(TraceEvent {
            tracking: tracking.clone(),
            at: now.wall,
            step,
            alias: None,
            device: None,
            detail,
        })));
    }

    fn no_relay(&mut self, now: Now, txn: ServerTxn) {
        if let Some(response) = self.endpoint.response_to(txn, 503, "No Media Relay") {
            let response = response.header(HeaderName::Reason, NO_RELAY);
            self.respond(now, txn, &response.build());
        }
    }

    /// A call goes to a door, by a relay if it must.
    pub(super) fn ring(&mut self, now: Now, call: CallId, door: DoorId, dialled: Option<Flow>) {
        let (calls, line) = self.line(now);
        let leg = calls.leg_to(&line, call, &door, dialled);
        match self.offered(now, call, leg) {
            Offered::Relayed(leg, description) => {
                let pending = Pending::Ring(call, door, dialled, leg);
                self.ask_relay(now, pending, description);
            }
            Offered::Unreadable(leg) => {
                let pending = Pending::Ring(call, door, dialled, leg);
                self.relay_says(now, pending, Err(UNREADABLE));
            }
            Offered::Plain(through) => self.send_to(now, call, door, dialled, through),
        }
    }

    /// A call goes to its user's fallback, likewise.
    pub(super) fn fall_back(&mut self, now: Now, call: CallId, uri: String, flow: Option<Flow>) {
        let (calls, line) = self.line(now);
        let leg = flow.and_then(|flow| calls.leg_over(&line, call, flow, None));
        match (self.offered(now, call, leg), flow) {
            (Offered::Relayed(leg, description), Some(flow)) => {
                let pending = Pending::Fallback(call, uri, flow, leg);
                self.ask_relay(now, pending, description);
            }
            (Offered::Unreadable(leg), Some(flow)) => {
                let pending = Pending::Fallback(call, uri, flow, leg);
                self.relay_says(now, pending, Err(UNREADABLE));
            }
            (Offered::Plain(through), Some(flow)) => {
                let (calls, mut line) = self.line(now);
                calls.fall_back(&mut line, call, &uri, Some((flow, through)));
            }
            (_, None) => {
                let (calls, mut line) = self.line(now);
                calls.fall_back(&mut line, call, &uri, None);
            }
        }
    }

    /// What the INVITE of a call offers on a leg.
    fn offered(&mut self, now: Now, call: CallId, leg: Option<Leg>) -> Offered {
        let Some(mut leg) = leg else {
            return Offered::Plain(None);
        };
        let (calls, line) = self.line(now);
        let invite = calls.invite(&line, call);
        let description = invite.and_then(|invite| {
            let offerer = invite.from_tag();
            described(
                invite,
                &leg,
                Turn::Offer,
                (offerer, None),
                (leg.from, leg.to),
            )
        });
        let unreadable = invite.is_some_and(|it| body::seen(it) == Seen::Unreadable);
        if unreadable && self.settings.relaying != Relaying::Needed {
            return Offered::Plain(None);
        }
        leg.offers = description.is_some();
        self.legs.begin(&leg);
        match description {
            Some(description) => Offered::Relayed(leg, description),
            None if unreadable => Offered::Unreadable(leg),
            None => Offered::Plain(Some(Through { leg, body: None })),
        }
    }

    /// The dialog of a request, if its media may have to be relayed.
    pub(super) fn relayable(&self, request: &Message, ends: Option<&Ends>) -> Option<Relayable> {
        let ends = ends.filter(|_| self.settings.relaying != Relaying::Off)?;
        let tracking = ends.tracking.clone()?;
        let sides = [&ends.caller, &ends.callee].map(|end| Side::of(end.flow));
        Some(Relayable {
            leg: Leg::name(&tracking, ends.caller.flow, ends.callee.device.as_ref()),
            tracking,
            always: sides.contains(&Side::Outside),
            by_caller: ends.initiator == Mark::of(request.from_tag().unwrap_or_default()),
        })
    }

    /// A dialog is over if this is a BYE, whether or not it has a way to go.
    pub(super) fn bye_ends_leg(
        &mut self,
        bye: &Message,
        flows: &[Flow],
        relayable: Option<Relayable>,
    ) {
        let is_bye = bye.method() == Some(Method::Bye);
        if let Some(relayable) = relayable.filter(|it| is_bye && it.is_relayed(flows)) {
            self.legs.dialog_over(relayable.over(bye));
        }
    }

    /// Sends a request inside a dialog on, by a relay if it must.
    pub(super) fn forward(
        &mut self,
        now: Now,
        txn: ServerTxn,
        from: Flow,
        request: Message,
        (to, relayable): (Flow, Option<Relayable>),
    ) {
        if request.method() == Some(Method::Bye) {
            self.bye_ends_leg(&request, &[from, to], relayable);
            return self.send_on(now, txn, from, &request, to, None);
        }
        let Some(mut leg) = relayable.and_then(|it| leg_within(it, &request, from, to)) else {
            return self.send_on(now, txn, from, &request, to, None);
        };
        let seen = body::seen(&request);
        let turn = match request.method() {
            Some(Method::Prack) if seen != Seen::Nothing && self.legs.answers_callee(&leg.name) => {
                Turn::Answer
            }
            _ => Turn::Offer,
        };
        if seen == Seen::Unreadable {
            self.tells_relay(now, &leg.tracking, None, Err(UNREADABLE));
            if turn == Turn::Offer && self.settings.relaying == Relaying::Needed {
                return self.no_relay(now, txn);
            }
            return self.send_on(now, txn, from, &request, to, None);
        }
        let description = within(&request, &leg, turn);
        leg.offers = description.is_some() && turn == Turn::Offer;
        self.legs.begin(&leg);
        if let Some(description) = description {
            let pending = Pending::Request(txn, from, request, to, leg, turn);
            self.ask_relay(now, pending, description);
        } else {
            let through = Some(Through { leg, body: None });
            self.send_on(now, txn, from, &request, to, through);
        }
    }

    /// Sends an ACK on: a description in it is an answer (RFC 3261 §13.2.2.4).
    pub(super) fn forward_ack(
        &mut self,
        now: Now,
        ack: &Message,
        from: Flow,
        (to, relayable): (Flow, Option<Relayable>),
    ) {
        let leg = relayable.and_then(|it| leg_within(it, ack, from, to));
        let asked = leg.and_then(|leg| Some((within(ack, &leg, Turn::Answer)?, leg)));
        if let Some((description, leg)) = asked {
            let pending = Pending::Ack(ack.clone(), to, leg.tracking);
            self.ask_relay(now, pending, description);
        } else {
            self.endpoint.proxy_ack(to, ack);
        }
    }

    /// What a relay must see of a response before anybody else does.
    fn answer_to_relay(&mut self, response: &Message) -> Option<(TrackingId, Description)> {
        if self.legs.is_empty() || !matches!(response.status(), Some(101..300)) {
            return None;
        }
        let leg = self.legs.get(self.endpoint.branch_of(response)?)?;
        let (ours, theirs) = (response.from_tag(), response.to_tag());
        let sides = (leg.to, leg.from);
        let description = match (leg.offers, leg.is_invite) {
            (true, _) => described(response, leg, Turn::Answer, (ours, theirs), sides)?,
            (false, true) => {
                let answerer = ours.filter(|_| !leg.begins);
                described(response, leg, Turn::Offer, (theirs, answerer), sides)?
            }
            (false, false) => return None,
        };
        let tracking = leg.tracking.clone();
        if description.turn == Turn::Offer {
            self.legs.callee_offers(&description.leg);
        }
        Some((tracking, description))
    }
}

/// What an INVITE offers on a leg.
enum Offered {
    /// This, which a relay must see.
    Relayed(Leg, Description),
    /// Perhaps something that a relay must see, and cannot: we do not read it.
    Unreadable(Leg),
    /// Nothing that a relay must see; but perhaps it must see the answer.
    Plain(Option<Through>),
}

/// A request inside a dialog between these flows, if it goes by a relay.
fn leg_within(relayable: Relayable, request: &Message, from: Flow, to: Flow) -> Option<Leg> {
    let method = request.method()?;
    let negotiates = matches!(
        method,
        Method::Invite | Method::Update | Method::Prack | Method::Ack
    );
    (negotiates && relayable.is_relayed(&[from, to])).then(|| Leg {
        name: relayable.leg,
        tracking: relayable.tracking,
        from: Side::of(from),
        to: Side::of(to),
        offers: false,
        is_invite: method == Method::Invite,
        begins: false,
    })
}

/// The description in a request inside a dialog.
fn within(request: &Message, leg: &Leg, turn: Turn) -> Option<Description> {
    let (near, far) = (request.from_tag(), request.to_tag());
    let tags = match turn {
        Turn::Offer => (near, far),
        Turn::Answer => (far, near),
    };
    described(request, leg, turn, tags, (leg.from, leg.to))
}

fn described(
    message: &Message,
    leg: &Leg,
    turn: Turn,
    (offerer, answerer): (Option<&str>, Option<&str>),
    (from, to): (Side, Side),
) -> Option<Description> {
    let place = body::sdp(message)?;
    Some(Description {
        leg: leg.name.clone(),
        turn,
        offerer: offerer.unwrap_or_default().to_owned(),
        answerer: answerer.map(str::to_owned),
        sdp: message.body_bytes().slice(place),
        from,
        to,
    })
}

/// The body of a message with what a relay made of its description.
fn rewritten(message: &Message, sdp: &Bytes) -> Option<Vec<u8>> {
    Some(body::with(message, body::sdp(message)?, sdp))
}

/// A message with what a relay made of its description; as it is, if none did: the call goes on, and nobody may hear.
fn edited(message: Message, answer: Result<&Relayed, &str>) -> Message {
    let body = answer.ok().and_then(|it| rewritten(&message, &it.sdp));
    let Some(body) = body else {
        return message;
    };
    let content_type = message.header_text(HeaderName::ContentType);
    let edit = Edit::new(&message).body(content_type.unwrap_or_default(), &body);
    edit.finish()
}
