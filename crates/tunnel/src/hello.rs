//! The first that each side says: its name, for people who look.

use std::io;

use quinn::Connection;

use crate::frame;

/// The longest name that is listened to; longer ones are refused.
const LONGEST: usize = 253;

/// Says ours and hears theirs, both over streams of their own.
pub(crate) async fn exchanged(connection: &Connection, ours: &str) -> io::Result<Box<str>> {
    let say = async {
        let mut stream = connection.open_uni().await?;
        frame::write(&mut stream, ours.as_bytes()).await?;
        stream.finish().map_err(io::Error::other)
    };
    let hear = async {
        let mut stream = connection.accept_uni().await?;
        frame::read(&mut stream, LONGEST).await
    };
    let ((), theirs) = tokio::try_join!(say, hear)?;
    let theirs = String::from_utf8(theirs).map_err(io::Error::other)?;
    // It is written into logs and shown to people.
    let is_name = |letter: char| letter.is_alphanumeric() || "-._:[]".contains(letter);
    if !theirs.chars().all(is_name) {
        return Err(io::Error::other("a name that is none"));
    }
    Ok(theirs.into_boxed_str())
}
