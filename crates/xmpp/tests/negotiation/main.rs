//! How streams are negotiated, as a client sees it: what it sends, and what it is sent.

mod binding;
mod client;
mod components;
mod greeting;
mod refusing;
