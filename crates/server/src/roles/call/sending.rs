//! The messages that are on their way to devices: one a device.

use domain::{DeviceId, MessageId};
use sip::{Flow, endpoint::ClientTxn};
use std::collections::HashMap;

/// A message on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) txn: ClientTxn,
    pub(super) message: MessageId,
    pub(super) flow: Flow,
}

/// All of them. As many as devices that are being written to.
#[derive(Debug, Default)]
pub(super) struct Sending {
    by_device: HashMap<DeviceId, Sent>,
    by_txn: HashMap<ClientTxn, DeviceId>,
}

impl Sending {
    /// This one is on its way to the device; what was before it is given up.
    pub(super) fn insert(&mut self, device: DeviceId, sent: Sent) {
        self.give_up(&device);
        self.by_txn.insert(sent.txn, device.clone());
        self.by_device.insert(device, sent);
    }

    /// The device does not answer, or is elsewhere: what comes of its message over the old way does not matter any more.
    pub(super) fn give_up(&mut self, device: &DeviceId) {
        if let Some(sent) = self.by_device.remove(device) {
            self.by_txn.remove(&sent.txn);
        }
    }

    /// What a transaction was about, once it is over.
    pub(super) fn answered(&mut self, txn: ClientTxn) -> Option<(DeviceId, MessageId)> {
        let device = self.by_txn.remove(&txn)?;
        let sent = self.by_device.remove(&device)?;
        Some((device, sent.message))
    }

    /// Over which flow the device is being written to.
    pub(super) fn flow(&self, device: &DeviceId) -> Option<Flow> {
        self.by_device.get(device).map(|sent| sent.flow)
    }
}
