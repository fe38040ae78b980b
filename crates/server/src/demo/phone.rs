//! A phone in a play: what its user does, and what is waited for on it.

use super::{
    programme::{Client, Person},
    relay::Relay,
    report::Side,
    stage::{Stage, kind},
};
use anyhow::{Result, bail, ensure};
use domain::Mode;
use hub::{DeviceView, DoorView};
use lab::{
    cloud::Record,
    phone::{Entry, Phone, PhoneEvent},
};
use sip::Transport;
use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use xmpp::stream::Framing;

/// A port where nobody serves SIP: discard's.
const NOWHERE: u16 = 9;

/// A phone with its owner. Clones speak of the same one.
#[derive(Clone)]
pub(super) struct Actor {
    stage: Arc<Stage>,
    pub(super) who: &'static str,
    pub(super) phone: Phone,
    /// Where it is at first.
    pub(super) side: Side,
    /// What happened before this entry of its log was before the play.
    curtain: Arc<AtomicU64>,
    relay: Option<Arc<Relay>>,
    edge: Arc<OnceLock<SocketAddr>>,
}

impl Actor {
    pub(super) fn new(
        stage: Arc<Stage>,
        who: &'static str,
        (phone, side): (Phone, Side),
        relay: Option<Relay>,
    ) -> Self {
        Self {
            stage,
            who,
            phone,
            side,
            curtain: Arc::default(),
            relay: relay.map(Arc::new),
            edge: Arc::default(),
        }
    }

    /// From here on it counts.
    pub(super) fn curtain(&self) {
        self.curtain.store(self.phone.mark(), Ordering::Relaxed);
    }

    /// Everything on it since the curtain.
    pub(super) fn seen(&self) -> Vec<Entry> {
        self.phone
            .events_since(self.curtain.load(Ordering::Relaxed))
    }

    /// `name@domain`.
    pub(super) fn address(&self) -> String {
        let config = self.phone.config();
        format!("{}@{}", config.user, config.domain)
    }

    /// Its token for calls.
    pub(super) fn voip(&self) -> &str {
        &self.phone.config().tokens.voip
    }

    /// Its token for messages.
    pub(super) fn message(&self) -> &str {
        &self.phone.config().tokens.message
    }

    /// Falls asleep; returns when the server knows.
    pub(super) async fn sleeps(&self) -> Result<()> {
        self.phone.suspend().await?;
        self.is_asleep().await
    }

    /// Returns when the server knows that it sleeps.
    pub(super) async fn is_asleep(&self) -> Result<()> {
        let config = self.phone.config();
        // Of a SIP door without a token nothing is known while it can be dialled (`behaviour.md` 5.12): nobody outside can.
        let is_inside = self.side == Side::Inside;
        let is_dialled =
            is_inside && config.sip && config.xmpp.as_ref().is_some_and(|door| door.pushes);
        let mode = if is_dialled {
            Mode::Unknown
        } else {
            Mode::Suspended
        };
        self.stage.is(&self.address(), self.voip(), mode).await
    }

    /// Returns when the server reaches it on this side, by every door that it has.
    pub(super) async fn is_on(&self, side: Side) -> Result<()> {
        let is_it = |view: &DeviceView| self.has_doors(view) && is_reached_on(view, side);
        let what = format!("is {}", side.name());
        let view = self.device(&what, is_it).await?;
        self.notes_edge(&view);
        Ok(())
    }

    /// Fails if the server reaches it anywhere but where it is at first.
    pub(super) async fn is_at_home(&self) -> Result<()> {
        let has_doors = |view: &DeviceView| self.has_doors(view);
        let view = self.device("has all its doors", has_doors).await?;
        self.notes_edge(&view);
        let (who, side) = (self.who, self.side.name());
        ensure!(is_reached_on(&view, self.side), "{who} is not {side}");
        Ok(())
    }

    fn has_doors(&self, view: &DeviceView) -> bool {
        let config = self.phone.config();
        view.doors.len() == usize::from(config.sip) + usize::from(config.xmpp.is_some())
    }

    /// The server's view of it, once that is as `wanted`.
    async fn device(&self, what: &str, wanted: impl Fn(&DeviceView) -> bool) -> Result<DeviceView> {
        let (user, token) = (self.address(), self.voip());
        self.stage.device(&user, token, what, wanted).await
    }

