//! What people, operators and the world around do, done.

use std::time::Duration;

use domain::{Address, AppId, Mode};
use hub::{Answer, DeviceUpdate, NotDone, Question, Ticket};
use shard::Input;

use super::check::{self, Check, Verdict};
use super::operator;
use super::plot::Act;
use super::server::Disk;
use super::setting::{self, DOMAIN};
use super::world::{API, Asker, Watcher, World};
use crate::phone::machine::{Input as PhoneInput, Order, Word, WordId};
use crate::sim::{Fate, Plan};

/// After so long the operator says it once more: the server was down, or could not do it.
const TRIED_AGAIN: Duration = Duration::from_secs(6);

impl<W: Watcher> World<W> {
    pub(super) fn act(&mut self, act: Act) -> Verdict {
        self.note(|| format!("{act:?}"));
        match act {
            Act::Order(who, order) => return self.order(who, order),
            Act::Reinstall(who) => {
                let now = self.clock.now();
                self.phones[who].order(now, Order::Crash);
                self.perform(who)?;
                self.reinstall(who);
                self.asked
                    .retain(|_, asker| !matches!(asker, Asker::Phone(of, ..) if *of == who));
                self.check.reinstalled(now, who);
                return self.order(who, Order::Register);
            }
            Act::Tell(who, id, word) => self.tell(who, id, word),
            Act::Told(who, word, result) => {
                let now = self.clock.now();
                let told = PhoneInput::Told { word, result };
                self.phones[who].phone.handle(now, told);
                return self.perform(who);
            }
            Act::Operator(order) => self.operate(order),
            Act::Stop if self.up => return self.stop(),
            Act::Kill if self.up => self.kill(),
            Act::Stop | Act::Kill => {}
            Act::Start => return self.start(),
            Act::Calm => return self.calm(),
            Act::Resume => {
                for who in 0..self.phones.len() {
                    self.act(Act::Order(who, Order::Resume))?;
                }
            }
        }
        Ok(())
    }

    fn order(&mut self, who: usize, order: Order) -> Verdict {
        let now = self.clock.now();
        let harmless = matches!(
            order,
            Order::Answer(_)
                | Order::Decline(_)
                | Order::Call { .. }
                | Order::Send { .. }
                | Order::Hangup(_)
                | Order::Renew
                | Order::Read
        );
        if !harmless {
            self.check.troubled(now, who);
        }
        self.phones[who].order(now, order);
        self.perform(who)
    }

    /// The process is asked to stop: it says so to who waits, and is gone when its last words have left.
    fn stop(&mut self) -> Verdict {
        let now = self.now();
        let mut effects = Some(self.server.stop(now, &mut self.network));
        while let Some(said) = effects {
            said.into_iter().try_for_each(|it| self.effect(it))?;
            effects = self.server.wind_down(now, &mut self.network);
        }
        self.kill();
        Ok(())
    }

    fn kill(&mut self) {
        let now = self.clock.now();
        self.up = false;
        self.deaths += 1;
        for address in setting::places() {
            self.network.unbind(now, address);
        }
        let down = self.rng.between(Duration::ZERO, Duration::from_secs(5));
        self.acts.push(now + down, Act::Start);
        for (_, asker) in std::mem::take(&mut self.asked) {
            match asker {
                Asker::Phone(who, word, _) => {
                    let gone = Err("connection reset".to_owned());
                    self.acts.push(now, Act::Told(who, word, gone));
                }
                Asker::Operator(order) => {
                    let at = now + TRIED_AGAIN;
                    self.acts.push(at, Act::Operator(order));
                }
            }
        }
    }

    fn start(&mut self) -> Verdict {
        let now = self.now();
        let effects = self.server.start(now, &mut self.network);
        self.up = true;
        for address in setting::places() {
            self.network.bind(address);
        }
        self.checked(Check::restarted)?;
        effects.into_iter().try_for_each(|it| self.effect(it))
    }

