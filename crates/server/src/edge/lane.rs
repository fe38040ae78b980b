//! One client of an edge: a stream to the inside once something of it may go there, and what comes back.

use super::{
    gate::{Gate, Refused},
    shared::{Place, Shared},
};
use bytes::Bytes;
use sip::{Flow, Frame, Framer, Message, endpoint::Transmit};
use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::ready,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf},
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tunnel::{Header, Spoken, Stream};

/// Messages of a client that wait for the tunnel. One more ends its connection: the inside does not take them.
const WAITING: usize = 32;

/// Who has not signed in by then is sent away.
const SIGN_IN: Duration = Duration::from_secs(30);

/// Octets that are read from the tunnel at once.
const CHUNK: usize = 4 * 1024;

/// What the loop knows of a client.
pub(super) struct Lane {
    gate: Arc<Mutex<Gate>>,
    to_inside: mpsc::Sender<Bytes>,
}

impl Lane {
    /// Opens a stream with this message at its start, which may go on. `place` is held for as long as the client has not signed in.
    pub(super) fn open(
        shared: &Arc<Shared>,
        flow: Flow,
        (gate, first): (Gate, &Message),
        place: Place,
    ) -> Self {
        let (to_inside, queue) = mpsc::channel(WAITING);
        let gate = Arc::new(Mutex::new(gate));
        // It is empty.
        let _ = to_inside.try_send(first.bytes().clone());
        let task = Task {
            shared: shared.clone(),
            flow,
            gate: gate.clone(),
            first: first.clone(),
            whose: whose(first),
        };
        shared.tasks.spawn(task.run(queue, place));
        Self { gate, to_inside }
    }

    /// What the client may do.
    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        lock(&self.gate)
    }

    /// Hands a message on. False if too many wait.
    pub(super) fn pass(&self, message: &Message) -> bool {
        self.to_inside.try_send(message.bytes().clone()).is_ok()
    }
}

fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By whom an inside is chosen: the address that registers.
fn whose(register: &Message) -> Vec<u8> {
    let to = register.to().ok().map(|to| to.uri);
    let address = to.map(|uri| format!("{}@{}", uri.user_decoded().unwrap_or_default(), uri.host));
    address
        .unwrap_or_default()
        .to_ascii_lowercase()
        .into_bytes()
}

struct Task {
    shared: Arc<Shared>,
    flow: Flow,
    gate: Arc<Mutex<Gate>>,
    first: Message,
    whose: Vec<u8>,
}

impl Task {
    async fn run(self, queue: mpsc::Receiver<Bytes>, place: Place) {
        let header = Header {
            spoken: Spoken::SipTls,
            client: self.flow.remote,
            port: self.flow.local.port(),
            name: None,
        };
        match self.shared.tunnel.open(&self.whose, &header).await {
            Ok(stream) => {
                let (from, to) = tokio::io::split(stream);
                // Either ends both: a client that is gone leaves nothing, nor does an inside.
                tokio::select! {
                    () = carry_in(queue, to) => {}
                    () = self.carry_out(from, place) => {}
                }
            }
            Err(error) => {
                tracing::debug!(client = %self.flow.remote, %error, "a client has no inside");
                self.shared
                    .refuse(self.flow, &self.first, Refused::NoInside);
            }
        }
        self.shared.net.close(self.flow);
    }

    /// What the inside says, to the client; until it has let the client in, that is read.
    async fn carry_out(&self, mut from: ReadHalf<Stream>, place: Place) {
        let mut place = Some(place);
        let by = Instant::now() + SIGN_IN;
        let mut framer = Framer::client(self.shared.limits);
        loop {
            let late = async {
                match place {
                    Some(_) => sleep_until(by).await,
                    None => std::future::pending().await,
                }
            };
            let read = tokio::select! {
                read = read_some(&mut from) => read,
                () = late => return,
            };
            let Ok(bytes) = read else {
                return;
            };
            if place.is_some() {
                framer.push(&bytes);
                while let Ok(Some(frame)) = framer.next() {
                    if self.signs_in(&frame) {
                        place = None;
                    }
                }
            }
            let flow = self.flow;
            self.shared.net.send(Transmit { flow, bytes });
        }
    }

    fn signs_in(&self, frame: &Frame) -> bool {
        let Frame::Message(octets) = frame else {
            return false;
        };
        let message = Message::parse(octets.clone(), &self.shared.limits);
        let signs_in = message.is_ok_and(|message| lock(&self.gate).inside_says(&message));
        if signs_in {
            // From there somebody known comes.
            let whose = String::from_utf8_lossy(&self.whose);
            self.shared.guards.right(self.flow.remote.ip(), &whose);
        }
        signs_in
    }
}

/// Waits for octets; an error at the end. They are read into the stack: a client that is silent has no buffer.
async fn read_some(from: &mut ReadHalf<Stream>) -> io::Result<Bytes> {
    poll_fn(|context| {
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(&mut *from).poll_read(context, &mut chunk))?;
        if chunk.filled().is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into()).into();
        }
        Ok(Bytes::copy_from_slice(chunk.filled())).into()
    })
    .await
}

/// What the client says, to the inside; ends when the client is gone.
async fn carry_in(mut queue: mpsc::Receiver<Bytes>, mut to: WriteHalf<Stream>) {
    while let Some(octets) = queue.recv().await {
        if to.write_all(&octets).await.is_err() {
            return;
        }
    }
    // It ends either way.
    let _ = to.shutdown().await;
}
