//! Apple's reasons, each with its status ("Handling notification responses from APNs").

/// Why APNs refused a push.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) struct Reason {
    pub(super) status: u16,
    pub(super) name: &'static str,
}

const fn reason(status: u16, name: &'static str) -> Reason {
    Reason { status, name }
}

pub(super) const BAD_COLLAPSE_ID: Reason = reason(400, "BadCollapseId");
pub(super) const BAD_DEVICE_TOKEN: Reason = reason(400, "BadDeviceToken");
pub(super) const BAD_EXPIRATION_DATE: Reason = reason(400, "BadExpirationDate");
pub(super) const BAD_MESSAGE_ID: Reason = reason(400, "BadMessageId");
/// Ours: Apple's table has no reason for a body that is no JSON object.
pub(super) const BAD_PAYLOAD: Reason = reason(400, "BadPayload");
pub(super) const BAD_PRIORITY: Reason = reason(400, "BadPriority");
pub(super) const BAD_TOPIC: Reason = reason(400, "BadTopic");
pub(super) const DEVICE_TOKEN_NOT_FOR_TOPIC: Reason = reason(400, "DeviceTokenNotForTopic");
pub(super) const DUPLICATE_HEADERS: Reason = reason(400, "DuplicateHeaders");
pub(super) const INVALID_PUSH_TYPE: Reason = reason(400, "InvalidPushType");
pub(super) const MISSING_DEVICE_TOKEN: Reason = reason(400, "MissingDeviceToken");
pub(super) const MISSING_TOPIC: Reason = reason(400, "MissingTopic");
pub(super) const PAYLOAD_EMPTY: Reason = reason(400, "PayloadEmpty");
pub(super) const TOPIC_DISALLOWED: Reason = reason(400, "TopicDisallowed");
pub(super) const BAD_CERTIFICATE: Reason = reason(403, "BadCertificate");
pub(super) const EXPIRED_PROVIDER_TOKEN: Reason = reason(403, "ExpiredProviderToken");
pub(super) const INVALID_PROVIDER_TOKEN: Reason = reason(403, "InvalidProviderToken");
pub(super) const MISSING_PROVIDER_TOKEN: Reason = reason(403, "MissingProviderToken");
pub(super) const BAD_PATH: Reason = reason(404, "BadPath");
pub(super) const METHOD_NOT_ALLOWED: Reason = reason(405, "MethodNotAllowed");
pub(super) const PAYLOAD_TOO_LARGE: Reason = reason(413, "PayloadTooLarge");
pub(super) const TOO_MANY_PROVIDER_TOKEN_UPDATES: Reason =
    reason(429, "TooManyProviderTokenUpdates");

/// The reason that goes with a status when a fate or fault names none.
pub(super) fn usual(status: u16) -> &'static str {
    match status {
        403 => "Forbidden",
        404 => BAD_PATH.name,
        405 => METHOD_NOT_ALLOWED.name,
        410 => "Unregistered",
        413 => PAYLOAD_TOO_LARGE.name,
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        500..=599 => "InternalServerError",
        _ => BAD_DEVICE_TOKEN.name,
    }
}
