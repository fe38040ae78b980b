//! Random names: tokens, ids.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt::Write as _;

fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has entropy");
    bytes
}

/// `count` random bytes as lower-case hexadecimal.
pub(super) fn hex(count: usize) -> String {
    bytes(count)
        .iter()
        .fold(String::with_capacity(2 * count), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// `count` random bytes as unpadded base64url.
pub(super) fn base64url(count: usize) -> String {
    URL_SAFE_NO_PAD.encode(bytes(count))
}

/// A random UUID (RFC 9562 §5.4), upper case as Apple writes them.
pub(super) fn uuid() -> String {
    let mut bytes = bytes(16);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02X}");
    }
    text
}
