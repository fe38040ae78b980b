//! The answer to a REGISTER (RFC 3261 §10.3 step 8).

use super::{Binding, Change, Registration};
use crate::{HeaderName, Message, ResponseBuilder};

/// What a REGISTER comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'b> {
    /// Bindings that it did not touch.
    pub kept: Vec<&'b Binding>,
    /// What changed. Nothing did if the client only asked.
    pub changes: Vec<Change>,
    /// Outbound is agreed for what it bound (RFC 5626 §6).
    pub outbound: bool,
}

impl Outcome<'_> {
    /// All bindings of the address from now on, oldest first.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        let new = self.changes.iter().filter_map(Change::bound);
        self.kept.iter().copied().chain(new)
    }

    /// `200` with all bindings, and with the Path that was used if the client can read it (RFC 3327 §5.3). The
    /// caller may add Date, Service-Route, Feature-Caps.
    pub fn response(
        &self,
        request: &Message,
        registration: &Registration<'_>,
        now_ms: u64,
    ) -> ResponseBuilder {
        let mut response = ResponseBuilder::to(request, 200, "OK");
        for binding in self.bindings() {
            response = response.header(HeaderName::Contact, binding.contact_value(now_ms));
        }
        if registration.supports_path {
            for path in &registration.path {
                response = response.header(HeaderName::Path, *path);
            }
        }
        if self.outbound {
            response = response.header(HeaderName::Require, "outbound");
        }
        response
    }
}
