//! Push clients for the platform clouds: Apple's (APNs), Google's (FCM), and whoever speaks Web Push (RFC 8030). A [`Pusher`] takes a
//! [`domain::Notification`] and says what became of it as a [`domain::Outcome`], the same for all; it holds the
//! connections and the provider tokens. It does not decide who is pushed to, nor when to try again.
//!
//! [`seal`] is for what only the device may read; the caller seals, the push carries. [`outcome`] is the one table of
//! what providers' answers mean, [`payload`] the one place that says what apps receive.

mod builder;
mod chance;
mod client;
mod config;
mod endpoint;
mod environment;
mod exchange;
pub mod hops;
mod limits;
pub mod matrix;
mod observe;
pub mod outcome;
pub mod payload;
mod pool;
mod probe;
mod proxy;
mod pusher;
pub mod rest;
mod rules;
pub mod seal;
pub mod together;
pub mod token;
pub mod webpush;

pub use config::{App, ConfigError, Credentials, Problem};
pub use endpoint::{Endpoint, EndpointError};
pub use environment::Environment;
pub use limits::Limits;
pub use observe::{Event, Observer, Served};
pub use proxy::{Proxy, ProxyError, Route};
pub use pusher::Pusher;
pub use rules::redact;
