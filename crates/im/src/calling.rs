//! Calls that are offered by message (XEP-0353): what users say of them becomes words for the hub, which wakes, rings and
//! counts as it does for any call. What is said itself is a message like others, and travels like others.

use crate::{
    calls::{Action, CALL_IDS, Call, Kept, Proposal, Word, call_id, read},
    ext, letters,
    line::{Line, Waiting, condition},
    management::Kind,
    settings::CALLS,
    vocabulary::Output,
};
use domain::{Address, DoorId, Message, Now, wake::Failure};
use hub::{CallEnd, CallId, NewCall, NotDone, Ticket};
use xmpp::{jid::Jid, stanza::StanzaCondition, xml::Element};

/// Most characters of a caller's name that go into a push.
const NAME: usize = 128;

impl Line {
    /// Forgets the calls that are known for long enough.
    pub(crate) fn forgets_calls(&mut self, now: Now) {
        let known = self.settings.calls_known;
        while let Some((number, call)) = self.calls.pop_old(now.instant, known) {
            if !call.is_over {
                let end = CallEnd::Failed("nobody said anything of it any more".into());
                self.tell(hub::Input::CallDone(call_id(number), end));
            }
        }
    }

    /// A user is proposed a call. Refuses what is too much; `None`: it is one that goes on already. From now on it counts: a
    /// caller who proposes many at once does not wait for the store.
    pub(crate) fn proposed(
        &mut self,
        now: Now,
        proposal: Proposal,
    ) -> Result<Option<Proposal>, StanzaCondition> {
        self.forgets_calls(now);
        let Proposal {
            callee, caller, id, ..
        } = &proposal;
        let known = self.calls.find(callee, Some(caller), id);
        match known.and_then(|number| self.calls.get(number)) {
            Some(call) if call.has_begun => return Ok(None),
            // That one may not be kept.
            Some(_) => {}
            None => {
                let admitted = self.calls.admits(now.instant, callee, caller);
                if let Err((why, condition)) = admitted {
                    self.counts(why);
                    return Err(condition);
                }
                self.insert_call(now, &proposal);
            }
        }
        Ok(Some(proposal))
    }

    fn insert_call(&mut self, now: Now, proposal: &Proposal) -> u64 {
        self.calls.insert(Call {
            callee: proposal.callee.clone(),
            caller: proposal.caller.clone(),
            id: proposal.id.clone(),
            tracking: proposal.tracking.clone(),
            at: now.instant,
            has_begun: false,
            is_over: false,
            end: None,
        })
    }

    /// What a caller said is kept, and counts; or it is not.
    pub(crate) fn call_word_is_kept(
        &mut self,
        now: Now,
        ticket: Ticket,
        result: Result<(), NotDone>,
    ) {
        let Some(Waiting::Caller(writer, ticket, kept)) = self.heard(ticket) else {
            return;
        };
        match (*kept, &result) {
            (Kept::Begins(proposal), Ok(())) => self.begins(now, proposal),
            (Kept::Begins(proposal), Err(why)) => {
                self.does_not_begin(&proposal);
                let note = self.told.offer_not_kept(now, &proposal, condition(why));
                self.out.extend(note.map(Output::Note));
            }
            (Kept::Says(word), Ok(())) => self.caller_says(now, &word),
            (Kept::Says(_), Err(_)) => {}
        }
        let result = result.map_err(|why| self.not_done(&why));
        self.answers_writer(writer, ticket, result);
    }

    fn begins(&mut self, now: Now, proposal: Proposal) {
        let known = self
            .calls
            .find(&proposal.callee, Some(&proposal.caller), &proposal.id);
        let number = known.unwrap_or_else(|| self.insert_call(now, &proposal));
        let waits = |call: &&mut Call| !call.has_begun;
        let Some(call) = self.calls.get_mut(number).filter(waits) else {
            return;
        };
        call.has_begun = true;
        call.tracking = proposal.tracking.clone();
        if call.is_over {
            // It was taken or rejected by who had heard of it already: nobody is woken.
            return;
        }
        let Proposal {
            callee,
            caller,
            caller_name,
            id,
            tracking,
        } = proposal;
        self.tell(hub::Input::Called(Box::new(NewCall {
            id: call_id(number),
            kind: CALLS,
            tracking,
            call: (*id).into(),
            callee,
            caller_name: caller_name.chars().take(NAME).collect(),
            caller: caller.as_str().to_owned(),
            whence: String::new(),
            wakes_nobody: None,
        })));
    }

