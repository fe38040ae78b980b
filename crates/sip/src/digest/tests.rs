use super::*;
use crate::Method;

const NOW: u64 = 1_800_000_000;
const REALM: &str = "reveille.example";
const ANNA: Login<'_> = Login {
    user: "anna",
    password: "Zimt & \"Zucker\"",
};

fn verifier(settings: Settings) -> Verifier {
    Verifier::new([7; 32], settings)
}

/// Looks up the one user that there is.
fn passwords(user: &str, algorithm: Algorithm) -> Option<String> {
    (user == ANNA.user).then(|| ha1(algorithm, user, REALM, ANNA.password))
}

fn register(login: Login<'_>, challenge: &Challenge, nc: u32) -> String {
    challenge.answer(
        login,
        Method::Register,
        "sip:reveille.example",
        nc,
        "c0ffee",
    )
}

fn verify<'c>(
    verifier: &Verifier,
    now: u64,
    credentials: &'c str,
) -> Result<Authenticated<'c>, Rejected> {
    verifier.verify(now, Method::Register, [credentials.as_bytes()], passwords)
}

/// The challenge that a client chooses.
fn challenge(verifier: &Verifier, salt: u64) -> Challenge {
    let values = verifier.challenge(NOW, false, salt);
    Challenge::strongest(values.iter().map(String::as_bytes)).unwrap()
}

