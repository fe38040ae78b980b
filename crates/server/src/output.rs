//! Standard output, whose reader may have gone: nobody is there to be told of that.

use std::{
    io::{self, Write},
    os::fd::AsFd,
};
use tokio::{io::Interest, net::unix::pipe::Sender};

/// Prints a line.
pub(crate) fn line(text: &str) {
    this(&format!("{text}\n"));
}

/// Prints this.
pub(crate) fn this(text: &str) {
    // Nobody is there to be told.
    let _ = written(text);
}

/// Prints a line; says whether it could be.
///
/// # Errors
/// Whoever read it has gone, or the disk is full.
pub(crate) fn try_line(text: &str) -> io::Result<()> {
    written(&format!("{text}\n"))
}

fn written(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Resolves when whoever read standard output has gone; never, if nobody can tell: it is a file, or a terminal.
pub(crate) async fn reader_is_gone() {
    let out = io::stdout().as_fd().try_clone_to_owned();
    // As it is: standard output stays one that blocks.
    let pipe = out.and_then(Sender::from_owned_fd_unchecked);
    if let Ok(pipe) = pipe {
        while let Ok(ready) = pipe.ready(Interest::ERROR).await {
            if ready.is_error() {
                return;
            }
        }
    }
    std::future::pending::<()>().await;
}
