//! Standard output, whose reader may have gone: nobody is there to be told of that.

use std::io::Write;

/// Prints a line.
pub(crate) fn line(text: &str) {
    this(&format!("{text}\n"));
}

/// Prints this.
pub(crate) fn this(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
