//! What the role is told and what it says.

use crate::{
    media::{Description, MediaId, Over, Relayed},
    reach::{ReachId, Way},
};
use domain::{Note, Refusal};
use sip::{Flow, Message, endpoint::Transmit};
use std::time::Duration;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A message arrived.
    Received(Flow, Message),
    /// A connection is gone, or a send over the flow failed.
    FlowClosed(Flow),
    /// A flow that was asked for, or nothing if there is none.
    Reached(ReachId, Option<Flow>),
    /// What a media relay made of a description, or why none did.
    Relayed(MediaId, Result<Relayed, String>),
    /// The hub speaks to its role.
    Hub(hub::Output),
}

/// What to do.
#[derive(Debug)]
pub enum Output {
    /// Send this. What goes over a [spiral](crate::is_spiral) is to be given to the shard that it is for.
    Transmit(Transmit),
    /// Close this connection after what is queued for it.
    Close(Flow),
    /// Find or make a flow, and say so by [`Input::Reached`].
    Reach(ReachId, Way),
    /// Have a media relay write itself into this description, and say so by [`Input::Relayed`].
    Relay(MediaId, Box<Description>),
    /// No relay need know this any more.
    RelayEnds(Over),
    /// Tell the hub.
    Hub(hub::Input),
    /// Count a request.
    Counted(String, Flow),
    /// Count a request that was refused to protect us or a user.
    Refused(Refusal),
    /// For those who look later.
    Note(Note),
    /// A call left for a device so long after it began to register.
    RegisterToInvite(Duration),
}
