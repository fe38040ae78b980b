//! All sessions, by what they are found by.

use crate::session::Session;
use bytes::Bytes;
use domain::{Address, DoorId, IdMap};
use xmpp::{StreamId, jid::Jid, stream::Framing};

/// The sessions of one shard's users.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: IdMap<DoorId, Session>,
    streams: IdMap<StreamId, DoorId>,
    /// In the order in which they began.
    users: IdMap<Address, Vec<DoorId>>,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Takes in a session; gives back the one that had its door.
    pub(crate) fn insert(&mut self, session: Session) -> Option<Session> {
        let before = self.remove(&session.door);
        let door = session.door.clone();
        self.streams.insert(session.stream, door.clone());
        let of_user = self.users.entry(session.user.clone()).or_default();
        of_user.push(door.clone());
        self.all.insert(door, session);
        before
    }

    pub(crate) fn remove(&mut self, door: &DoorId) -> Option<Session> {
        let session = self.all.remove(door)?;
        self.streams.remove(&session.stream);
        if let Some(doors) = self.users.get_mut(&session.user) {
            doors.retain(|it| it != door);
            if doors.is_empty() {
                self.users.remove(&session.user);
            }
        }
        Some(session)
    }

    pub(crate) fn get(&self, door: &DoorId) -> Option<&Session> {
        self.all.get(door)
    }

    pub(crate) fn get_mut(&mut self, door: &DoorId) -> Option<&mut Session> {
        self.all.get_mut(door)
    }

    /// A session has no stream any more.
    pub(crate) fn disconnect(&mut self, door: &DoorId) -> Option<&mut Session> {
        let session = self.all.get_mut(door)?;
        self.streams.remove(&session.stream);
        Some(session)
    }

    /// A session has this stream.
    pub(crate) fn connect(&mut self, door: &DoorId, stream: StreamId) {
        if let Some(session) = self.disconnect(door) {
            session.stream = stream;
            self.streams.insert(stream, door.clone());
        }
    }

    /// The session of a user that can be resumed by this name, over a stream that is framed as its own was: what is kept for it is.
    pub(crate) fn resumable(&self, user: &Address, id: &str, framing: Framing) -> Option<DoorId> {
        let is_it = |it: &&Session| {
            let own = it.management.resumable();
            it.framing == framing && own.is_some_and(|(own, _)| own == id)
        };
        let session = self.of(user).find(is_it)?;
        Some(session.door.clone())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Session> {
        self.all.values()
    }

    /// What the hub knows all of them by, in an order that is the same each time.
    pub(crate) fn doors(&self) -> Vec<DoorId> {
        let mut doors: Vec<_> = self.all.keys().cloned().collect();
        doors.sort_unstable();
        doors
    }

    /// Whose stream it is.
    pub(crate) fn door_of(&self, stream: StreamId) -> Option<&DoorId> {
        self.streams.get(&stream)
    }

    /// The sessions of a user, in the order in which they began.
    pub(crate) fn of<'s>(&'s self, user: &Address) -> impl Iterator<Item = &'s Session> + use<'s> {
        let doors = self.users.get(user).into_iter().flatten();
        doors.filter_map(|door| self.all.get(door))
    }

    /// The session of a user with this resource, to be changed.
    pub(crate) fn named(&mut self, user: &Address, resource: &str) -> Option<&mut Session> {
        let mut of_user = self.users.get(user)?.iter();
        let door = of_user.find(|door| {
            let session = self.all.get(door);
            session.is_some_and(|it| it.jid.resource() == Some(resource))
        })?;
        self.all.get_mut(door)
    }

    /// What this installation of a user's client signs in with, if it has a session and that is known.
    pub(crate) fn tokens(&self, user: &Address, client: &str) -> Option<Bytes> {
        self.of_client(user, client)?.tokens.clone()
    }

    /// What any of a user's clients signs in with may be something else from now on.
    pub(crate) fn forgets_tokens(&mut self, user: &Address) {
        for door in self.users.get(user).into_iter().flatten() {
            if let Some(session) = self.all.get_mut(door) {
                session.tokens = None;
            }
        }
    }

    /// That is these from now on, or is not known.
    pub(crate) fn has_tokens(&mut self, user: &Address, client: &str, tokens: Option<Bytes>) {
        let door = self.of_client(user, client).map(|it| it.door.clone());
        if let Some(session) = door.and_then(|door| self.all.get_mut(&door)) {
            session.tokens = tokens;
        }
    }

    fn of_client(&self, user: &Address, client: &str) -> Option<&Session> {
        let mut of_user = self.of(user);
        of_user.find(|it| it.client.as_deref() == Some(client))
    }

    /// The session at a full address.
    pub(crate) fn at(&self, user: &Address, jid: &Jid) -> Option<&Session> {
        self.of(user).find(|session| session.jid == *jid)
    }
}
