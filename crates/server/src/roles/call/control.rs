//! What the admin API, the device API and the command line ask of the running role.

use super::{CallRole, Inbox, register::history, saving::AfterCommit};
use domain::{
    Address, AppId, Change, Channel, Device, DeviceId, Handed, Mode, Timestamp, User,
    device::SealingKey,
};
use store::StoreError;
use tokio::sync::oneshot;

/// A question or an order.
#[derive(Debug)]
pub enum Control {
    /// Create an account or replace it.
    PutUser(Box<User>, oneshot::Sender<Result<(), StoreError>>),
    /// Another process has changed the store: take the accounts as they are there.
    UsersChanged,
    /// Forget devices that have been out of reach since then.
    ForgetGone(Timestamp),
    /// Remove an account; `NotFound` if there is none.
    RemoveUser(Address, oneshot::Sender<Result<(), ControlError>>),
    /// The devices of a user, or all.
    Devices(Option<Address>, oneshot::Sender<Vec<DeviceView>>),
    /// Forget a device and what waits for it.
    ForgetDevice(DeviceId, oneshot::Sender<Result<(), ControlError>>),
    /// Take what a client says of its device over the device API.
    PutDevice {
        /// Whose device.
        user: Address,
        /// Which; created if it is not known.
        device: DeviceId,
        /// What it says; what it leaves out stays.
        update: Box<DeviceUpdate>,
        /// Told when it is saved.
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Take the client's own word on its mode.
    SetMode {
        /// Which device.
        device: DeviceId,
        /// Foreground or suspended.
        mode: Mode,
        /// Told when it is saved.
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
}

/// What a client says of its device.
#[derive(Clone, Debug, Default)]
pub struct DeviceUpdate {
    /// Its app; one that is configured.
    pub app: Option<AppId>,
    /// Its token for calls.
    pub voip: Option<String>,
    /// Its token for messages.
    pub message: Option<String>,
    /// Its key for sealed pushes.
    pub key: Option<SealingKey>,
    /// Foreground or suspended.
    pub mode: Option<Mode>,
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no such user or device.
    #[error("there is none of that name")]
    NotFound,
    /// It was done, and could not be saved.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A device as an operator sees it.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct DeviceView {
    /// The record.
    pub device: Device,
    /// What it does now.
    pub mode: Mode,
    /// Messages that wait for it.
    pub queued: u64,
}

impl CallRole {
    pub(super) fn control(&mut self, control: Control) {
        match control {
            Control::PutUser(user, reply) => {
                self.user_changes += 1;
                self.location.put_user((*user).clone());
                self.commit(
                    vec![Change::PutUser(*user)],
                    AfterCommit {
                        reply: Some(reply),
                        ..AfterCommit::default()
                    },
                );
            }
            Control::ForgetGone(before) => self.forget_gone(before),
            Control::UsersChanged => self.read_users(),
            Control::RemoveUser(address, reply) => {
                self.user_changes += 1;
                let devices: Vec<_> = self
                    .location
                    .places_of(&address)
                    .map(|place| place.device.id.clone())
                    .collect();
                if self.location.remove_user(&address).is_none() {
                    return tell(reply, Err(ControlError::NotFound));
                }
                for device in devices {
                    self.device_gone(device);
                }
                self.commit_for(vec![Change::RemoveUser(address)], reply);
            }
            Control::Devices(user, reply) => {
                let wanted =
                    |device: &Device| user.as_ref().is_none_or(|user| device.user == *user);
                let mut views: Vec<_> = self
                    .location
                    .places()
                    .filter(|place| wanted(&place.device))
                    .map(|place| DeviceView {
                        device: place.device.clone(),
                        mode: place.mode(),
                        queued: place.queued,
                    })
                    .collect();
                views.sort_by(|a, b| {
                    (&a.device.user, &a.device.id).cmp(&(&b.device.user, &b.device.id))
                });
                tell(reply, views);
            }
            Control::ForgetDevice(device, reply) => {
                if self.location.remove_device(&device).is_none() {
                    return tell(reply, Err(ControlError::NotFound));
                }
                self.device_gone(device.clone());
                self.commit_for(vec![Change::RemoveDevice(device)], reply);
            }
            Control::PutDevice {
                user,
                device,
                update,
                reply,
            } => self.put_device(user, &device, *update, reply),
            Control::SetMode {
                device,
                mode,
                reply,
            } => {
                let Some(changed) = self
                    .location
                    .update(&device, |device| device.word = Some(mode))
                else {
                    return tell(reply, Err(ControlError::NotFound));
                };
                self.commit_for(vec![Change::PutDevice(Box::new(changed))], reply);
                self.heed_word(device);
            }
        }
    }

    /// Reads the accounts, with everything that was saved before.
    fn read_users(&self) {
        let (saved, store) = (self.store.commit(Vec::new()), self.store.clone());
        let (inbox, as_of) = (self.inbox.clone(), self.user_changes);
        tokio::spawn(async move {
            let users = match saved.await {
                Ok(()) => store.users().await,
                Err(error) => Err(error),
            };
            match users {
                // The role may have stopped.
                Ok(users) => drop(inbox.send(Inbox::Users { users, as_of }).await),
                Err(error) => tracing::error!(%error, "accounts could not be read again"),
            }
        });
    }

    /// Takes over the accounts as they were read, unless we have changed some meanwhile: then they are read again.
    pub(super) fn users_read(&mut self, users: Vec<User>, as_of: u64) {
        if as_of != self.user_changes {
            return self.read_users();
        }
        tracing::info!("another process changed the store: accounts are taken over");
        for device in self.location.replace_users(users) {
            self.device_gone(device);
        }
    }

    /// The client has said what it does: in the foreground it takes its messages. Its word counts only while its flow is
    /// up; a registration that is on its way brings it back.
    fn heed_word(&mut self, device: DeviceId) {
        let there = self
            .location
            .place(&device)
            .map(super::location::Place::mode);
        if there == Some(Mode::Foreground) {
            let fresh = false;
            let returned = domain::delivery::Input::Returned { device, fresh };
            let step = self.delivery.step(self.now, returned);
            self.deliver(step, None);
        }
    }

    fn put_device(
        &mut self,
        user: Address,
        id: &DeviceId,
        update: DeviceUpdate,
        reply: oneshot::Sender<Result<(), StoreError>>,
    ) {
        let (now, mode) = (self.now.wall, update.mode);
        if self.location.user(&user).is_none() {
            let (kind, name) = ("user", user.to_string());
            return tell(reply, Err(StoreError::Missing { kind, name }));
        }
        let mut changes = Vec::new();
        if self.location.place(id).is_none() {
            if !self.make_room(&user, &mut changes) {
                return tell(reply, Err(StoreError::Overloaded));
            }
            self.location
                .put_device(Device::new(id.clone(), user, now), None);
        }
        let updated = self.location.update(id, |device| {
            let DeviceUpdate {
                app,
                voip,
                message,
                key,
                mode,
            } = update;
            device.app = app.or(device.app.take());
            for (channel, token) in [(Channel::Voip, voip), (Channel::Message, message)] {
                if token.is_some_and(|token| device.give_token(channel, &token, Handed::Apart, now))
                {
                    changes.push(history(
                        id,
                        now,
                        format!("new {} token by the device API", channel.name()),
                    ));
                }
            }
            if key.is_some() && key != device.key {
                changes.push(history(id, now, "new key for sealed pushes".to_owned()));
                device.key = key;
            }
            device.word = mode.or(device.word);
        });
        if let Some(device) = updated {
            changes.insert(0, Change::PutDevice(Box::new(device)));
        }
        let reply = Some(reply);
        self.commit(
            changes,
            AfterCommit {
                reply,
                ..AfterCommit::default()
            },
        );
        if mode.is_some() {
            self.heed_word(id.clone());
        }
    }

    pub(super) fn device_gone(&mut self, device: DeviceId) {
        self.forget_owed(&device);
        let step = self
            .delivery
            .step(self.now, domain::delivery::Input::Forgotten(device));
        self.deliver(step, None);
    }

    /// Saves, and tells whoever asked.
    fn commit_for(
        &mut self,
        changes: Vec<Change>,
        reply: oneshot::Sender<Result<(), ControlError>>,
    ) {
        let (sender, saved) = oneshot::channel();
        self.commit(
            changes,
            AfterCommit {
                reply: Some(sender),
                ..AfterCommit::default()
            },
        );
        tokio::spawn(async move {
            let result = saved.await.unwrap_or(Err(StoreError::Closed));
            tell(reply, result.map_err(ControlError::from));
        });
    }
}

/// Whoever asked may have gone.
fn tell<T>(reply: oneshot::Sender<T>, word: T) {
    let _ = reply.send(word);
}
