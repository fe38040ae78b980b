//! Messages as a peer sends and sees them: the cases of RFC 4475 and RFC 5118, their mutations, and the rule that a
//! proxy changes nothing but what it must.

mod corpus;
mod exercise;
mod ipv6;
mod messages;
mod mutate;
mod properties;
mod torture;
mod wire;