    fn notes_edge(&self, view: &DeviceView) {
        if let Some(edge) = view.doors.iter().find_map(edge_of) {
            // The first that was seen stays.
            let _ = self.edge.set(edge);
        }
    }

    /// The edge by which the server has been seen to reach it.
    pub(super) fn edge(&self) -> Option<SocketAddr> {
        self.edge.get().copied()
    }

    /// Its network is gone for now; it sleeps already.
    pub(super) fn enters_lift(&self) {
        if let Some(relay) = &self.relay {
            relay.cut();
        }
    }

    /// Goes to the other side of the firewall, awake or asleep: what it was connected to is gone.
    pub(super) async fn moves_to(&self, side: Side) -> Result<()> {
        let door = self.phone.config().xmpp.as_ref();
        let framing = door.map_or(Framing::Tcp, |door| door.framing);
        let place = self.stage.place(side, Transport::Tls, framing);
        Ok(self.phone.move_to(place).await?)
    }

    /// The same, and it does not know where to register there: a push must say so.
    pub(super) async fn strays_to(&self, side: Side) -> Result<()> {
        let mut place = self.stage.place(side, Transport::Tls, Framing::Tcp);
        place.server.1.set_port(NOWHERE);
        Ok(self.phone.move_to(place).await?)
    }

    pub(super) fn leaves_lift(&self) {
        if let Some(relay) = &self.relay {
            relay.mend();
        }
    }

    /// Calls somebody; gives the call's name.
    pub(super) async fn calls(&self, callee: &Self) -> Result<String> {
        Ok(self
            .phone
            .call(&format!("sip:{}", callee.address()))
            .await?)
    }

    /// The same over XMPP (XEP-0353).
    pub(super) async fn offers(&self, callee: &Self) -> Result<String> {
        Ok(self
            .phone
            .call(&format!("xmpp:{}", callee.address()))
            .await?)
    }

    /// Writes to somebody; the server must keep it.
    pub(super) async fn writes(&self, to: &Self, text: &str) -> Result<()> {
        self.writes_by("sip", to, text).await
    }

    /// The same over XMPP.
    pub(super) async fn chats(&self, to: &Self, text: &str) -> Result<()> {
        self.writes_by("xmpp", to, text).await
    }

    /// The same over either, by its URI scheme.
    pub(super) async fn writes_by(&self, scheme: &str, to: &Self, text: &str) -> Result<()> {
        let uri = format!("{scheme}:{}", to.address());
        let status = self.phone.send_message(&uri, text).await?;
        ensure!(status == 202, "the server answered a message with {status}");
        Ok(())
    }

    /// The server has delivered all that was written to it.
    pub(super) async fn has_everything(&self) -> Result<()> {
        let has = |view: &DeviceView| view.queued == 0;
        self.device("has everything", has).await.map(drop)
    }

    /// What happens on it first of what is wanted, waiting for it for as long as things take that ought to happen at
    /// once. `what` completes "Bob's iPhone never …".
    pub(super) async fn sees(
        &self,
        what: &str,
        wanted: impl FnMut(&PhoneEvent) -> bool,
    ) -> Result<Entry> {
        self.sees_later(Duration::ZERO, what, wanted).await
    }

    /// The same for what ought to happen so much later.
    pub(super) async fn sees_later(
        &self,
        later: Duration,
        what: &str,
        wanted: impl FnMut(&PhoneEvent) -> bool,
    ) -> Result<Entry> {
        let from = self.curtain.load(Ordering::Relaxed);
        let patience = later + self.stage.patience();
        self.waits(from, patience, what, wanted).await
    }

    /// The same from this entry of its log on.
    pub(super) async fn sees_from(
        &self,
        mark: u64,
        what: &str,
        wanted: impl FnMut(&PhoneEvent) -> bool,
    ) -> Result<Entry> {
        let from = self.curtain.load(Ordering::Relaxed).max(mark);
        self.waits(from, self.stage.patience(), what, wanted).await
    }