#[test]
fn the_example_of_rfc_7616() {
    let table = [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            Algorithm::Sha256,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ];
    for (algorithm, response) in table {
        let challenge = format!(
            "Digest\r\n realm=\"http-auth@example.org\",\r\n qop=\"auth, auth-int\",\r\n algorithm={},\r\n \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\",\r\n \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
            algorithm.name()
        );
        let challenge = Challenge::parse(challenge.as_bytes()).unwrap();
        let login = Login {
            user: "Mufasa",
            password: "Circle of Life",
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let answer = challenge.answer(login, Method::Other("GET"), "/dir/index.html", 1, cnonce);
        assert!(
            answer.contains(&format!("response=\"{response}\"")),
            "{answer}"
        );
        assert!(answer.ends_with("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
    }
}

#[test]
fn a_client_that_answers_the_challenge_is_let_in() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256] {
        let server = verifier(Settings {
            algorithms: vec![algorithm],
            ..Settings::new(REALM)
        });
        let answer = register(ANNA, &challenge(&server, 1), 1);
        assert_eq!(
            verify(&server, NOW, &answer).unwrap().user,
            "anna",
            "{algorithm:?}"
        );
    }
}

#[test]
fn the_preferred_algorithm_stands_first_and_an_old_phone_may_take_the_other() {
    let server = verifier(Settings::new(REALM));
    let values = server.challenge(NOW, false, 1);
    let algorithms: Vec<_> = values
        .iter()
        .map(|value| Challenge::parse(value.as_bytes()).unwrap().algorithm)
        .collect();
    assert_eq!(algorithms, [Algorithm::Sha256, Algorithm::Md5]);
    let old = Challenge::parse(values[1].as_bytes()).unwrap();
    assert!(verify(&server, NOW, &register(ANNA, &old, 1)).is_ok());
}

#[test]
fn wrong_credentials_are_bad_whatever_the_nonce() {
    let server = verifier(Settings::new(REALM));
    let challenge = challenge(&server, 1);
    let wrong = Login {
        password: "Zimt",
        ..ANNA
    };
    let stranger = Login {
        user: "berta",
        ..ANNA
    };
    for (now, answer) in [
        (NOW, register(wrong, &challenge, 1)),
        (NOW, register(stranger, &challenge, 1)),
        (NOW + 48 * 3600, register(wrong, &challenge, 1)),
        (
            NOW,
            register(ANNA, &challenge, 1).replace("algorithm=SHA-256", "algorithm=SHA-512-256"),
        ),
    ] {
        assert_eq!(
            verify(&server, now, &answer),
            Err(Rejected::BadCredentials),
            "{answer}"
        );
    }
    assert_eq!(server.remembered(), 0, "strangers cost no memory");
}

#[test]
fn credentials_are_good_for_one_method_only() {
    let server = verifier(Settings::new(REALM));
    let answer = register(ANNA, &challenge(&server, 1), 1);
    let invite = server.verify(NOW, Method::Invite, [answer.as_bytes()], passwords);
    assert_eq!(invite, Err(Rejected::BadCredentials));
}

#[test]
fn an_old_or_foreign_nonce_with_the_right_password_is_stale() {
    let server = verifier(Settings::new(REALM));
    let old = challenge(&server, 1);
    assert_eq!(
        verify(&server, NOW + 24 * 3600 + 1, &register(ANNA, &old, 1)),
        Err(Rejected::Stale)
    );
    let foreign = challenge(&Verifier::new([8; 32], Settings::new(REALM)), 1);
    assert_eq!(
        verify(&server, NOW, &register(ANNA, &foreign, 1)),
        Err(Rejected::Stale)
    );
    let stale = server.challenge(NOW, true, 2);
    assert!(Challenge::parse(stale[0].as_bytes()).unwrap().stale);
}

#[test]
fn a_nonce_serves_again_with_a_higher_count_and_never_twice_with_one() {
    let server = verifier(Settings::new(REALM));
    let challenge = challenge(&server, 1);
    let at = |nc: u32| verify(&server, NOW + 3600, &register(ANNA, &challenge, nc)).map(|_| ());
    let table: &[(u32, Result<(), Rejected>)] = &[
        (1, Ok(())),
        (1, Err(Rejected::Replayed)),
        (3, Ok(())),
        (2, Ok(())), // UDP brings requests in any order
        (2, Err(Rejected::Replayed)),
        (3, Err(Rejected::Replayed)),
        (200, Ok(())),
        (137, Ok(())),
        (136, Err(Rejected::Replayed)), // too long ago to know
        (200, Err(Rejected::Replayed)),
    ];
    for (nc, expected) in table {
        assert_eq!(at(*nc), *expected, "nc {nc}");
    }
}

#[test]
fn memory_for_nonces_is_bounded_and_forgetting_is_safe() {
    let server = verifier(Settings {
        max_nonces: 3,
        ..Settings::new(REALM)
    });
    let answers: Vec<_> = (0..5)
        .map(|salt| register(ANNA, &challenge(&server, salt), 1))
        .collect();
    for answer in &answers {
        assert!(verify(&server, NOW, answer).is_ok());
        assert!(server.remembered() <= 3);
    }
    for answer in &answers {
        assert!(verify(&server, NOW, answer).unwrap_err().is_stale());
    }
    for salt in 0..5 {
        let next = register(ANNA, &challenge(&server, salt), 2);
        assert!(
            verify(&server, NOW, &next).is_ok(),
            "it goes on with the same nonce"
        );
    }
}

#[test]
fn as_many_phones_as_are_remembered_are_not_challenged_again() {
    let server = verifier(Settings {
        max_nonces: 500,
        ..Settings::new(REALM)
    });
    for count in 1..4 {
        for phone in 0..400 {
            let answer = register(ANNA, &challenge(&server, phone), count);
            assert!(verify(&server, NOW, &answer).is_ok());
        }
    }
}

#[test]
fn many_ask_at_once_and_each_count_is_good_once() {
    let server = verifier(Settings::new(REALM));
    let challenge = challenge(&server, 1);
    let answers: Vec<_> = (1..=40).map(|nc| register(ANNA, &challenge, nc)).collect();
    let good = || {
        answers
            .iter()
            .filter(|answer| verify(&server, NOW, answer).is_ok())
            .count()
    };
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(good)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(total, answers.len());
}

#[test]
fn old_nonces_leave_the_memory() {
    let server = verifier(Settings::new(REALM));
    let answer = register(ANNA, &challenge(&server, 1), 1);
    assert!(verify(&server, NOW, &answer).is_ok());
    let _ = verify(&server, NOW + 48 * 3600, &answer);
    assert_eq!(server.remembered(), 0);
}

#[test]
fn only_credentials_for_our_realm_count() {
    let server = verifier(Settings::new(REALM));
    let ours = register(ANNA, &challenge(&server, 1), 1);
    let elsewhere = ours.replace("realm=\"reveille.example\"", "realm=\"elsewhere.example\"");
    let none: [&[u8]; 0] = [];
    assert_eq!(
        server.verify(NOW, Method::Register, none, passwords),
        Err(Rejected::Missing)
    );
    for (value, expected) in [
        (elsewhere.as_str(), Rejected::Missing),
        ("Bearer abc", Rejected::Missing),
        ("NoOneKnowsThisScheme opaque-data=here", Rejected::Missing),
        ("Digest", Rejected::Malformed),
        ("Digest nonsense", Rejected::Malformed),
        (
            "Digest realm=\"reveille.example\", username=\"anna\"",
            Rejected::Malformed,
        ),
    ] {
        assert_eq!(verify(&server, NOW, value), Err(expected), "{value}");
    }
    let both = [elsewhere.as_bytes(), ours.as_bytes()];
    assert!(
        server
            .verify(NOW, Method::Register, both, passwords)
            .is_ok()
    );
}

#[test]
fn credentials_without_a_count_or_with_a_field_twice_are_malformed() {
    let server = verifier(Settings::new(REALM));
    let good = register(ANNA, &challenge(&server, 1), 1);
    for broken in [
        good.replace("qop=auth, ", ""),
        good.replace("qop=auth", "qop=auth-int"),
        good.replace("nc=00000001", "nc=1"),
        good.replace("nc=00000001", "nc=0000000g"),
        good.replace("nc=00000001", "nc=00000000"),
        format!("{good}, username=\"berta\""),
        good.replace("algorithm=SHA-256", "algorithm=ROT13"),
    ] {
        assert_eq!(
            verify(&server, NOW, &broken),
            Err(Rejected::Malformed),
            "{broken}"
        );
    }
}

#[test]
fn nobody_gets_in_under_a_name_that_is_not_known() {
    let server = verifier(Settings::new(REALM));
    let stranger = Login {
        user: "mallory",
        password: "",
    };
    let answer = register(stranger, &challenge(&server, 1), 1);
    // Whatever stands in for the missing HA1, an attacker may know it.
    let exchange = super::algorithm::Exchange {
        method: "REGISTER",
        uri: "sip:reveille.example",
        nonce: &challenge(&server, 1).nonce,
        nc: "00000001",
        cnonce: "c0ffee",
    };
    let (before, rest) = answer.split_once("response=\"").unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    let forged = exchange.response(Algorithm::Sha256, b"");
    let answer = format!("{before}response=\"{}\"{after}", forged.as_str());
    assert_eq!(verify(&server, NOW, &answer), Err(Rejected::BadCredentials));
}
