//! An app server of XMPP (XEP-0357), as a component (XEP-0114) of servers elsewhere: it dials them, and what they publish is pushed. [`dialled`] says which
//! they are, [`link`] is a connection, [`publication`] what is said over it. The other direction, components of ours, is in `crate::components`.

mod dialled;
mod link;
mod publication;

pub(crate) use dialled::{Dialled, read};

use super::{desk::Desk, nodes::Nodes};
use crate::metrics::Metrics;
use std::sync::Arc;
use tokio::{sync::watch, task::JoinHandle};

/// Keeps a connection to one of them, until it is told to stop.
pub(super) fn keep(
    dialled: Dialled,
    (desk, nodes, metrics): (&Desk, &Arc<Nodes>, &Arc<Metrics>),
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let by = link::Publisher::new(desk.clone(), nodes.clone());
    tokio::spawn(link::keep(dialled, by, metrics.clone(), stop))
}
