//! APNs' rules, one row each.

use crate::{
    client::{H2Client, base64url, ecdsa, es256, go_away_reason, unix_seconds},
    world::{DEVICE, KEY_ID, TEAM, World},
};
use domain::{Channel, Provider};
use http::request::Builder;
use lab::cloud::{ApnsTeam, DevCredentials, Environment, Fate, NewToken, TokenMode};
use ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use serde_json::json;

const PATH: &str = "/3/device/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const CALL: &str = r#"{"kind":"call","call":"c1"}"#;
const ALERT: &str = r#"{"aps":{"alert":"hello"}}"#;

type Headers<'a> = &'a [(&'a str, &'a str)];

fn bearer(token: &str) -> String {
    format!("bearer {token}")
}

/// A good push to the message channel.
fn alert(client: &H2Client, token: &str) -> Builder {
    client
        .post(PATH)
        .header("authorization", bearer(token))
        .header("apns-topic", "com.example.phone")
        .header("apns-push-type", "alert")
}

/// A push with nothing but these headers.
fn push(client: &H2Client, token: &str, headers: Headers<'_>) -> Builder {
    let request = client.post(PATH).header("authorization", bearer(token));
    headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    })
}

#[tokio::test]
async fn a_good_push_is_accepted_and_written_down() {
    let world = World::new().await;
    let mut client = world.apns().await;
    let id = "6F9619FF-8B86-D011-B42D-00C04FC964FF";
    let request = push(
        &client,
        &world.provider_token(0),
        &[
            ("apns-topic", "com.example.phone.voip"),
            ("apns-push-type", "voip"),
            ("apns-priority", "10"),
            ("apns-expiration", "0"),
            ("apns-collapse-id", "one"),
            ("apns-id", id),
        ],
    );
    let answer = client.send(request, CALL).await;
    assert_eq!(
        (answer.status, &answer.headers["apns-id"]),
        (200, &id.parse().unwrap())
    );

    let written = serde_json::to_value(world.last_record()).unwrap();
    assert_eq!(written["provider"], "apns");
    assert_eq!(written["token"], DEVICE);
    assert_eq!(written["topic"], "com.example.phone.voip");
    assert_eq!(written["type"], "voip");
    assert_eq!(written["priority"], "10");
    assert_eq!(written["expiration"], "0");
    assert_eq!(written["collapse_id"], "one");
    assert_eq!(written["payload"]["call"], "c1");
    assert_eq!(written["answer"], json!({ "status": 200, "id": id }));
    assert_eq!(written["seq"], 1);
    assert!(written["headers"].get("authorization").is_none());
    assert!(written.get("violations").is_none());
}

#[tokio::test]
async fn an_id_is_made_up_for_a_push_without_one() {
    let world = World::new().await;
    let mut client = world.apns().await;
    let request = alert(&client, &world.provider_token(0));
    let answer = client.send(request, ALERT).await;
    assert_eq!(answer.headers["apns-id"].len(), 36);
}

