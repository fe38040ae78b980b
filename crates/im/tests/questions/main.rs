//! What the role and the hub make of what clients, strangers, phones and an app's own server say, whatever it is.

mod corpus;
mod exercise;
