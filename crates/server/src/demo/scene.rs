//! One play's own world: its people with their phones, and what there is to tell of them.

use super::{
    phone::{Actor, Part, Reach},
    programme::{Client, JABBER_13, Person},
    relay::Relay,
    report::{Side, Step},
    stage::Stage,
    words,
};
use crate::dev;
use anyhow::{Result, bail};
use domain::Timestamp;
use lab::phone::{Phone, PhoneConfig, PhoneEvent, Place, XmppDoor};
use sip::Transport;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::OwnedSemaphorePermit;
use xmpp::stream::Framing;

/// The domain of all people.
const DOMAIN: &str = "localhost";

/// See the module.
pub(super) struct Scene {
    stage: Arc<Stage>,
    number: usize,
    /// Where Bob's phones are; the others are inside.
    side: Side,
    cast: Mutex<Cast>,
}

#[derive(Default)]
struct Cast {
    actors: Vec<Actor>,
    /// Held until the play begins.
    seat: Option<OwnedSemaphorePermit>,
    /// Since when steps are told.
    curtain: Option<Timestamp>,
    /// How far each phone's log, by its place in `actors`, and each token's pushes were told.
    told: HashMap<usize, u64>,
    told_pushes: HashMap<String, u64>,
}

impl Scene {
    pub(super) fn new(stage: Arc<Stage>, number: usize, side: Side) -> Self {
        Self {
            stage,
            number,
            side,
            cast: Mutex::default(),
        }
    }

    /// Where Bob's phones are at first.
    pub(super) fn side(&self) -> Side {
        self.side
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    fn cast(&self) -> MutexGuard<'_, Cast> {
        self.cast.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody who calls and writes.
    pub(super) async fn caller(&self, person: Person) -> Result<Actor> {
        self.phone(Self::of_caller(person)).await
    }

    /// The same over XMPP.
    pub(super) async fn writer(&self, person: Person) -> Result<Actor> {
        self.phone(Self::of_caller(person).by_xmpp()).await
    }

    fn of_caller(person: Person) -> Part<'static> {
        Part {
            owner: person,
            client: &JABBER_13,
            who: person.name(),
            reach: Reach::Drawer,
            xmpp: false,
            tokens_in_stream: false,
            roams: false,
        }
    }

    /// A phone, registered, its app in front.
    pub(super) async fn phone(&self, part: Part<'_>) -> Result<Actor> {
        let has_sip = !part.xmpp || part.client.of.both_doors;
        let side = self.side_of(part.owner);
        let mut place = self.place(&part, side);
        let server = match &mut place.xmpp {
            Some(xmpp) if !has_sip => xmpp,
            _ => &mut place.server.1,
        };
        let relay = match part.reach {
            Reach::Lift => Some(Relay::to(*server).await?),
            Reach::Good | Reach::Drawer => None,
        };
        if let Some(relay) = &relay {
            *server = relay.address();
        }
        let xmpp = place.xmpp.filter(|_| part.xmpp);
        let mut config = self.config(part.owner, part.client, place);
        config.lab = (part.reach != Reach::Drawer).then(|| self.stage.control().to_owned());
        config.registers_where_pushed = part.roams;
        if let Some(server) = xmpp {
            give_xmpp_door(&mut config, server, &part);
        }
        self.start(part.who, (config, side), relay).await
    }

    fn side_of(&self, owner: Person) -> Side {
        match owner {
            Person::Bob => self.side,
            Person::Alice | Person::Carol => Side::Inside,
        }
    }

    /// Where a phone finds everything at first. One that moves from one side to the other speaks TLS on both.
    fn place(&self, part: &Part<'_>, side: Side) -> Place {
        let transport = if part.roams {
            Transport::Tls
        } else {
            part.client.of.transport
        };
        self.stage.place(side, transport, framing(part.client))
    }

    /// A phone's app that was installed anew: the same device with new push tokens.
    pub(super) async fn reinstalled(&self, phone: &Actor) -> Result<Actor> {
        phone.phone.shutdown().await;
        let mut config = phone.phone.config().clone();
        config.tokens = lab::phone::Tokens::made_up(&config.service, config.generation);
        self.start(phone.who, (config, phone.side), None).await
    }

    fn config(&self, owner: Person, client: &Client, place: Place) -> PhoneConfig {
        let user = owner.number(self.number);
        PhoneConfig {
            display_name: owner.full_name().to_owned(),
            client: client.app.to_owned(),
            ca: Some(self.stage.ca().to_owned()),
            device_api: place.device_api,
            // A phone that is woken for nothing shall say so before the play gives up.
            call_patience: self.stage.patience() * 3 / 4,
            ..PhoneConfig::new(
                &user,
                dev::PASSWORD,
                DOMAIN,
                place.server,
                client.service(self.stage.webpush()),
            )
            .generation(client.of.generation)
        }
    }

