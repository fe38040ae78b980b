//! What must hold of whatever a client shows as a token: shared by the test here and the fuzz target `lab_jwt`.

use super::Jwt;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256};
use serde_json::Value;

/// A token, and whether it is read as one. It is never taken for signed by a key that signed nothing.
pub(crate) fn token(octets: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(octets) else {
        return false;
    };
    let Some(read) = Jwt::<Value>::read(text) else {
        return false;
    };
    // A point of the curve that nobody has the key of is hard to come by: one that is none will do.
    let mut point = [7; 65];
    point[0] = 4;
    assert!(!read.is_signed_by(&ECDSA_P256_SHA256_FIXED, &point));
    assert!(!read.is_signed_by(&RSA_PKCS1_2048_8192_SHA256, &point));
    // Three parts without padding, the first two of which are JSON (RFC 7515).
    let parts: Vec<_> = text.split('.').collect();
    assert!(parts.len() == 3 && !text.contains('='), "{text}");
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let claims: Value = serde_json::from_slice(&decode(parts[1])).expect("JSON");
    assert_eq!(read.claims, claims);
    true
}

#[cfg(test)]
mod tests {
    use super::token;
    use std::path::Path;

    #[test]
    fn every_seed_of_the_tokens_target_holds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-seed/lab_jwt");
        let mut read = 0;
        for entry in folder.read_dir().expect("a corpus") {
            let octets = std::fs::read(entry.expect("an entry").path()).expect("a readable seed");
            read += usize::from(token(&octets));
            for at in 0..octets.len() {
                let mut near = octets.clone();
                near[at] ^= 1;
                token(&near);
                near.remove(at);
                token(&near);
            }
        }
        assert!(read > 0, "no seed is a token");
    }
}
