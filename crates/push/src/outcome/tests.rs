use super::*;

fn answer(provider: Provider, status: u16, body: &str) -> Answer<'_> {
    Answer {
        provider,
        status,
        retry_after: None,
        id: Some("A-1"),
        body: body.as_bytes(),
    }
}

/// What it means, in a word and the reason.
fn means(provider: Provider, status: u16, body: &str) -> (String, String) {
    match classify(&answer(provider, status, body), 0) {
        Verdict::Final(outcome) => (outcome.name().to_owned(), outcome.reason().to_owned()),
        Verdict::RenewToken(reason) => ("renew".to_owned(), reason),
    }
}

fn apns_body(reason: &str) -> String {
    format!(r#"{{"reason":"{reason}"}}"#)
}

fn fcm_body(status: &str, code: &str) -> String {
    format!(
        r#"{{"error":{{"code":0,"message":"m","status":"{status}","details":[
            {{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"{code}"}}]}}}}"#
    )
}

#[test]
fn every_answer_of_apple_has_its_meaning() {
    for (status, reason, meaning) in [
        (400, "BadDeviceToken", "token_dead"),
        (400, "DeviceTokenNotForTopic", "token_dead"),
        (410, "Unregistered", "token_dead"),
        (410, "ExpiredToken", "token_dead"),
        (400, "BadCollapseId", "refused"),
        (400, "BadExpirationDate", "refused"),
        (400, "BadMessageId", "refused"),
        (400, "BadPriority", "refused"),
        (400, "BadTopic", "refused"),
        (400, "DuplicateHeaders", "refused"),
        (400, "IdleTimeout", "refused"),
        (400, "InvalidPushType", "refused"),
        (400, "MissingDeviceToken", "refused"),
        (400, "MissingTopic", "refused"),
        (400, "PayloadEmpty", "refused"),
        (404, "BadPath", "refused"),
        (405, "MethodNotAllowed", "refused"),
        (400, "TopicDisallowed", "unauthorized"),
        (403, "BadCertificate", "unauthorized"),
        (403, "BadCertificateEnvironment", "unauthorized"),
        (403, "Forbidden", "unauthorized"),
        (403, "InvalidProviderToken", "unauthorized"),
        (403, "MissingProviderToken", "unauthorized"),
        (403, "UnrelatedKeyIdInToken", "unauthorized"),
        (403, "BadEnvironmentKeyIdInToken", "unauthorized"),
        (403, "ExpiredProviderToken", "renew"),
        (429, "TooManyRequests", "throttled"),
        (429, "TooManyProviderTokenUpdates", "throttled"),
        (500, "InternalServerError", "unavailable"),
        (503, "ServiceUnavailable", "unavailable"),
        (503, "Shutdown", "unavailable"),
    ] {
        let wanted = (meaning.to_owned(), reason.to_owned());
        assert_eq!(means(Provider::Apns, status, &apns_body(reason)), wanted);
    }
    let too_large = means(Provider::Apns, 413, &apns_body("PayloadTooLarge"));
    assert_eq!(too_large.0, "too_large");
}