    fn calm(&mut self) -> Verdict {
        self.calm = true;
        self.network.set_plan(Plan::CALM);
        self.server.disk = Disk::GOOD;
        for phone in &self.phones {
            let tokens = &phone.phone.config().tokens;
            for token in [&tokens.voip, &tokens.message] {
                self.cloud.decide(token, Fate::prompt());
            }
        }
        for user in self.server.people() {
            self.operate(operator::Order::Put(Box::new(user)));
        }
        self.act(Act::Resume)
    }

    /// The app of a phone says something to the device API.
    fn tell(&mut self, who: usize, id: WordId, word: Word) {
        let now = self.clock.now();
        let config = self.phones[who].phone.config();
        let Ok(user) = Address::new(&config.user, DOMAIN) else {
            return;
        };
        // It signs in with its password.
        let own = setting::known_secrets(&config.user);
        let knows = self.server.secret_of(&user) == Some(&own);
        if !self.up || !knows {
            let refused = Err("refused".to_owned());
            self.acts.push(now + API, Act::Told(who, id, refused));
            return;
        }
        let device = domain::DeviceId::of(&user, &domain::device::instance_key(&config.instance));
        let question = match word {
            Word::Device => {
                let update = DeviceUpdate {
                    of: None,
                    app: Some(AppId::from(config.app())),
                    voip: Some(config.tokens.voip.clone()),
                    message: Some(config.tokens.message.clone()),
                    key: self.phones[who].key().cloned(),
                    mode: Some(Mode::Foreground),
                };
                Question::PutDevice(user.clone(), device, Box::new(update))
            }
            Word::Foreground => Question::SetMode(user.clone(), device, Mode::Foreground),
            Word::Suspended => Question::SetMode(user.clone(), device, Mode::Suspended),
        };
        if word != Word::Suspended {
            self.check.returns(who);
        }
        self.ask(&user, question, Asker::Phone(who, id, word));
    }

    fn operate(&mut self, order: operator::Order) {
        let restores = |order: &operator::Order| match order {
            operator::Order::Put(user) => self.server.people().contains(user),
            operator::Order::Remove(_) => false,
        };
        if self.calm && !restores(&order) {
            return;
        }
        if self.up {
            let (user, question) = (order.user().clone(), order.question());
            self.checked(|check, scene| check.operates(scene, &order));
            self.ask(&user, question, Asker::Operator(order));
        } else {
            // They try again.
            let at = self.clock.now() + TRIED_AGAIN;
            self.acts.push(at, Act::Operator(order));
        }
    }

    fn ask(&mut self, user: &Address, question: Question, asker: Asker) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.insert(ticket, asker);
        let (now, shard) = (self.now(), self.server.shard_of(user));
        self.server.tell(now, shard, Input::Asked(ticket, question));
    }

    /// The server answers by its APIs.
    pub(super) fn api_answers(
        &mut self,
        ticket: Ticket,
        answer: Result<Answer, NotDone>,
    ) -> Verdict {
        let done = answer.map(drop);
        match self.asked.remove(&ticket) {
            Some(Asker::Phone(who, id, word)) => {
                let at = self.clock.now() + API;
                if word == Word::Device && done.is_ok() {
                    self.checked(|_, scene| check::handed_over(scene, who))?;
                }
                if done.is_ok() {
                    self.check.stated(who, word == Word::Suspended);
                }
                let result = done.map_err(|error| error.to_string());
                self.acts.push(at, Act::Told(who, id, result));
            }
            Some(Asker::Operator(order)) => {
                self.note(|| format!("{order:?}: {done:?}"));
                let now = self.clock.now();
                self.checked(|check, scene| check.operated(scene, &order, done.is_ok()))?;
                if !matches!(done, Ok(()) | Err(NotDone::Missing)) {
                    let at = now + TRIED_AGAIN;
                    self.acts.push(at, Act::Operator(order));
                }
            }
            None => {}
        }
        Ok(())
    }
}
