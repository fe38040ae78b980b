//! A connection to a server whose component we are: dialled, kept, and dialled again.

use super::{
    super::{desk::Desk, nodes::Nodes},
    dialled::Dialled,
    publication::{self, CONVERSATION, Publication, Wanted},
};
use crate::{
    alarms::{Alarm, Notice},
    entropy::fresh,
    metrics::Metrics,
    pauses::Pauses,
};
use anyhow::{Context as _, Result, bail};
use domain::{
    Channel, Notification, NotificationId,
    quota::{Allowance, Quota},
};
use pushd::{Mode, Submission};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use xmpp::{
    ns,
    stanza::{ErrorType, Stanza, StanzaCondition, StanzaError},
    stream::{ComponentDialer, Dialed},
    xml::{Context, Element, Item, Limits, Reader},
};

/// A server must be reached, and take the secret, within this time.
const PATIENCE: Duration = Duration::from_secs(15);
/// A server that says nothing for so long is asked whether it is there, and has as long again.
const QUIET: Duration = Duration::from_mins(1);
/// The first pause before a server is dialled again, and the longest.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_mins(1));
/// A server that starts again is there by then; one that is not is an alarm.
const RESTART: Duration = Duration::from_secs(30);
/// A write that takes longer: the server does not read.
const WRITE: Duration = Duration::from_secs(30);
/// Publications of one server that are answered at once. More wait in the connection.
const AT_ONCE: usize = 256;
/// Publications for one device. A server says each message; a phone needs fewer.
const A_DEVICE: Allowance = Allowance {
    at_once: 16,
    a_minute: 120,
};
/// Octets that are read at once.
const READ: usize = 16 * 1024;

/// Keeps one connection until it is told to stop.
pub(super) async fn keep(
    dialled: Dialled,
    by: Publisher,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let by = Arc::new(by);
    let tell = |notice: Option<&Notice>| {
        let alarms = metrics.alarms();
        alarms.about(Alarm::ComponentRefused, dialled.domain.as_str(), notice);
    };
    let mut outage = Outage::NONE;
    while !*stop.borrow() {
        let is_let_in = || {
            outage = Outage::NONE;
            tell(None);
        };
        let ended = tokio::select! {
            ended = session(&dialled, &by, is_let_in) => ended,
            _ = stop.changed() => return,
        };
        let Err(error) = ended;
        let (is_new, is_long) = outage.goes_on(Instant::now());
        if is_long {
            let detail = format!("{}: {error:#}", dialled.server);
            tell(Some(&Notice::of(Alarm::ComponentRefused, detail)));
        }
        if is_new {
            // Once an outage.
            tracing::warn!(
                domain = dialled.domain.as_str(),
                server = dialled.server,
                error = format!("{error:#}"),
                "an XMPP server cannot be pushed for: it is dialled again"
            );
        }
        tokio::select! {
            () = sleep(outage.pauses.next()) => {}
            _ = stop.changed() => return,
        }
    }
}

/// A time in which a server is not pushed for.
struct Outage {
    since: Option<Instant>,
    pauses: Pauses,
}

impl Outage {
    const NONE: Self = Self {
        since: None,
        pauses: PAUSES,
    };

    /// The server is not there: whether that is new, and whether it is longer than one takes to start again.
    fn goes_on(&mut self, now: Instant) -> (bool, bool) {
        let is_new = self.since.is_none();
        let since = *self.since.get_or_insert(now);
        (is_new, now - since >= RESTART)
    }
}

enum Never {}

/// One connection, from its beginning to its end.
async fn session(
    dialled: &Dialled,
    by: &Arc<Publisher>,
    is_let_in: impl FnOnce(),
) -> Result<Never> {
    let mut link = timeout(PATIENCE, Link::dial(dialled))
        .await
        .context("it does not answer in time")??;
    is_let_in();
    tracing::info!(
        domain = dialled.domain.as_str(),
        server = dialled.server,
        "an XMPP server is pushed for"
    );
    link.serve(dialled, by).await
}

struct Link {
    stream: TcpStream,
    reader: Reader,
    buffer: Vec<u8>,
}