#[test]
fn every_answer_of_google_has_its_meaning() {
    for (status, general, code, meaning) in [
        (404, "NOT_FOUND", "UNREGISTERED", "token_dead"),
        (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "token_dead"),
        (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "refused"),
        (
            401,
            "UNAUTHENTICATED",
            "THIRD_PARTY_AUTH_ERROR",
            "unauthorized",
        ),
        (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "throttled"),
        (503, "UNAVAILABLE", "UNAVAILABLE", "unavailable"),
        (500, "INTERNAL", "INTERNAL", "unavailable"),
        (400, "UNSPECIFIED_ERROR", "UNSPECIFIED_ERROR", "refused"),
    ] {
        let wanted = (meaning.to_owned(), code.to_owned());
        assert_eq!(
            means(Provider::Fcm, status, &fcm_body(general, code)),
            wanted
        );
    }
    for (status, general, meaning) in [
        (401, "UNAUTHENTICATED", "renew"),
        (403, "PERMISSION_DENIED", "unauthorized"),
        (404, "NOT_FOUND", "token_dead"),
    ] {
        let body = format!(r#"{{"error":{{"status":"{general}"}}}}"#);
        let wanted = (meaning.to_owned(), general.to_owned());
        assert_eq!(means(Provider::Fcm, status, &body), wanted);
    }
}

#[test]
fn an_invalid_argument_kills_the_token_only_if_the_token_is_the_bad_field() {
    let body = |field| {
        format!(
            r#"{{"error":{{"status":"INVALID_ARGUMENT","details":[
                {{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"INVALID_ARGUMENT"}},
                {{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{{"field":"{field}"}}]}}]}}}}"#
        )
    };
    assert_eq!(
        means(Provider::Fcm, 400, &body("message.token")).0,
        "token_dead"
    );
    let other = means(Provider::Fcm, 400, &body("message.android.ttl"));
    assert_eq!(
        other,
        (
            "refused".to_owned(),
            "INVALID_ARGUMENT: message.android.ttl".to_owned()
        )
    );
}

#[test]
fn a_page_of_something_in_between_kills_no_token() {
    for body in ["", "<html>not found</html>", "[]", "{}", r#"{"error":"x"}"#] {
        assert_eq!(means(Provider::Fcm, 404, body).0, "unavailable", "{body}");
        assert_eq!(means(Provider::Apns, 404, body).0, "refused", "{body}");
    }
    assert_eq!(
        means(Provider::Fcm, 502, "<html>"),
        (
            "unavailable".into(),
            "HTTP 502: not the provider's answer".into()
        )
    );
}

#[test]
fn what_is_taken_has_the_providers_name_for_it() {
    let taken = |provider, body| classify(&answer(provider, 200, body), 0);
    let accepted = |id: &str| {
        Verdict::Final(Outcome::Accepted {
            provider_id: id.to_owned(),
        })
    };
    assert_eq!(taken(Provider::Apns, ""), accepted("A-1"));
    assert_eq!(
        taken(Provider::Fcm, r#"{"name":"projects/p/messages/1"}"#),
        accepted("projects/p/messages/1")
    );
}

fn wait(provider: Provider, status: u16, retry_after: Option<&str>, entropy: u64) -> u64 {
    let answer = Answer {
        retry_after,
        ..answer(provider, status, "")
    };
    let Verdict::Final(
        Outcome::Throttled { retry_after, .. } | Outcome::Unavailable { retry_after, .. },
    ) = classify(&answer, entropy)
    else {
        panic!("a wait")
    };
    u64::try_from(retry_after.as_millis()).unwrap()
}

#[test]
fn a_wait_is_the_providers_own_or_the_tables_and_up_to_half_as_long_again() {
    assert_eq!(wait(Provider::Fcm, 429, Some("7"), 5), 7_000);
    for (provider, status, base) in [
        (Provider::Fcm, 429, 60_000),
        (Provider::Fcm, 500, 10_000),
        (Provider::Fcm, 503, 10_000),
        (Provider::Apns, 429, 60_000),
        (Provider::Apns, 503, 60_000),
    ] {
        assert_eq!(wait(provider, status, None, 0), base);
        assert_eq!(
            wait(provider, status, Some("Fri, 31 Dec 1999 23:59:59 GMT"), 0),
            base
        );
        assert_eq!(wait(provider, status, None, base / 2), base + base / 2);
        assert!(wait(provider, status, None, u64::MAX) <= base + base / 2);
    }
    assert_eq!(
        wait(Provider::Fcm, 503, Some("99999999999"), 0),
        LONGEST_WAIT * 1000
    );
}

#[test]
fn a_reason_is_kept_short_and_without_control_characters() {
    let long = "x\\u0000\\n".repeat(500);
    let (_, reason) = means(Provider::Apns, 400, &apns_body(&long.replace("\\\\", "\\")));
    assert_eq!(reason, "x".repeat(REASON_CHARS));
}
