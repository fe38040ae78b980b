//! The server's side of a stream, as machines without a connection: they take what was read, and say what is to be sent
//! and done. [`Greeter`] is all that comes before the exchange of SASL, [`ComponentGreeter`] the same for components, [`Binder`] what comes behind it up to the
//! moment when the client has an address. [`Relay`] is the stream of a client whose server is behind us.

mod answer;
mod binder;
mod component;
mod dialer;
mod framing;
mod greeter;
mod offer;
mod opening;
mod relay;

pub use answer::Answer;
pub use binder::{BindRequest, Binder, BinderThen, ConflictPolicy, Settled};
pub use component::{ComponentGreeter, Components, handshake};
pub use dialer::{ComponentDialer, Dialed, NotLetIn};
pub use framing::Framing;
pub use greeter::{Greeted, Greeter, Then, asks_for_account};
pub use offer::{BoundOffer, Offer, Sasl2Offer};
pub use opening::{Domains, Opened};
pub use relay::{Heard, Relay, said};
