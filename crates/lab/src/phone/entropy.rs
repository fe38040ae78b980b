//! Random names: tags, Call-IDs, tokens.

use ring::rand::{SecureRandom as _, SystemRandom};

fn fill(bytes: &mut [u8]) {
    SystemRandom::new()
        .fill(bytes)
        .expect("the system has entropy");
}

/// 16 random bytes.
pub(super) fn seed() -> [u8; 16] {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    bytes
}

/// `count` random bytes as lower-case hexadecimal.
pub(super) fn hex(count: usize) -> String {
    let mut bytes = vec![0; count];
    fill(&mut bytes);
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

/// A random UUID (RFC 9562 §5.4).
pub(super) fn uuid() -> String {
    let mut bytes = seed();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = bytes.map(|byte| format!("{byte:02x}")).concat();
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}
