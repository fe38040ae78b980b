//! How a receiver knows that it was us, and when: an HMAC-SHA-256 (RFC 2104) over the time and the body, by a secret that the tenant was told once.

use crate::{hex, secret as secrets};
use domain::{TenantId, tenant::Webhook};
use ring::hmac;

/// The secret of a webhook: made of ours, so nothing of it is kept. An address that is set again has another one.
pub(in crate::pushd) fn secret(ours: &[u8], tenant: &TenantId, webhook: &Webhook) -> String {
    let key = secrets::key_for("push-webhooks", ours);
    let about = format!("{}\0{}\0{}", tenant.as_str(), webhook.url, webhook.since.0);
    hex::encode(hmac::sign(&key, about.as_bytes()).as_ref())
}

/// The value of `Reveille-Signature`: when, in seconds since the Unix epoch, and what is made of it.
pub(in crate::pushd) fn header(secret: &str, at: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = [format!("{at}.").as_bytes(), body].concat();
    let mac = hex::encode(hmac::sign(&key, &signed).as_ref());
    format!("t={at},v1={mac}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;

    #[test]
    fn a_signature_is_of_its_time_its_body_and_its_secret() {
        // By `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret`.
        assert_eq!(
            header("secret", 1_700_000_000, b"{}"),
            "t=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
        );
        let other = header("secret", 1_700_000_001, b"{}");
        assert!(
            !other.contains("b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163")
        );
    }

    #[test]
    fn an_address_that_is_set_again_has_another_secret() {
        let webhook = |since| Webhook {
            url: "https://pbx.example/hook".to_owned(),
            since: Timestamp(since),
            heard: 7,
        };
        let of = |tenant: &str, since| secret(b"ours", &tenant.into(), &webhook(since));
        assert_eq!(of("t", 1), of("t", 1));
        assert_ne!(of("t", 1), of("t", 2));
        assert_ne!(of("t", 1), of("u", 1));
    }
}