    async fn start(
        &self,
        who: &'static str,
        (config, side): (PhoneConfig, Side),
        relay: Option<Relay>,
    ) -> Result<Actor> {
        let phone = Phone::start(config).await?;
        let actor = Actor::new(self.stage.clone(), who, (phone.clone(), side), relay);
        self.stage.add(phone.clone());
        self.cast().actors.push(actor.clone());
        let arrival = self.stage.arrival(connections(phone.config())).await?;
        phone.register().await?;
        if phone.config().xmpp.is_some() {
            // It is there for others when it sees itself.
            let own = format!(
                "{}@{DOMAIN}/{}",
                phone.config().user,
                phone.config().resource()
            );
            let is_there = |event: &PhoneEvent| matches!(event, PhoneEvent::PresenceSeen { from, .. } if *from == own);
            phone.wait_for(is_there, self.stage.patience()).await?;
        }
        if phone.config().xmpp.as_ref().is_some_and(|door| door.pushes) {
            let is_answer = |event: &PhoneEvent| {
                matches!(
                    event,
                    PhoneEvent::PushesEnabled | PhoneEvent::PushesRefused { .. }
                )
            };
            let answer = phone.wait_for(is_answer, self.stage.patience()).await?;
            if let PhoneEvent::PushesRefused { why } = answer.event {
                bail!("the server will not push to {who}: {why}");
            }
        }
        actor.is_at_home().await?;
        drop(arrival);
        Ok(actor)
    }

    /// The edge by which the server has been seen to reach a phone.
    pub(super) fn edge(&self) -> Option<SocketAddr> {
        self.cast().actors.iter().find_map(Actor::edge)
    }

    /// Others have to wait until the play begins.
    pub(super) fn takes_seat(&self, seat: Option<OwnedSemaphorePermit>) {
        self.cast().seat = seat;
    }

    /// The play begins: what happened before is not told.
    pub(super) fn curtain(&self) {
        let mut cast = self.cast();
        cast.seat = None;
        for actor in &cast.actors {
            actor.curtain();
        }
        cast.curtain = Some(crate::clock::now());
    }

    /// What happened since it was asked last, and before `until`, in order of time. What happens while it looks waits for the
    /// next time: its cause may be on a phone that was looked at already.
    pub(super) fn news(&self, until: Option<Timestamp>) -> Vec<Step> {
        let is_now = |at: Timestamp| until.is_none_or(|until| at < until);
        let mut cast = self.cast();
        let Some(curtain) = cast.curtain else {
            return Vec::new();
        };
        let Cast {
            actors,
            told,
            told_pushes,
            ..
        } = &mut *cast;
        let mut news = Vec::new();
        for (place, actor) in actors.iter().enumerate() {
            let told = told.entry(place).or_default();
            let mut seen = actor.seen();
            seen.retain(|entry| entry.seq >= *told && is_now(entry.at));
            for entry in seen {
                *told = entry.seq + 1;
                let words = words::of_phone(&entry.event);
                let when = (entry.at, Some(entry.instant));
                news.extend(words.map(|what| (when, actor.who, what)));
            }
            for token in [actor.voip(), actor.message()] {
                let told = told_pushes.entry(token.to_owned()).or_default();
                let pushes = self.stage.pushes(token, *told);
                for push in pushes.into_iter().filter(|push| is_now(push.time)) {
                    *told = push.seq;
                    let when = (push.time, None);
                    news.push((when, words::cloud(&push), words::of_cloud(&push)));
                }
            }
        }
        news.retain(|((at, _), ..)| *at >= curtain);
        // A cloud counts milliseconds only; what it took comes first among what followed in the same one.
        news.sort_by_key(|(when, ..)| *when);
        news.into_iter()
            .map(|((at, _), who, what)| Step {
                ms: u64::try_from(at.since(curtain).as_millis()).unwrap_or(u64::MAX),
                who,
                what,
            })
            .collect()
    }

    /// Everybody goes home.
    pub(super) async fn end(&self) {
        let actors = self.cast().actors.clone();
        for actor in actors {
            actor.leaves_lift();
            actor.phone.shutdown().await;
        }
    }
}

/// How many a phone opens when it comes on.
fn connections(config: &PhoneConfig) -> u32 {
    u32::from(config.sip)
        + u32::from(config.xmpp.is_some())
        + u32::from(config.device_api.is_some())
}

/// A page reaches a server over a `WebSocket` and in no other way.
fn framing(client: &Client) -> Framing {
    if client.of.is_page() {
        Framing::WebSocket
    } else {
        Framing::Tcp
    }
}

/// A phone that has a SIP door hands its tokens over there, unless its part says otherwise.
fn give_xmpp_door(config: &mut PhoneConfig, server: SocketAddr, part: &Part<'_>) {
    config.sip = part.client.of.both_doors;
    let pushes = !config.sip || part.tokens_in_stream;
    config.xmpp = Some(XmppDoor {
        pushes,
        copies: true,
        framing: framing(part.client),
        ..XmppDoor::new(server)
    });
    if pushes {
        config.device_api = None;
    }
}
