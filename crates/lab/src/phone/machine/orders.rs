//! What the phone is told to do.

use super::{Done, Order, OrderId, Phone, PhoneError, PhoneEvent, Word};
use crate::phone::chat;

impl Phone {
    pub(super) fn on_order(&mut self, id: OrderId, order: Order) {
        let result = match order {
            // These are answered when their time comes.
            Order::Register if self.config.device_api.is_some() => {
                return self.tell(Word::Device, Some(id));
            }
            Order::Background if self.config.device_api.is_some() && self.is_running() => {
                return self.tell(Word::Suspended, Some(id));
            }
            Order::Register | Order::Resume => return self.open_and_register(id),
            Order::Tap => {
                self.note(PhoneEvent::Tapped);
                return self.open_and_register(id);
            }
            Order::Unregister if self.is_running() => {
                self.leave_offers();
                self.order_chat(chat::Order::SignOut);
                return self.unregister(id);
            }
            Order::Send { uri, text } => return self.send_message(&uri, &text, id),

            Order::Call { uri } => match self.by_chat(&uri) {
                Some(to) => self.offer(&to, &uri).map(Done::Calling),
                None => self.call(&uri).map(Done::Calling),
            },
            order => self.obey(order).map(|()| Done::Obeyed),
        };
        self.done(id, result);
    }

    fn obey(&mut self, order: Order) -> Result<(), PhoneError> {
        match order {
            Order::Suspend => return self.suspend(),
            Order::Background => return self.background(),
            Order::Answer(call) => return self.answer(&call),
            Order::Decline(call) => return self.decline(&call),
            Order::Hangup(call) => return self.hangup(&call),
            Order::ChangeNetwork => self.change_network(),
            Order::Renew => {
                self.renew_calls();
                self.propose_again();
            }
            Order::Read if self.is_foreground() => self.order_chat(chat::Order::Read),
            Order::Show(show) if self.is_running() => self.show(show),
            Order::Subscribe { to } if self.is_running() => {
                self.order_chat(chat::Order::Subscribe(to));
            }
            Order::Crash => {
                self.note(PhoneEvent::Crashed);
                self.die();
            }
            Order::SwitchOff => self.die(),
            _ => return Err(PhoneError::NotRunning),
        }
        Ok(())
    }

    pub(super) fn open_and_register(&mut self, order: OrderId) {
        self.open(false);
        self.arrives(order);
    }
}