    fn does_not_begin(&mut self, proposal: &Proposal) {
        let Proposal {
            callee, caller, id, ..
        } = proposal;
        let number = self.calls.find(callee, Some(caller), id);
        let waits = |number: &u64| self.calls.get(*number).is_some_and(|it| !it.has_begun);
        if let Some(number) = number.filter(waits) {
            self.calls.remove(number);
        }
    }

    /// The caller says something of a call, at its callee's role.
    fn caller_says(&mut self, now: Now, word: &Word) {
        if word.action == Action::Finish {
            self.tells_end(now, &word.caller, &word.callee, &word.id);
        }
        let Some(number) = self.calls.find(&word.callee, Some(&word.caller), &word.id) else {
            return;
        };
        match word.action {
            Action::Retract => {
                self.tell(hub::Input::CallerCancelled(call_id(number)));
                self.call_fails(number, "the caller took it back (retract)");
            }
            Action::Finish => self.call_fails(number, "the caller ended it (finish)"),
            _ => {}
        }
    }

    /// A client of the callee's says something of a call: to the caller, or to its user's others.
    pub(crate) fn callee_says(&mut self, now: Now, door: &DoorId, to: &Address, message: &Element) {
        let Some((action, id)) = read(message) else {
            return;
        };
        let Some(callee) = self.sessions.get(door).map(|it| it.user.clone()) else {
            return;
        };
        if action == Action::Finish {
            self.tells_end(now, &callee, to, id);
        }
        let caller = Some(to).filter(|to| **to != callee);
        let Some(number) = self.calls.find(&callee, caller, id) else {
            return;
        };
        let (call, device) = (call_id(number), door.device.clone());
        match action {
            Action::Ringing => self.tell(hub::Input::Progress(call, device, true)),
            Action::Proceed => {
                self.ended_by(number, message);
                self.tell(hub::Input::Answered(call, device));
                if let Some(call) = self.calls.get(number).filter(|call| !call.is_over) {
                    self.told.talks(call);
                }
                let heard = "the caller was told that it is taken (proceed)";
                self.call_ends(number, CallEnd::Connected(heard.into()));
            }
            Action::Reject => {
                self.ended_by(number, message);
                let why = "rejected".to_owned();
                let failure = Failure::DeclinedEverywhere;
                self.tell(hub::Input::Failed(call, door.clone(), failure, why));
                self.call_fails(number, "the caller was told no (reject)");
            }
            Action::Finish => self.call_fails(number, "the callee ended it (finish)"),
            Action::Propose | Action::Retract => {}
        }
    }

    /// Nobody takes a call, as far as waking goes. Its caller decides for how long it is offered.
    pub(crate) fn gives_call_up(&mut self, call: CallId) {
        if let Some(number) = call.0.checked_sub(CALL_IDS) {
            self.call_fails(number, "nobody came; the caller may wait on");
        }
    }

    fn ended_by(&mut self, number: u64, message: &Element) {
        let call = self.calls.get_mut(number);
        if let Some(call) = call.filter(|call| call.end.is_none()) {
            call.end = Some(Box::new(message.clone()));
        }
    }

    fn call_fails(&mut self, number: u64, heard: &'static str) {
        self.call_ends(number, CallEnd::Failed(heard.into()));
    }

    fn call_ends(&mut self, number: u64, end: CallEnd) {
        let call = self.calls.get_mut(number);
        if let Some(call) = call.filter(|call| !call.is_over) {
            call.is_over = true;
            self.tell(hub::Input::CallDone(call_id(number), end));
        }
    }

    /// A client is given a message: if that is the proposal of a call that another device of its user has ended, it hears so
    /// with it. It may have been woken for the call, and has nothing else to learn that from (`behaviour.md` 5.8).
    pub(crate) fn end_follows(&mut self, now: Now, door: &DoorId, message: &Message) {
        let Some(session) = self.sessions.get(door) else {
            return;
        };
        let Some(stanza) = letters::stanza(message) else {
            return;
        };
        let Some((Action::Propose, id)) = read(&stanza) else {
            return;
        };
        let caller = Jid::parse(&message.from).ok();
        let caller = caller.and_then(|caller| self.settings.account(&caller));
        let number = self.calls.find(&session.user, caller.as_ref(), id);
        let call = number.and_then(|number| self.calls.get(number));
        let end = call.and_then(|call| call.end.as_deref());
        let is_own = |end: &&Element| end.attr("from") == Some(session.jid.as_str());
        let Some(end) = end.filter(|end| !is_own(end)) else {
            return;
        };
        if let Some(copy) = ext::copy("sent", end, &session.user, &session.jid) {
            let octets = session.octets(&copy);
            self.give(now, door, octets, Kind::Passing);
        }
    }
}
