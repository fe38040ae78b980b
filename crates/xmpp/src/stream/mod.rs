//! The server's side of a stream, as machines without a connection: they take what was read, and say what is to be sent
//! and done. [`Greeter`] is all that comes before the exchange of SASL, [`ComponentGreeter`] the same for components, [`Binder`] what comes behind it up to the
//! moment when the client has an address.

mod answer;
mod binder;
mod component;
mod dialer;
mod framing;
mod greeter;
mod offer;
mod opening;

pub use answer::Answer;
pub use binder::{BindRequest, Binder, BinderThen, ConflictPolicy, Settled};
pub use component::{ComponentGreeter, Components, handshake};
pub use dialer::{ComponentDialer, Dialed, NotLetIn};
pub use framing::Framing;
pub use greeter::{Greeted, Greeter, Then};
pub use offer::{BoundOffer, Offer, Sasl2Offer};
pub use opening::{Domains, Opened};
