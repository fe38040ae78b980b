//! A few octets with their length before them: how a stream begins.

use std::io;

use quinn::{RecvStream, SendStream};

/// Writes them.
pub(crate) async fn write(stream: &mut SendStream, octets: &[u8]) -> io::Result<()> {
    let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
    let mut framed = Vec::with_capacity(2 + octets.len());
    framed.extend(length.to_be_bytes());
    framed.extend(octets);
    Ok(stream.write_all(&framed).await?)
}

/// Reads them, if there are no more than so many.
pub(crate) async fn read(stream: &mut RecvStream, most: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).await.map_err(cut)?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > most {
        return Err(io::Error::other(format!(
            "{length} octets, where {most} are the most"
        )));
    }
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets).await.map_err(cut)?;
    Ok(octets)
}

fn cut(error: quinn::ReadExactError) -> io::Error {
    match error {
        quinn::ReadExactError::FinishedEarly(_) => io::ErrorKind::UnexpectedEof.into(),
        quinn::ReadExactError::ReadError(error) => error.into(),
    }
}
