//! What a process can do. Today one role: call control and SIP messaging.

pub mod call;
