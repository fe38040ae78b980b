//! The service in virtual time: what senders hear, what goes to providers, what is saved.

mod plays;
mod random;
mod world;
