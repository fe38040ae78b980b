//! What the machines of SASL make of octets from strangers.

mod corpus;
mod exercise;
