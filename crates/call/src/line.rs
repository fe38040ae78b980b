//! What a request is sent to a door with: where that leads, and what is written into it on the way.

use crate::{
    bindings::{Bindings, Bound},
    dialogs::{Dialogs, Initiator},
    media::{Legs, Through},
    registrations::Registrations,
    requests::{headers_off, off_responses},
    settings::Settings,
    token::End,
};
use domain::{DoorId, Now};
use sip::{
    Flow,
    endpoint::{BranchId, ContextId, Endpoint, Target},
};

/// What calls and other requests are carried out with.
pub(crate) struct Line<'a> {
    pub(crate) now: Now,
    pub(crate) settings: &'a Settings,
    pub(crate) endpoint: &'a mut Endpoint,
    pub(crate) bindings: &'a Bindings,
    pub(crate) registrations: &'a Registrations,
    pub(crate) dialogs: &'a Dialogs,
    pub(crate) legs: &'a mut Legs,
}

impl<'a> Line<'a> {
    /// What is behind a door; if it is only about to be open, and its connection has not ended meanwhile, that.
    pub(crate) fn bound(&self, door: &DoorId) -> Option<&'a Bound> {
        let arriving = self.registrations.arriving(door).map(|(bound, _)| bound);
        let arriving = arriving.filter(|bound| self.dialogs.is_up(&bound.flow));
        arriving.or_else(|| self.bindings.get(door))
    }

    /// Sends a request that is proxied to a target, through a relay if it goes by one.
    pub(crate) fn fork(
        &mut self,
        context: ContextId,
        target: Result<Target, String>,
        through: Option<Through>,
    ) -> Result<(BranchId, Target), String> {
        let (leg, body) = through.map(|it| (it.leg, it.body)).unzip();
        let sent = target.and_then(|mut target| {
            (target.body, target.watched) = (body.flatten(), leg.is_some());
            let sent = self.endpoint.fork(self.now.instant, context, &target);
            Ok((sent.map_err(|error| error.to_string())?, target))
        });
        match (&sent, leg) {
            (Ok((branch, _)), Some(leg)) => self.legs.sent(*branch, leg),
            (Err(_), Some(leg)) => self.legs.end(&leg),
            (_, None) => {}
        }
        sent
    }

    /// The target that a door is for a request of `from`, whom we trust or not. `dialled`: the way to it, if it has no
    /// connection of its own.
    pub(crate) fn target(
        &self,
        from: &Initiator,
        trusted: bool,
        door: &DoorId,
        dialled: Option<Flow>,
    ) -> Result<Target, String> {
        let bound = self.bound(door);
        let reached = bound.and_then(|bound| Some((bound, bound.flow().or(dialled)?)));
        let reached = reached.filter(|(_, flow)| self.dialogs.is_up(flow));
        let (bound, flow) = reached.ok_or("no connection")?;
        let end = End {
            flow,
            user: Some(bound.user.clone()),
            device: Some(door.device.clone()),
        };
        Ok(Target {
            record_route: Some(self.dialogs.record_route(self.now, from, end)),
            route: bound.binding.path().map(str::to_owned).collect(),
            headers: headers_off(&self.settings.domains, trusted),
            off_responses: off_responses(self.settings.trusts(flow)),
            ..Target::new(bound.binding.contact(), flow)
        })
    }
}