    async fn waits(
        &self,
        from: u64,
        patience: Duration,
        what: &str,
        mut wanted: impl FnMut(&PhoneEvent) -> bool,
    ) -> Result<Entry> {
        let is_end = |event: &PhoneEvent| matches!(event, PhoneEvent::Killed { .. });
        let wanted = |event: &PhoneEvent| wanted(event) || is_end(event);
        let found = self.phone.wait_for_since(from, wanted, patience).await;
        match found {
            Ok(Entry {
                event: PhoneEvent::Killed { why },
                ..
            }) => bail!("{} was killed: {why}", self.who),
            Ok(entry) => Ok(entry),
            Err(_) => bail!("{} never {what}", self.who),
        }
    }

    /// How often that happened on it.
    pub(super) fn count(&self, wanted: impl Fn(&PhoneEvent) -> bool) -> usize {
        self.seen()
            .iter()
            .filter(|entry| wanted(&entry.event))
            .count()
    }

    /// Fails if that happened on it.
    pub(super) fn never(&self, what: &str, unwanted: impl Fn(&PhoneEvent) -> bool) -> Result<()> {
        ensure!(self.count(unwanted) == 0, "{} {what}", self.who);
        Ok(())
    }

    /// The first push of this kind to one of its tokens.
    pub(super) async fn push(&self, token: &str, wanted: &str) -> Result<Record> {
        let patience = self.stage.patience();
        let opened = |record| self.opened(record);
        match self.stage.push(token, wanted, patience, opened).await {
            Some(record) => Ok(record),
            None => bail!("no {} push to {}", wanted.replace('_', " "), self.who),
        }
    }

    /// All pushes of this kind to one of its tokens.
    pub(super) fn pushes(&self, token: &str, wanted: &str) -> Vec<Record> {
        let pushes = self.stage.pushes(token, 0).into_iter();
        let pushes = pushes.map(|record| self.opened(record));
        pushes.filter(|record| kind(record) == wanted).collect()
    }

    /// A push as its app reads it: what is sealed as a whole no cloud can read.
    fn opened(&self, mut record: Record) -> Record {
        let keys = self.phone.config().keys.as_ref();
        if let Some(payload) = lab::phone::opened(&record.payload, keys) {
            record.payload = payload;
        }
        record
    }
}

/// Whether all its doors are reached on this side.
fn is_reached_on(view: &DeviceView, side: Side) -> bool {
    let is_outside = side == Side::Outside;
    let mut doors = view.doors.iter();
    doors.all(|door| edge_of(door).is_some() == is_outside)
}

/// The edge by which the server reaches a door, as it shows that.
fn edge_of(door: &DoorView) -> Option<SocketAddr> {
    let (_, edge) = door.behind.split_once(" by the edge ")?;
    edge.split(' ').next()?.parse().ok()
}

/// How a phone takes part.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Reach {
    /// Pushes and the network reach it.
    Good,
    /// Pushes reach it; its network can be cut.
    Lift,
    /// It lies in a drawer, switched off: no push reaches it.
    Drawer,
}

/// A phone to be cast.
pub(super) struct Part<'a> {
    pub(super) owner: Person,
    pub(super) client: &'a Client,
    /// What it is called in the steps.
    pub(super) who: &'static str,
    pub(super) reach: Reach,
    /// Whether it is played over XMPP: beside SIP, if the client has both doors.
    pub(super) xmpp: bool,
    /// Whether it hands its tokens over in its stream, to be woken for calls over XMPP, even if it has both doors.
    pub(super) tokens_in_stream: bool,
    /// Whether it moves from one side to the other, and registers where pushes say.
    pub(super) roams: bool,
}

impl<'a> Part<'a> {
    /// Bob's phone, which everything reaches.
    pub(super) fn of_bob(client: &'a Client) -> Self {
        Self {
            owner: Person::Bob,
            client,
            who: client.phone,
            reach: Reach::Good,
            xmpp: false,
            tokens_in_stream: false,
            roams: false,
        }
    }

    pub(super) fn by_xmpp(self) -> Self {
        Self { xmpp: true, ..self }
    }

    /// Woken for calls over XMPP.
    pub(super) fn called_by_xmpp(self) -> Self {
        Self {
            tokens_in_stream: true,
            ..self.by_xmpp()
        }
    }

    pub(super) fn roaming(self) -> Self {
        Self {
            roams: true,
            ..self
        }
    }

    pub(super) fn in_reach(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    pub(super) fn called(self, who: &'static str) -> Self {
        Self { who, ..self }
    }
}
