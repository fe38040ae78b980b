//! The life of a connection: opened when it is needed, driven by a task of its own until it ends.

use super::{Inner, dial::Driven};
use crate::{chance::about, observe::Event, together::patient};
use bytes::Bytes;
use h2::{Ping, PingPong, client::SendRequest};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Weak},
    task::Poll,
};
use tokio::{
    select,
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

impl Inner {
    /// Opens a connection if one is needed.
    pub(super) fn grow(self: &Arc<Self>) {
        if self.slots.may_open() {
            let pool = Arc::clone(self);
            self.spawn(&self.closing, async move { pool.open().await });
        }
    }

    /// Opens a connection and leaves it with a task of its own.
    async fn open(self: &Arc<Self>) {
        let dialled = match timeout(self.limits.connect, self.dialer.dial()).await {
            Ok(dialled) => dialled.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no connection within {:?}", self.limits.connect)),
        };
        match dialled {
            Ok((sender, connection)) => self.opened(sender, connection),
            Err(reason) => {
                self.unreachable(&reason);
                self.slots.failed(&reason);
                self.lost(&reason);
            }
        }
        self.changed.notify_waiters();
    }

    fn opened(self: &Arc<Self>, sender: SendRequest<Bytes>, connection: Driven) {
        let sender = Arc::new(sender);
        let probe = Arc::new(Notify::new());
        let weak = Arc::downgrade(&sender);
        self.connected();
        if !self.reach.is_up() {
            probe.notify_one();
        }
        let id = self
            .slots
            .opened(self, sender, Arc::clone(&probe), self.start);
        let pool = Arc::clone(self);
        self.spawn(&self.stop, async move {
            pool.drive(id, connection, &weak, &probe).await;
        });
        // It may not be enough for all who wait.
        self.grow();
    }

    /// Drives a connection to its end. Dropping it ends what is still under way on it.
    async fn drive(
        self: &Arc<Self>,
        id: u64,
        mut connection: Driven,
        sender: &Weak<SendRequest<Bytes>>,
        probe: &Notify,
    ) {
        let ping_pong = connection.ping_pong();
        let (reason, is_silent) = select! {
            ended = self.run(id, &mut connection, sender) => match ended {
                Ok(()) => ("closed by the other side".to_owned(), false),
                Err(error) => (error.to_string(), false),
            },
            () = self.keep_alive(id, ping_pong, probe) => ("no answer to a PING".to_owned(), true),
        };
        self.retire(id, &reason);
        if is_silent {
            self.lost(&reason);
        }
    }

    /// A way to the cloud has failed. Where another seems to be left, that one has to prove it.
    fn lost(&self, reason: &str) {
        if self.slots.is_empty() {
            self.reach
                .is(&self.name, Err(reason), self.observer.as_ref());
        } else {
            self.slots.doubt();
        }
    }

    /// Moves bytes, and tells the pool of changed SETTINGS and of a GOAWAY as soon as they are read.
    async fn run(
        self: &Arc<Self>,
        id: u64,
        connection: &mut Driven,
        sender: &Weak<SendRequest<Bytes>>,
    ) -> Result<(), h2::Error> {
        let mut streams = connection.max_concurrent_send_streams();
        let driven = poll_fn(|cx| {
            let ended = Pin::new(&mut *connection).poll(cx);
            let now = connection.max_concurrent_send_streams();
            if now != streams {
                streams = now;
                self.slots.settings_changed(self);
            }
            // The pool holds the only strong one, until it retires the connection.
            if let Some(sender) = sender.upgrade()
                && let Poll::Ready(Err(error)) = SendRequest::clone(&sender).poll_ready(cx)
            {
                self.retire(id, &error.to_string());
            }
            ended
        });
        patient(driven).await
    }

    /// Returns when the other side does not answer a PING in time. Lets the connection go when nobody needs it any more.
    async fn keep_alive(&self, id: u64, ping_pong: Option<PingPong>, probe: &Notify) {
        let Some(mut ping_pong) = ping_pong else {
            return std::future::pending().await;
        };
        loop {
            select! {
                () = sleep(about(self.limits.keep_alive)) => {
                    if self.slots.let_go(id, self.limits.idle) {
                        self.retired("not needed any more");
                        // `run` says goodbye and ends.
                        return std::future::pending().await;
                    }
                }
                () = probe.notified() => {}
            }
            match timeout(self.limits.ping, ping_pong.ping(Ping::opaque())).await {
                Ok(Ok(_)) => self.reach.is(&self.name, Ok(()), self.observer.as_ref()),
                // The connection has ended; `run` says why.
                Ok(Err(_)) => return std::future::pending().await,
                Err(_) => return,
            }
        }
    }

    /// Nothing new over this connection.
    pub(super) fn retire(self: &Arc<Self>, id: u64, reason: &str) {
        if self.slots.retire(id) {
            self.retired(reason);
            self.grow();
        }
    }

    /// It is told that a connection takes nothing new.
    fn retired(&self, reason: &str) {
        tracing::debug!(endpoint = self.name, reason, "connection retired");
        self.observer.on(&Event::Retired {
            endpoint: &self.name,
            reason,
        });
        self.changed.notify_waiters();
    }

    fn connected(&self) {
        tracing::debug!(endpoint = self.name, "connected");
        self.observer.on(&Event::Connected {
            endpoint: &self.name,
        });
    }

    fn unreachable(&self, reason: &str) {
        tracing::debug!(endpoint = self.name, reason, "cannot connect");
        self.observer.on(&Event::Unreachable {
            endpoint: &self.name,
            reason,
        });
    }

    /// Our token was taken: more than one stream from now on.
    pub(super) fn proven(self: &Arc<Self>, id: u64) {
        self.slots.proven(self, id);
        self.grow();
    }

    /// Keeps as many connections open as [`Pool::warm`](super::Pool::warm) asked for.
    pub(super) async fn keep_warm(self: &Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            match self.slots.may_open_ahead() {
                Some(pause) if pause.is_zero() => self.open().await,
                Some(pause) => {
                    // What changes meanwhile is seen after the pause.
                    sleep(pause).await;
                }
                None => changed.await,
            }
        }
    }

    /// Runs a task until `token` is cancelled.
    pub(super) fn spawn(
        &self,
        token: &CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let token = token.clone();
        self.tasks
            .spawn(async move { token.run_until_cancelled(task).await });
    }
}