#[tokio::test]
async fn headers_and_payload_are_held_to_the_rules() {
    let world = World::new().await;
    let mut client = world.apns().await;
    let token = world.provider_token(0);
    let topic = ("apns-topic", "com.example.phone");
    let voip_topic = ("apns-topic", "com.example.phone.voip");
    let kind = |kind| ("apns-push-type", kind);
    let priority = |priority| ("apns-priority", priority);
    let long_id = "x".repeat(65);
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(4096 - 8));
    let too_large = format!("{{\"a\":\"{}\"}}", "x".repeat(4096 - 7));
    let voip_fits = format!("{{\"a\":\"{}\"}}", "x".repeat(5120 - 8));
    let voip_too_large = format!("{{\"a\":\"{}\"}}", "x".repeat(5120 - 7));
    let huge = "x".repeat(200_000);
    #[rustfmt::skip]
    let rows: &[(Headers<'_>, &str, u16, &str)] = &[
        (&[topic, kind("alert")], ALERT, 200, ""),
        (&[topic], ALERT, 200, ""),
        (&[voip_topic], CALL, 200, ""),
        (&[kind("alert")], ALERT, 400, "MissingTopic"),
        (&[("apns-topic", ""), kind("alert")], ALERT, 400, "MissingTopic"),
        (&[("apns-topic", "no topic"), kind("alert")], ALERT, 400, "BadTopic"),
        (&[("apns-topic", "com.other.app"), kind("alert")], ALERT, 400, "TopicDisallowed"),
        (&[topic, kind("voip")], CALL, 400, "BadTopic"),
        (&[voip_topic, kind("alert")], ALERT, 400, "BadTopic"),
        (&[voip_topic, kind("background")], ALERT, 400, "BadTopic"),
        (&[topic, kind("shout")], ALERT, 400, "InvalidPushType"),
        (&[topic, kind("background"), priority("5")], ALERT, 200, ""),
        (&[topic, kind("background"), priority("10")], ALERT, 400, "BadPriority"),
        (&[topic, kind("background")], ALERT, 400, "BadPriority"),
        (&[topic, kind("alert"), priority("1")], ALERT, 200, ""),
        (&[topic, kind("alert"), priority("7")], ALERT, 400, "BadPriority"),
        (&[topic, kind("alert"), priority("high")], ALERT, 400, "BadPriority"),
        (&[topic, ("apns-expiration", "1700000000")], ALERT, 200, ""),
        (&[topic, ("apns-expiration", "soon")], ALERT, 400, "BadExpirationDate"),
        (&[topic, ("apns-expiration", "-1")], ALERT, 400, "BadExpirationDate"),
        (&[topic, ("apns-collapse-id", &long_id[1..])], ALERT, 200, ""),
        (&[topic, ("apns-collapse-id", &long_id)], ALERT, 400, "BadCollapseId"),
        (&[topic, ("apns-id", "one")], ALERT, 400, "BadMessageId"),
        (&[topic, topic], ALERT, 400, "DuplicateHeaders"),
        (&[topic], "", 400, "PayloadEmpty"),
        (&[topic], "not JSON", 400, "BadPayload"),
        (&[topic], "[1]", 400, "BadPayload"),
        (&[topic], &fits, 200, ""),
        (&[topic], &too_large, 413, "PayloadTooLarge"),
        (&[voip_topic, kind("voip")], &voip_fits, 200, ""),
        (&[voip_topic, kind("voip")], &voip_too_large, 413, "PayloadTooLarge"),
        (&[topic], &huge, 413, "PayloadTooLarge"),
    ];
    for (headers, body, status, reason) in rows {
        let request = push(&client, &token, headers);
        let answer = client.send(request, (*body).to_owned()).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (*status, *reason),
            "{headers:?}"
        );
        assert!(answer.headers.contains_key("apns-id"));
        let written = world.last_record().answer.unwrap();
        assert_eq!(written.status, *status);
        assert_eq!(written.reason.unwrap_or_default(), *reason);
    }
}

