//! The first that each side says: its name, for people who look, and by which an inside's users may be called at an edge; and what else
//! the other side is to know of it, anew whenever that is something else.

use std::io;
use std::sync::Arc;

use quinn::Connection;
use tokio::time::timeout;

use crate::frame;
use crate::limits::HANDSHAKE;

/// The longest name that is listened to; longer ones are refused.
const LONGEST: usize = 253;

/// Octets of what else is said.
const LONGEST_REST: usize = 1_024;

/// What one side says.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) name: Box<str>,
    pub(crate) rest: Arc<[u8]>,
}

/// Says ours and hears theirs, both over streams of their own.
pub(crate) async fn exchanged(connection: &Connection, ours: &Hello) -> io::Result<Hello> {
    let say = async {
        let mut stream = connection.open_uni().await?;
        frame::write(&mut stream, ours.name.as_bytes()).await?;
        frame::write(&mut stream, &ours.rest).await?;
        stream.finish().map_err(io::Error::other)
    };
    let hear = async {
        let mut stream = connection.accept_uni().await?;
        let name = frame::read(&mut stream, LONGEST).await?;
        io::Result::Ok((name, frame::read(&mut stream, LONGEST_REST).await?))
    };
    let ((), (theirs, rest)) = tokio::try_join!(say, hear)?;
    let theirs = String::from_utf8(theirs).map_err(io::Error::other)?;
    // It is written into logs and shown to people.
    let is_name = |letter: char| letter.is_alphanumeric() || "-._:[]".contains(letter);
    if !theirs.chars().all(is_name) {
        return Err(io::Error::other("a name that is none"));
    }
    Ok(Hello {
        name: theirs.into_boxed_str(),
        rest: rest.into(),
    })
}

/// Says what is to be known of us from now on, over a stream of its own: the one before has been read when there is room for it.
pub(crate) async fn say_anew(connection: &Connection, rest: &[u8]) -> io::Result<()> {
    let mut stream = connection.open_uni().await?;
    frame::write(&mut stream, rest).await?;
    stream.finish().map_err(io::Error::other)
}

/// Hears what is to be known of the other side from now on, when it says so.
pub(crate) async fn hear_anew(connection: &Connection) -> io::Result<Arc<[u8]>> {
    let mut stream = connection.accept_uni().await?;
    let rest = timeout(HANDSHAKE, frame::read(&mut stream, LONGEST_REST)).await;
    Ok(rest.map_err(io::Error::from)??.into())
}
