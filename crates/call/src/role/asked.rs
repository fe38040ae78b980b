//! A request outside a dialog goes to the part that it is for, once its sender is known.

use super::{Role, ways::Waiting};
use crate::{
    dialogs::Initiator, gate::Realm, passing::Passing, requests, settings::CALLS,
    vocabulary::Output,
};
use domain::Now;
use hub::Directory;
use sip::{Flow, Message, Method, Uri, endpoint::ServerTxn, steer::is_for_presence};

impl Role {
    /// A new request.
    pub(super) fn request(
        &mut self,
        now: Now,
        directory: &Directory,
        txn: ServerTxn,
        flow: Flow,
        request: Message,
        route: Option<&str>,
    ) {
        let Some(method) = request.method() else {
            return;
        };
        self.out
            .push_back(Output::Counted(method.as_str().to_owned(), flow));
        // Whatever its To says: no dialog has a REGISTER in it (RFC 3261 §10.2).
        if method == Method::Register {
            let to = request.to().ok();
            let user = to.and_then(|to| self.settings.local_address(&to.uri));
            return self.register(now, directory, txn, flow, request, user);
        }
        if request.to_tag().is_some() {
            let subscribes = method == Method::Subscribe;
            if let Some(user) = subscribes.then(|| self.presence.whose(&request)).flatten() {
                return self.resubscribe(now, txn, flow, &request, &user);
            }
            return self.in_dialog(now, directory, txn, flow, request, route);
        }
        let Some(uri) = Uri::parse(request.request_uri()) else {
            return self.turn_away(now, txn, 400, "Bad Request-URI");
        };
        let ours = || self.settings.is_ours(uri.host, uri.port);
        if method == Method::Options && uri.user.is_none() && ours() {
            return self.options(txn);
        }
        if self.endpoint.screen(txn).is_err() {
            return;
        }
        let callee = self.settings.local_address(&uri);
        let Some(sender) = self.admit(now, txn, flow, &request, Realm::Proxy) else {
            return;
        };
        match callee {
            // Only who may use us is told more.
            None => self.answer(now, txn, 404, "Not A Domain Of This Server"),
            Some(callee) if !self.accounts.has(&callee) => {
                self.answer(now, txn, 404, "No Such User");
            }
            // RFC 3261 §21.4.4: the caller can do something about it.
            Some(callee) if self.bars(sender.user(), callee.as_str()) => {
                self.answer(now, txn, 403, "You Have Blocked This Address");
            }
            // As if nobody were there (XEP-0191 §3.3): whoever is blocked does not learn of it (RFC 3261 §21.4.18).
            Some(callee) if self.bars(Some(&callee), sender.name()) => {
                let why = format!("{callee} has blocked them");
                self.answer_because(now, txn, (480, ""), &why);
            }
            Some(callee) => match method {
                Method::Invite => self.invite(now, txn, flow, &request, callee, &sender),
                Method::Message => self.message(now, txn, &request, callee, &sender),
                Method::Subscribe if is_for_presence(&request) => {
                    self.subscribe(now, txn, flow, &request, callee, &sender);
                }
                Method::Publish => self.publish(now, txn, flow, &request, &callee, &sender),
                _ => {
                    let passing = Passing {
                        txn,
                        from: Initiator::of(&request, flow, &sender),
                        trusted: self.gate.trusts(flow),
                        begins_dialog: requests::begins_dialog(method),
                        doors: directory
                            .of(&callee)
                            .filter_map(|it| it.way_to_ring(CALLS))
                            .collect(),
                        there: Vec::new(),
                    };
                    self.pass(now, passing);
                }
            },
        }
    }

    /// Any other request for a user goes to the devices that are there: nobody is woken for it.
    pub(super) fn pass(&mut self, now: Now, mut passing: Passing) {
        while let Some(door) = passing.doors.pop() {
            let way = self.way_to(now, &door);
            passing.there.push((door, None));
            if let Some(way) = way {
                return self.reach(now, Waiting::Pass(Box::new(passing)), way);
            }
        }
        let (_, line) = self.line(now);
        let targets = passing.targets(&line);
        if targets.is_empty() {
            return self.answer(now, passing.txn, 480, "");
        }
        let Ok(context) = self.endpoint.open(now.instant, passing.txn) else {
            return;
        };
        for target in targets {
            if let Err(error) = self.endpoint.fork(now.instant, context, &target) {
                tracing::warn!(%error, "not forwarded");
            }
        }
    }
}
