//! Users among themselves, on two hubs that tell each other what they say.

mod limits;
mod presence;
mod random;
mod subscriptions;
mod town;
