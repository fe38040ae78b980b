//! What a push message must look like, apart from who sends it and to which subscription.

use super::refusal::Refusal;
use http::HeaderMap;

/// Longest body that every push service takes (RFC 8030 §7.2); this one takes no longer.
const BODY: usize = 4096;
/// Longest `Topic` (RFC 8030 §5.4).
const TOPIC: usize = 32;
/// RFC 8030 §5.3.
const URGENCIES: [&str; 4] = ["very-low", "low", "normal", "high"];
/// Salt and record size (RFC 8188 §2.1).
const FIXED: usize = 16 + 4;
/// The smallest record size (RFC 8188 §2.1).
const SMALLEST_RECORD: u32 = 18;
/// The key id is the sender's public key, an uncompressed point (RFC 8291 §4).
const PUBLIC_KEY: usize = 65;
/// Of AES-128-GCM; a record holds at least that and the delimiter.
const TAG: usize = 16;

/// A header's value, if it is there and text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `TTL`, `Urgency` and `Topic`; says the first, in seconds.
pub(super) fn check_headers(headers: &HeaderMap) -> Result<u64, Refusal> {
    let wrong = |reason: &str| Refusal::new(400, reason);
    for name in ["ttl", "urgency", "topic", "content-encoding"] {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(wrong(&format!("{name} twice")));
        }
    }
    let ttl =
        header(headers, "ttl").ok_or_else(|| wrong("TTL is missing (RFC 8030 section 5.2)"))?;
    // A longer one than can be counted is as long as can be.
    if ttl.is_empty() || !ttl.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("TTL is a number of seconds"));
    }
    if headers.contains_key("urgency")
        && header(headers, "urgency").is_none_or(|urgency| !URGENCIES.contains(&urgency))
    {
        return Err(wrong("Urgency is very-low, low, normal or high"));
    }
    let fits = |topic: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=TOPIC).contains(&topic.len()) && topic.bytes().all(known)
    };
    if headers.contains_key("topic") && header(headers, "topic").is_none_or(|topic| !fits(topic)) {
        return Err(wrong("Topic is at most 32 characters of base64url"));
    }
    Ok(ttl.parse().unwrap_or(u64::MAX))
}

/// Size, coding, and the one record's header. What is inside only the device can tell.
pub(super) fn check_body(headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    if body.is_empty() {
        return Ok(());
    }
    if body.len() > BODY {
        return Err(Refusal::new(413, "more than 4096 bytes"));
    }
    let wrong = |reason: &str| Err(Refusal::new(400, reason));
    if header(headers, "content-encoding") != Some("aes128gcm") {
        return wrong("a body has the Content-Encoding aes128gcm (RFC 8291 section 4)");
    }
    let Some((fixed, rest)) = body.split_at_checked(FIXED) else {
        return wrong("the body is too short for a header (RFC 8188 section 2.1)");
    };
    let size = u32::from_be_bytes([fixed[16], fixed[17], fixed[18], fixed[19]]);
    if size < SMALLEST_RECORD {
        return wrong("the record size is less than 18");
    }
    let Some((&length, rest)) = rest.split_first() else {
        return wrong("the body has no key id");
    };
    if usize::from(length) != PUBLIC_KEY || rest.first() != Some(&4) {
        return wrong("the key id is not an uncompressed P-256 point (RFC 8291 section 4)");
    }
    let record = rest.len().saturating_sub(PUBLIC_KEY);
    if record <= TAG || u32::try_from(record).is_ok_and(|record| record > size) {
        return wrong("the body is not exactly one record (RFC 8291 section 4)");
    }
    Ok(())
}