impl Link {
    async fn dial(dialled: &Dialled) -> Result<Self> {
        let stream = TcpStream::connect(&dialled.server).await;
        let stream = stream.context("it cannot be reached")?;
        stream.set_nodelay(true)?;
        let mut link = Self {
            stream,
            reader: Reader::new(Limits::default()),
            buffer: vec![0; READ],
        };
        let mut dialer = ComponentDialer::new(dialled.domain.clone(), &dialled.secret);
        link.stream.write_all(&dialer.header()).await?;
        loop {
            while let Some(item) = link.reader.next()? {
                match dialer.handle(&item)? {
                    Dialed::Send(octets) => link.stream.write_all(&octets).await?,
                    Dialed::Read => {}
                    Dialed::Ready => return Ok(link),
                }
            }
            link.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        let length = self.stream.read(&mut self.buffer).await?;
        anyhow::ensure!(length > 0, "it has closed the connection");
        self.reader.push(&self.buffer[..length]);
        Ok(())
    }

    async fn write(&mut self, element: &Element) -> Result<()> {
        let octets = element.to_octets(Context::CLIENT);
        let written = timeout(WRITE, self.stream.write_all(&octets)).await;
        written.context("it does not read")?.map_err(Into::into)
    }

    async fn serve(&mut self, dialled: &Dialled, by: &Arc<Publisher>) -> Result<Never> {
        let mut answers = JoinSet::new();
        let mut is_asked = false;
        loop {
            while answers.len() < AT_ONCE
                && let Some(item) = self.reader.next()?
            {
                is_asked = false;
                if let Some(answer) = take(item, by, &mut answers)? {
                    self.write(&answer).await?;
                }
            }
            let has_room = answers.len() < AT_ONCE;
            tokio::select! {
                Some(answer) = answers.join_next() => {
                    if let Some(answer) = answer.ok().flatten() {
                        self.write(&answer).await?;
                    }
                }
                read = self.read(), if has_room => read?,
                () = sleep(QUIET), if has_room => {
                    anyhow::ensure!(!is_asked, "it says nothing any more");
                    is_asked = true;
                    self.write(&ping(dialled)).await?;
                }
            }
        }
    }
}

/// A ping to ourselves: the server brings it back to whoever is the component.
fn ping(dialled: &Dialled) -> Element {
    Element::new(ns::CLIENT, "iq")
        .with_attr("type", "get")
        .with_attr("id", fresh())
        .with_attr("from", dialled.domain.as_str())
        .with_attr("to", dialled.domain.as_str())
        .with_child(Element::new(ns::PING, "ping"))
}

/// Takes an item; what is to be answered at once. The rest is answered when it is pushed.
fn take(
    item: Item,
    by: &Arc<Publisher>,
    answers: &mut JoinSet<Option<Element>>,
) -> Result<Option<Element>> {
    let mut element = match item {
        Item::Element(element) => element,
        Item::KeepAlive => return Ok(None),
        Item::Open(_) | Item::Close => bail!("it has closed the stream"),
    };
    if element.is(ns::STREAM, "error") {
        let condition = element.children().next().map_or("error", Element::local);
        bail!("it ends the stream: {condition}");
    }
    element.rescope(ns::COMPONENT, ns::CLIENT);
    Ok(match publication::read(&element) {
        Wanted::Nothing => None,
        Wanted::Answer(answer) => Some(answer),
        Wanted::Push(published) => {
            let by = by.clone();
            answers.spawn(async move {
                let error = by.push(&published).await;
                let stanza = Stanza::of(&element)?;
                match error {
                    None => Some(stanza.reply()),
                    Some(error) => stanza.error(&error),
                }
            });
            None
        }
    })
}

/// Pushes what is published.
pub(super) struct Publisher {
    desk: Desk,
    nodes: Arc<Nodes>,
    devices: Mutex<Quota<String>>,
}

impl Publisher {
    pub(super) fn new(desk: Desk, nodes: Arc<Nodes>) -> Self {
        Self {
            desk,
            nodes,
            devices: Mutex::new(Quota::new(A_DEVICE)),
        }
    }

    /// Pushes it; what is wrong with it, or with that.
    async fn push(&self, published: &Publication) -> Option<StanzaError> {
        let Some(node) = self.nodes.open(&published.node) else {
            let error = StanzaError::new(StanzaCondition::ItemNotFound);
            return Some(error.with_text("there is no such node"));
        };
        if !self.nodes.is_secret(&published.node, &published.secret) {
            let error = StanzaError::new(StanzaCondition::Forbidden);
            return Some(error.with_text("this node has another secret"));
        }
        let devices = || self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if devices()
            .take(Instant::now(), published.node.clone())
            .is_err()
        {
            let error = StanzaError::new(StanzaCondition::ResourceConstraint);
            let error = error.with_type(ErrorType::Wait);
            return Some(error.with_text("too many pushes for this device"));
        }
        let (purpose, ttl) = published.purpose();
        let id = NotificationId::from(fresh());
        let push = Notification {
            tracking: id.as_str().into(),
            id,
            app: node.app,
            token: node.token,
            channel: Channel::Message,
            purpose,
            ttl,
            collapse: Some(CONVERSATION.to_owned()),
            badge: None,
            sealed: None,
        };
        let submission = |mode| Submission {
            tenant: node.tenant.clone(),
            push: push.clone(),
            mode,
        };
        let mut reply = self.desk.submit(submission(Mode::Wait)).await;
        if reply.as_ref().is_some_and(publication::is_for_later) {
            reply = self.desk.submit(submission(Mode::Queue)).await;
        }
        devices().give_back(&published.node);
        publication::error(reply.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_of_once_and_is_an_alarm_when_it_lasts() {
        let now = Instant::now();
        let mut outage = Outage::NONE;
        assert_eq!(outage.goes_on(now), (true, false));
        assert_eq!(outage.goes_on(now + RESTART / 2), (false, false));
        assert_eq!(outage.goes_on(now + RESTART), (false, true));
        outage = Outage::NONE;
        assert_eq!(outage.goes_on(now + RESTART), (true, false));
    }
}
