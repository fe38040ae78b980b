//! Requests for a user that are neither calls nor messages: they go to the devices that are there, and wake nobody.

use crate::{dialogs::Initiator, line::Line};
use domain::DoorId;
use sip::{
    Flow,
    endpoint::{ServerTxn, Target},
};

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Passing {
    pub(crate) txn: ServerTxn,
    pub(crate) from: Initiator,
    /// Whether its sender may assert identities.
    pub(crate) trusted: bool,
    pub(crate) begins_dialog: bool,
    /// Doors that were not looked at yet.
    pub(crate) doors: Vec<DoorId>,
    /// Those that were, with the flows that were dialled for them.
    pub(crate) there: Vec<(DoorId, Option<Flow>)>,
}

impl Passing {
    /// Where it goes.
    pub(crate) fn targets(&self, line: &Line<'_>) -> Vec<Target> {
        let target = |(door, dialled): &(DoorId, Option<Flow>)| {
            let mut target = line.target(&self.from, self.trusted, door, *dialled).ok()?;
            target.record_route.take_if(|_| !self.begins_dialog);
            Some(target)
        };
        self.there.iter().filter_map(target).collect()
    }
}