#[tokio::test]
async fn method_and_path_are_held_to_the_rules() {
    let world = World::new().await;
    let mut client = world.apns().await;
    let token = world.provider_token(0);
    #[rustfmt::skip]
    let rows = [
        ("POST", PATH, 200, ""),
        ("GET", PATH, 405, "MethodNotAllowed"),
        ("POST", "/3/devices/00", 404, "BadPath"),
        ("POST", "/3/device/00/11", 404, "BadPath"),
        ("POST", "/3/device/", 400, "MissingDeviceToken"),
        ("POST", "/3/device/no-hex", 400, "BadDeviceToken"),
        ("POST", "/3/device/00112233", 400, "BadDeviceToken"),
    ];
    for (method, path, status, reason) in rows {
        let request = client
            .post(path)
            .method(method)
            .header("authorization", bearer(&token))
            .header("apns-topic", "com.example.phone");
        let answer = client.send(request, ALERT).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (status, reason),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn provider_tokens_are_held_to_the_rules() {
    let world = World::new().await;
    let key = world.keys.apns_key_pem();
    let header = json!({ "alg": "ES256", "kid": KEY_ID });
    let claims = json!({ "iss": TEAM, "iat": unix_seconds() });
    let good = es256(key, &header, &claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    #[rustfmt::skip]
    let rows = [
        ("good", Some(bearer(&good)), 200, ""),
        ("upper-case scheme", Some(format!("Bearer {good}")), 200, ""),
        ("none", None, 403, "MissingProviderToken"),
        ("empty", Some("bearer ".into()), 403, "MissingProviderToken"),
        ("basic", Some("basic YTpi".into()), 403, "MissingProviderToken"),
        ("no JWT", Some("bearer abc".into()), 403, "InvalidProviderToken"),
        ("padded", Some(format!("bearer {good}=")), 403, "InvalidProviderToken"),
        (
            "another's signature",
            Some(bearer(&es256(
                DevCredentials::new().apns_key_pem(),
                &header,
                &claims,
            ))),
            403,
            "InvalidProviderToken",
        ),
        (
            "DER signature",
            Some(bearer(&ecdsa(
                key,
                &header,
                &claims,
                &ECDSA_P256_SHA256_ASN1_SIGNING,
            ))),
            403,
            "InvalidProviderToken",
        ),
        (
            "changed claims",
            Some(format!(
                "bearer {}.{}.{signature}",
                signed.split_once('.').unwrap().0,
                base64url(json!({ "iss": TEAM, "iat": unix_seconds() + 1 }).to_string())
            )),
            403,
            "InvalidProviderToken",
        ),
        ("no kid", Some(bearer(&world.signed(&json!({ "alg": "ES256" }), &claims))), 403, "InvalidProviderToken"),
        (
            "unknown kid",
            Some(bearer(&world.signed(
                &json!({ "alg": "ES256", "kid": "OTHER00000" }),
                &claims,
            ))),
            403,
            "InvalidProviderToken",
        ),
        (
            "unknown team",
            Some(bearer(&world.signed(
                &header,
                &json!({ "iss": "TEAM000000", "iat": unix_seconds() }),
            ))),
            403,
            "InvalidProviderToken",
        ),
        (
            "another algorithm",
            Some(bearer(
                &world.signed(&json!({ "alg": "none", "kid": KEY_ID }), &claims),
            )),
            403,
            "InvalidProviderToken",
        ),
        ("no iat", Some(bearer(&world.signed(&header, &json!({ "iss": TEAM })))), 403, "InvalidProviderToken"),
        (
            "fractional iat",
            Some(bearer(
                &world.signed(&header, &json!({ "iss": TEAM, "iat": 1.5 })),
            )),
            403,
            "InvalidProviderToken",
        ),
        (
            "from the future",
            Some(bearer(&world.signed(
                &header,
                &json!({ "iss": TEAM, "iat": unix_seconds() + 3600 }),
            ))),
            403,
            "InvalidProviderToken",
        ),
        ("59 minutes old", Some(bearer(&world.provider_token(59 * 60))), 200, ""),
        ("61 minutes old", Some(bearer(&world.provider_token(61 * 60))), 403, "ExpiredProviderToken"),
    ];
    for (what, authorization, status, reason) in rows {
        // A new connection each: one connection may not change its token so often.
        let mut client = world.apns().await;
        let mut request = client.post(PATH).header("apns-topic", "com.example.phone");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = client.send(request, ALERT).await;
        assert_eq!((answer.status, answer.reason()), (status, reason), "{what}");
    }
}

#[tokio::test]
async fn a_connection_takes_a_new_provider_token_after_twenty_minutes_and_not_before() {
    let world = World::new().await;
    let mut client = world.apns().await;
    #[rustfmt::skip]
    let rows = [
        (50 * 60, 200, ""),
        (31 * 60, 429, "TooManyProviderTokenUpdates"),
        (29 * 60, 200, ""),
        (0, 200, ""),
    ];
    for (age, status, reason) in rows {
        let request = alert(&client, &world.provider_token(age));
        let answer = client.send(request, ALERT).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (status, reason),
            "{age} s old"
        );
    }
}

#[tokio::test]
async fn a_connection_serves_one_team() {
    let other = DevCredentials::new();
    let world = World::with(|config| {
        let mut theirs = lab::cloud::CloudConfig::dev(&config.ca, &other).apns_teams;
        let ApnsTeam { team, apps, .. } = &mut theirs[0];
        "OTHER12345".clone_into(team);
        apps.truncate(1);
        "com.other.app".clone_into(&mut apps[0].bundle);
        config.apns_teams.append(&mut theirs);
    })
    .await;
    let theirs = es256(
        other.apns_key_pem(),
        &json!({ "alg": "ES256", "kid": KEY_ID }),
        &json!({ "iss": "OTHER12345", "iat": unix_seconds() }),
    );
    let headers = [("apns-topic", "com.other.app"), ("apns-push-type", "alert")];

    let mut client = world.apns().await;
    let request = push(&client, &theirs, &headers);
    assert_eq!(client.send(request, ALERT).await.status, 200);
    let request = alert(&client, &world.provider_token(0));
    let answer = client.send(request, ALERT).await;
    assert_eq!(
        (answer.status, answer.reason()),
        (403, "InvalidProviderToken")
    );

    // And a team pushes to its own apps only.
    let mut client = world.apns().await;
    let request = push(&client, &world.provider_token(0), &headers);
    let answer = client.send(request, ALERT).await;
    assert_eq!((answer.status, answer.reason()), (400, "TopicDisallowed"));
}

#[tokio::test]
async fn one_stream_only_until_a_valid_token_was_seen() {
    let world = World::new().await;
    let mut client = world.apns().await;
    let token = world.provider_token(0);

    // Without waiting for SETTINGS, as clients that lose their first burst do.
    let burst: Vec<_> = (0..20)
        .map(|_| client.start(alert(&client, &token), ALERT))
        .collect();
    let (mut accepted, mut refused) = (0, 0);
    for answer in burst {
        match answer.await {
            Ok(answer) => accepted += usize::from(answer.status == 200),
            Err(error) => {
                assert_eq!(error.reason(), Some(h2::Reason::REFUSED_STREAM), "{error}");
                refused += 1;
            }
        }
    }
    assert!(
        accepted >= 1 && refused >= 1,
        "{accepted} accepted, {refused} refused"
    );
    assert_eq!(accepted + refused, 20);

    // Authorised now, the same burst goes through.
    assert_eq!(client.send(alert(&client, &token), ALERT).await.status, 200);
    client.until_streams_allowed(1000).await;
    let burst: Vec<_> = (0..100)
        .map(|_| client.start(alert(&client, &token), ALERT))
        .collect();
    for answer in burst {
        assert_eq!(answer.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_refused_token_does_not_raise_the_number_of_streams() {
    let world = World::new().await;
    let mut client = world.apns().await;
    for _ in 0..3 {
        let request = alert(&client, &world.provider_token(2 * 3600));
        assert_eq!(client.send(request, ALERT).await.status, 403);
        assert_eq!(client.streams_allowed(), 1);
    }
}

#[tokio::test]
async fn many_bad_tokens_in_a_row_end_the_connection() {
    let world = World::with(|config| config.limits.bad_tokens_in_a_row = 3).await;
    let mut client = world.apns().await;
    let token = world.provider_token(0);
    let bad = |client: &H2Client| {
        client
            .post("/3/device/0011")
            .header("authorization", bearer(&token))
            .header("apns-topic", "com.example.phone")
    };
    // A good one between them starts the count anew.
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(client.send(bad(&client), ALERT).await.status, 400);
        }
        assert_eq!(client.send(alert(&client, &token), ALERT).await.status, 200);
    }
    for _ in 0..3 {
        let answer = client.send(bad(&client), ALERT).await;
        assert_eq!(answer.reason(), "BadDeviceToken");
    }
    client.end().await.unwrap();
    let refused = client
        .try_send(alert(&client, &token), ALERT)
        .await
        .unwrap_err();
    assert!(refused.is_go_away() || refused.is_io(), "{refused}");
}

#[tokio::test]
async fn a_registered_token_is_good_for_its_own_app_channel_and_environment() {
    let world = World::new().await;
    let register = |app: &str, channel, environment| {
        let new = NewToken {
            provider: Provider::Apns,
            app: app.into(),
            token: None,
            channel,
            environment,
        };
        world.handle().register_token(new).unwrap()
    };
    let phone = register("com.example.phone", None, None);
    let voip = register("com.example.phone.voip", None, None);
    let message = register("com.example.phone", Some(Channel::Message), None);
    let sandbox = register("com.example.phone", None, Some(Environment::Sandbox));
    let other = register("com.example.jabber", None, None);
    #[rustfmt::skip]
    let rows = [
        (&phone, "com.example.phone", 200, ""),
        (&phone, "com.example.phone.voip", 200, ""),
        (&voip, "com.example.phone.voip", 200, ""),
        (&voip, "com.example.phone", 400, "DeviceTokenNotForTopic"),
        (&message, "com.example.phone", 200, ""),
        (&message, "com.example.phone.voip", 400, "DeviceTokenNotForTopic"),
        (&other, "com.example.phone", 400, "DeviceTokenNotForTopic"),
        (&sandbox, "com.example.phone", 400, "BadDeviceToken"),
    ];
    let mut client = world.apns().await;
    let token = world.provider_token(0);
    for (device, topic, status, reason) in rows {
        // Apple reads tokens as hexadecimal: their case does not count.
        let request = client
            .post(&format!("/3/device/{}", device.to_uppercase()))
            .header("authorization", bearer(&token))
            .header("apns-topic", topic);
        let answer = client.send(request, ALERT).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (status, reason),
            "{topic}"
        );
    }
    let mut client = world.apns().await.for_host("api.sandbox.push.apple.com");
    let request = client
        .post(&format!("/3/device/{sandbox}"))
        .header("authorization", bearer(&token))
        .header("apns-topic", "com.example.phone");
    assert_eq!(client.send(request, ALERT).await.status, 200);
}

#[tokio::test]
async fn with_known_tokens_only_others_are_bad() {
    let world = World::new().await;
    let mut client = world.apns().await;
    let token = world.provider_token(0);
    world.handle().set_token_mode(TokenMode::Known);
    let answer = client.send(alert(&client, &token), ALERT).await;
    assert_eq!((answer.status, answer.reason()), (400, "BadDeviceToken"));
    let new = NewToken {
        provider: Provider::Apns,
        app: "com.example.phone".into(),
        token: Some(DEVICE.into()),
        channel: None,
        environment: None,
    };
    world.handle().register_token(new).unwrap();
    assert_eq!(client.send(alert(&client, &token), ALERT).await.status, 200);
}

#[tokio::test]
async fn a_token_meets_its_fate_as_often_as_ordered() {
    let world = World::new().await;
    let mut client = world.apns().await;
    let token = world.provider_token(0);
    let before = unix_seconds() * 1000;
    let fate = |status, reason: Option<&str>, count| Fate {
        status,
        reason: reason.map(str::to_owned),
        count,
        timestamp: None,
    };
    world
        .handle()
        .set_fate(DEVICE, fate(410, None, Some(1)))
        .unwrap();
    let answer = client.send(alert(&client, &token), ALERT).await;
    assert_eq!((answer.status, answer.reason()), (410, "Unregistered"));
    let since = answer.body["timestamp"].as_u64().unwrap();
    assert!(
        (before..=unix_seconds() * 1000 + 1000).contains(&since),
        "milliseconds: {since}"
    );
    assert_eq!(client.send(alert(&client, &token), ALERT).await.status, 200);

    world
        .handle()
        .set_fate(DEVICE, fate(500, Some("Whatever"), None))
        .unwrap();
    for _ in 0..3 {
        let answer = client.send(alert(&client, &token), ALERT).await;
        assert_eq!((answer.status, answer.reason()), (500, "Whatever"));
    }
    world
        .handle()
        .set_fate(DEVICE, fate(200, None, None))
        .unwrap();
    assert_eq!(client.send(alert(&client, &token), ALERT).await.status, 200);
    assert!(
        world
            .handle()
            .set_fate(DEVICE, fate(302, None, None))
            .is_err()
    );
}

#[tokio::test]
async fn what_the_device_would_take_amiss_is_marked() {
    let world = World::new().await;
    let mut client = world.apns().await;
    let token = world.provider_token(0);
    let voip = |app| [("apns-topic", app), ("apns-push-type", "voip")];
    let background = [
        ("apns-topic", "com.example.phone"),
        ("apns-push-type", "background"),
        ("apns-priority", "5"),
    ];
    let dual = voip("com.example.phone.voip");
    let single = voip("com.example.phone12.voip");
    let message = [
        ("apns-topic", "com.example.phone"),
        ("apns-push-type", "alert"),
    ];
    #[rustfmt::skip]
    let rows: &[(Headers<'_>, &str, &str)] = &[
        (&dual, CALL, ""),
        (&dual, r#"{"call":"c1"}"#, ""),
        (&dual, r#"{"kind":"message"}"#, "kill the app"),
        (&dual, r#"{"kind":"missed_call","call":"c1"}"#, "kill the app"),
        (&dual, r#"{"call":""}"#, "kill the app"),
        (&single, r#"{"kind":"message"}"#, ""),
        (&message, ALERT, ""),
        (&message, r#"{"aps":{}}"#, "nothing is shown"),
        (&message[..1], ALERT, "apns-push-type"),
        (&background, r#"{"aps":{"content-available":1}}"#, ""),
        (&background, r#"{"aps":{}}"#, "not woken"),
    ];
    for (headers, body, violation) in rows {
        let request = push(&client, &token, headers);
        assert_eq!(client.send(request, (*body).to_owned()).await.status, 200);
        let found = world.last_record().violations.join("; ");
        assert_eq!(found.is_empty(), violation.is_empty(), "{body}: {found}");
        assert!(found.contains(violation), "{body}: {found}");
    }
}

#[tokio::test]
async fn the_clouds_say_goodbye_when_they_shut_down() {
    let world = World::new().await;
    let mut client = world.apns().await;
    let token = world.provider_token(0);
    assert_eq!(client.send(alert(&client, &token), ALERT).await.status, 200);
    world.clouds.shutdown().await;
    client.end().await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_the_reason() {
    let world =
        World::with(|config| config.limits.idle = std::time::Duration::from_millis(50)).await;
    let mut client = world.apns().await;
    client.end().await.unwrap();
    let refused = client
        .try_send(alert(&client, ""), ALERT)
        .await
        .unwrap_err();
    assert!(
        go_away_reason(&refused).contains("IdleTimeout"),
        "{refused}"
    );
}
