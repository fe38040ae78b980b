//! The two questions about contacts, each with its one answer: is it the same contact, is it the same device?

use std::num::NonZeroU32;

use super::{Binding, Contact};
use crate::Uri;
use crate::push::{PushRequest, is_push_param};

/// What tells contacts and devices apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    text: &'a str,
    /// The same read, where that was done already.
    uri: Option<Uri<'a>>,
    instance: Option<&'a str>,
    /// Push provider and what it calls the device.
    token: Option<(&'a str, &'a str)>,
    /// The number of the flow, where Outbound was agreed.
    flow: Option<NonZeroU32>,
}

impl<'a> Identity<'a> {
    pub(super) fn of_contact(contact: &'a Contact<'_>, flow: Option<NonZeroU32>) -> Self {
        let token = match &contact.push {
            PushRequest::Wake(push) => Some((&*push.provider, &*push.prid)),
            _ => None,
        };
        Self {
            text: contact.uri.as_str(),
            uri: Some(contact.uri),
            instance: contact.instance,
            token,
            flow,
        }
    }

    pub(super) fn of_binding(binding: &'a Binding) -> Self {
        Self {
            text: binding.contact(),
            uri: None,
            instance: binding.instance(),
            token: binding.token(),
            flow: binding.reg_id,
        }
    }

    /// The same contact: equivalent URIs (RFC 3261 §19.1.4). Push parameters do not count: a phone that got a new
    /// token from its provider refreshes its binding (RFC 8599 §4.1.3). Two devices behind two routers may well have
    /// one private address; where both say who they are, that tells them apart.
    pub(super) fn is_same_contact(&self, other: &Self) -> bool {
        let two = self.instance.is_some() && other.instance.is_some();
        self.has_same_uri(other, is_push_param) && (!two || self.is_same_device(other))
    }

    /// The same device: the same instance (RFC 5626 §4.1), or the same push token, which a provider gives out to one
    /// installation of an app only (RFC 8599 §5.3, §5.6.2).
    pub(super) fn is_same_device(&self, other: &Self) -> bool {
        self.has_same_instance(other) || (self.token.is_some() && self.token == other.token)
    }

    /// The same binding: with Outbound the same flow of one instance (RFC 5626 §6), else the same contact.
    pub(super) fn is_same_binding(&self, other: &Self) -> bool {
        match (self.flow, other.flow) {
            (Some(one), Some(other_flow)) => self.has_same_instance(other) && one == other_flow,
            _ => self.is_same_contact(other),
        }
    }

    /// Can only one of the two be bound? A device has one binding, but for its flows where Outbound is agreed.
    pub(super) fn supersedes(&self, other: &Self) -> bool {
        let flows = self.flow.is_some() && other.flow.is_some() && self.has_same_instance(other);
        self.is_same_device(other) && !flows
    }

    /// Is it the same contact octet for octet, or by the rules of the RFC alone?
    pub(super) fn is_same_contact_and_token(&self, other: &Self) -> bool {
        self.is_same_contact(other) && self.has_same_uri(other, |_| false)
    }

    fn has_same_instance(&self, other: &Self) -> bool {
        self.instance.is_some() && self.instance == other.instance
    }

    fn has_same_uri(&self, other: &Self, ignored: fn(&str) -> bool) -> bool {
        if self.text == other.text {
            return true;
        }
        let uri = |one: &Self| one.uri.or_else(|| Uri::parse(one.text));
        match (uri(self), uri(other)) {
            (Some(one), Some(other)) => one.is_equivalent_but_for(&other, ignored),
            _ => false,
        }
    }
}
