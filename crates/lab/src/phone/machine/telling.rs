//! What the device API is told, one word at a time, in the order in which it became true: the server must not hear it
//! in another one.

use std::collections::VecDeque;

use super::{Done, OrderId, Output, Phone, PhoneError, Word, WordId};

/// Words that wait. A further one is not told.
const MOST_WORDS: usize = 16;

/// The words that are still to be answered; the first is on its way.
#[derive(Default)]
pub(super) struct Telling {
    words: VecDeque<Telt>,
    /// Words so far.
    count: u64,
}

struct Telt {
    id: WordId,
    word: Word,
    /// Who wants to know.
    order: Option<OrderId>,
}

impl Phone {
    /// Tells the device API, if there is one. `order` is carried out when it has heard.
    pub(super) fn tell(&mut self, word: Word, order: Option<OrderId>) {
        if self.config.device_api.is_none() {
            return;
        }
        if self.telling.words.len() == MOST_WORDS {
            if let Some(order) = order {
                let busy = PhoneError::Busy(format!(
                    "the device API has not heard {MOST_WORDS} words yet"
                ));
                self.done(order, Err(busy));
            }
            return;
        }
        self.telling.count += 1;
        let id = WordId(self.telling.count);
        self.telling.words.push_back(Telt { id, word, order });
        if self.telling.words.len() == 1 {
            self.outputs.push_back(Output::Tell { id, word });
        }
    }

    pub(super) fn on_told(&mut self, id: WordId, result: Result<(), String>) {
        // An app that died since does not care.
        let Some(told) = self.telling.words.pop_front_if(|first| first.id == id) else {
            return;
        };
        if let Some(next) = self.telling.words.front() {
            let (id, word) = (next.id, next.word);
            self.outputs.push_back(Output::Tell { id, word });
        }
        let Some(order) = told.order else {
            return;
        };
        match (result, told.word) {
            (Err(why), _) => self.done(order, Err(PhoneError::DeviceApi(why))),
            (Ok(()), Word::Device) => self.open_and_register(order),
            (Ok(()), Word::Suspended) => {
                let result = self.background().map(|()| Done::Obeyed);
                self.done(order, result);
            }
            (Ok(()), Word::Foreground) => {}
        }
    }

    /// An app that was about to go to the background is opened again: it stays, and says so.
    pub(super) fn stay_in_front(&mut self) {
        let leaving = |telt: &mut Telt| telt.order.take_if(|_| telt.word == Word::Suspended);
        let orders: Vec<_> = self.telling.words.iter_mut().filter_map(leaving).collect();
        if orders.is_empty() {
            return;
        }
        for order in orders {
            self.done(order, Ok(Done::Obeyed));
        }
        self.tell(Word::Foreground, None);
    }

    /// Nobody is left to tell anything.
    pub(super) fn tell_no_more(&mut self) {
        for telt in std::mem::take(&mut self.telling.words) {
            if let Some(order) = telt.order {
                self.done(order, Err(PhoneError::NotRunning));
            }
        }
    }
}
