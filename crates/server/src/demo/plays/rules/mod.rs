//! The rules around the behaviour table (`behaviour.md` 5, 6 and 8): one file a rule.

pub(in crate::demo) mod burst;
pub(in crate::demo) mod dead_token;
pub(in crate::demo) mod elsewhere;
pub(in crate::demo) mod given_up;
pub(in crate::demo) mod unanswered;
