//! One client of an edge: a stream to the inside once something of it may go there, and what comes back.

use super::{
    inward::{Brought, Inward},
    places::Place,
    shared::Shared,
};
use bytes::Bytes;
use std::{io, net::IpAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use tunnel::{Header, ReadHalf, Stream};

/// Who has not signed in by then is sent away.
pub(super) const SIGN_IN: Duration = Duration::from_secs(30);

/// The way from a client to the inside, as long as the client is there.
pub(super) struct Lane(Arc<Inward>);

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
        let inward = Arc::new(Inward::default());
        inward.pass(first);
        let task = Task {
            shared: shared.clone(),
            from: header.client.ip(),
            voice,
        };
        let run = task.run((header, whose), inward.clone(), place);
        shared.tasks.spawn(run);
        Self(inward)
    }

    /// Hands a message on.
    pub(super) fn pass(&self, message: Brought) {
        self.0.pass(message);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.0.end();
    }
}

struct Task<V> {
    shared: Arc<Shared>,
    from: IpAddr,
    voice: V,
}

/// As long as it is there somebody takes what waits, however that ends.
struct Taken(Arc<Inward>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl<V: Voice> Task<V> {
    /// No async fn, which keeps its arguments twice: a lane that waits is small.
    fn run(
        mut self,
        (header, whose): (Header, String),
        inward: Arc<Inward>,
        place: Place,
    ) -> impl Future<Output = ()> + Send {
        let inward = Taken(inward);
        // In a place of its own, which is given back then.
        let opened = Box::pin(opened(self.shared.clone(), (header, whose)));
        async move {
            match opened.await {
                Some(stream) => {
                    let (from, to) = stream.split();
                    inward.0.open(to);
                    // Either ends both: a client that is gone leaves nothing, nor does an inside.
                    tokio::select! {
                        () = inward.0.carry() => {}
                        () = self.carry_out(from, place) => {}
                    }
                }
                None => self.voice.no_inside(),
            }
            drop(inward);
            self.voice.end();
        }
    }

    /// What the inside says, to the client.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn keeps its arguments twice, and a lane that waits is small"
    )]
    fn carry_out(&mut self, mut from: ReadHalf, place: Place) -> impl Future<Output = ()> + Send {
        async move {
            // In a place of its own, as above.
            if !Box::pin(self.signs_in(&mut from, place)).await {
                return;
            }
            while let Ok(Some(octets)) = from.next().await {
                if self.says(octets).is_err() {
                    return;
                }
            }
        }
    }

    /// Whether the client has signed in as long as it may take, and has its place.
    async fn signs_in(&mut self, from: &mut ReadHalf, mut place: Place) -> bool {
        let signed_in = timeout(SIGN_IN, self.until_signed_in(from));
        tokio::select! {
            signed_in = signed_in => signed_in == Ok(true),
            () = place.is_lost() => false,
        }
    }

    /// False if it ends before.
    async fn until_signed_in(&mut self, from: &mut ReadHalf) -> bool {
        while let Ok(Some(octets)) = from.next().await {
            match self.says(octets) {
                Ok(false) => {}
                Ok(true) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    /// Tells the client; true if it has signed in by that.
    fn says(&mut self, octets: Bytes) -> io::Result<bool> {
        let whose = self.voice.tell(octets)?;
        if let Some(whose) = &whose {
            // From there somebody known comes.
            self.shared.guards.right(self.from, whose);
        }
        Ok(whose.is_some())
    }
}

/// A stream to the inside of `whose`, if one is there.
async fn opened(shared: Arc<Shared>, (header, whose): (Header, String)) -> Option<Stream> {
    let opened = shared.tunnel.open(whose.as_bytes(), &header).await;
    opened
        .inspect_err(
            |error| tracing::debug!(client = %header.client, %error, "a client has no inside"),
        )
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::sip::Phone;

    /// The size of what it makes.
    fn size_made<A, B, C, D, F>(_: impl FnOnce(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    /// There is one for each phone outside.
    #[test]
    fn the_task_of_a_lane_is_small() {
        let task = size_made(Task::<Phone>::run);
        assert!(task <= 512, "{task}");
    }
}
