//! Plain HTTP/1.1 with connections that stay: `POST /push/USER`, answered `200` without a body.

use super::{Teller, user_of};
use anyhow::{Context, Result};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Instant,
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A sink that runs for as long as the program does.
pub(crate) struct Plain {
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Plain {
    /// Starts one that tells the phones at this port.
    pub(crate) fn start(phones: u16, began: Instant) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the HTTP sink")?;
        let address = listener.local_addr()?;
        let teller = Arc::new(Teller::new(phones, began)?);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let teller = teller.clone();
                thread::spawn(move || {
                    if let Err(error) = serve(connection, &teller) {
                        eprintln!("the HTTP sink: {error:#}");
                    }
                });
            }
        });
        Ok(Self { address })
    }
}

fn serve(connection: TcpStream, teller: &Teller) -> Result<()> {
    connection.set_nodelay(true)?;
    let mut answers = connection.try_clone()?;
    let mut requests = BufReader::new(connection);
    let mut line = String::new();
    while read_line(&mut requests, &mut line)? {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        while read_line(&mut requests, &mut line)? && !line.trim_end().is_empty() {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().context("Content-Length")?;
            }
        }
        let body = std::io::copy(&mut (&mut requests).take(length), &mut std::io::sink())?;
        anyhow::ensure!(body == length, "a request was cut off");
        teller.tell(user_of(&path, 10)?)?;
        answers.write_all(ANSWER)?;
    }
    Ok(())
}

/// Whether there was one.
fn read_line(from: &mut impl BufRead, into: &mut String) -> Result<bool> {
    into.clear();
    Ok(from.read_line(into)? > 0)
}
