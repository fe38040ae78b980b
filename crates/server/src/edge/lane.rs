//! One client of an edge: a stream to the inside once something of it may go there, and what comes back.

use super::{places::Place, shared::Shared};
use bytes::Bytes;
use net::Held;
use std::{io, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tunnel::{Header, Stream};

/// Who has not signed in by then is sent away.
const SIGN_IN: Duration = Duration::from_secs(30);

/// The way from a client to the inside. What one read of its connection brought waits here at most: it is read on when that is in
/// the tunnel, so a client that is faster than the tunnel is slowed down by TCP.
pub(super) struct Lane(mpsc::UnboundedSender<Brought>);

/// A message, and what holds its connection back until it is in the tunnel.
pub(super) type Brought = (Bytes, Held);

/// What a client is told, in the protocol that it speaks.
pub(super) trait Voice: Send + 'static {
    /// Tells the client what the inside says, and whoever has signed in by it.
    ///
    /// # Errors
    /// What it says makes no sense.
    fn tell(&mut self, octets: Bytes) -> io::Result<Option<String>>;

    /// Tells it that there is no inside.
    fn no_inside(&self);

    /// Ends its connection.
    fn end(&self);
}

impl Lane {
    /// Opens a stream to the inside of `whose`, with this at its start, which may go on. `place` is held for as long as the client has
    /// not signed in.
    pub(super) fn open(
        shared: &Arc<Shared>,
        (header, whose): (Header, String),
        first: Brought,
        place: Place,
        voice: impl Voice,
    ) -> Self {
        let (to_inside, queue) = mpsc::unbounded_channel();
        let lane = Self(to_inside);
        lane.pass(first);
        let task = Task {
            shared: shared.clone(),
            from: header.client.ip(),
            voice,
        };
        shared
            .tasks
            .spawn(task.run((header, whose), (queue, place)));
        lane
    }

    /// Hands a message on.
    pub(super) fn pass(&self, message: Brought) {
        // If nobody takes it any more, its connection is about to be closed.
        let _ = self.0.send(message);
    }
}

struct Task<V> {
    shared: Arc<Shared>,
    from: IpAddr,
    voice: V,
}

impl<V: Voice> Task<V> {
    async fn run(
        mut self,
        (header, whose): (Header, String),
        (queue, place): (mpsc::UnboundedReceiver<Brought>, Place),
    ) {
        match self.shared.tunnel.open(whose.as_bytes(), &header).await {
            Ok(stream) => {
                let (from, to) = tokio::io::split(stream);
                // Either ends both: a client that is gone leaves nothing, nor does an inside.
                tokio::select! {
                    () = carry_in(queue, to) => {}
                    () = self.carry_out(from, place) => {}
                }
            }
            Err(error) => {
                tracing::debug!(client = %header.client, %error, "a client has no inside");
                self.voice.no_inside();
            }
        }
        self.voice.end();
    }

    /// What the inside says, to the client.
    async fn carry_out(&mut self, mut from: ReadHalf<Stream>, place: Place) {
        let mut place = Some(place);
        let by = Instant::now() + SIGN_IN;
        loop {
            let late = async {
                if place.is_some() {
                    sleep_until(by).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            let read = tokio::select! {
                read = some_of(&mut from) => read,
                () = late => return,
            };
            let told = read.and_then(|octets| self.voice.tell(octets));
            match told {
                Ok(None) => {}
                Ok(Some(whose)) => {
                    place = None;
                    // From there somebody known comes.
                    self.shared.guards.right(self.from, &whose);
                }
                Err(_) => return,
            }
        }
    }
}

/// Waits for octets; an error at the end.
async fn some_of(from: &mut ReadHalf<Stream>) -> io::Result<Bytes> {
    let mut some = Bytes::new();
    match net::read_some(from, |octets| some = Bytes::copy_from_slice(octets)).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(some),
    }
}

/// What the client says, to the inside; ends when the client is gone.
async fn carry_in(mut queue: mpsc::UnboundedReceiver<Brought>, mut to: WriteHalf<Stream>) {
    while let Some((octets, held)) = queue.recv().await {
        if to.write_all(&octets).await.is_err() {
            return;
        }
        drop(held);
    }
    // It ends either way.
    let _ = to.shutdown().await;
}
