//! Signing in by a page of ours (RFC 6749 §4.1, with PKCE, RFC 7636): which clients may have their users sign in so, what they ask, and
//! what they are told. Pure: who is signed in, [`crate::api`] knows.

mod clients;
mod page;
mod wanted;

pub(crate) use clients::Clients;
pub(crate) use wanted::{Bound, brings_code};

use crate::form;
use axum::{
    extract::Query,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header::LOCATION, header::ORIGIN},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use wanted::{Asked, No, Wanted};

/// Where the page is.
pub(crate) const AUTHORIZE: &str = "/oauth/authorize";

/// Who signs in, and for which client. Not to be written down: it has a password.
pub(crate) struct SigningIn<'a> {
    wanted: Wanted<'a>,
    pub(crate) username: String,
    pub(crate) password: String,
}

/// The page for what a client asks, or what it is told, or whoever sits there.
pub(crate) fn shown(clients: &Clients, uri: &Uri) -> Response {
    let Ok(Query(asked)) = Query::<Asked>::try_from_uri(uri) else {
        return page::nobody("This link makes no sense: something in it stands there twice.");
    };
    match clients.wanted(asked) {
        Ok(wanted) => page::sign_in(&wanted, StatusCode::OK, "", None),
        Err(no) => told(no),
    }
}

/// There is no page here, and why.
pub(crate) fn not_here() -> Response {
    page::told(
        StatusCode::FORBIDDEN,
        "From here nobody can sign in by a password. Sign in while you are in the network of your organisation; from then on it works everywhere.",
    )
}

/// What its form says is not looked at now, and why.
pub(crate) fn not_now(status: StatusCode) -> Response {
    page::told(
        status,
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                "Too many sign in at the moment. Wait a minute, and begin anew in your app."
            }
            _ => "The form makes no sense. Go back to your app and begin anew.",
        },
    )
}

/// What the page's form says.
///
/// # Errors
/// Another page has sent it, or it makes no sense: the answer to that.
pub(crate) fn submitted<'a>(
    clients: &'a Clients,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<SigningIn<'a>, Box<Response>> {
    // Browsers say from which page a form comes; one that does not say so is none of those that people use.
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    if origin != Some(clients.origin.as_bytes()) {
        clients.is_sent_from(origin.unwrap_or_default());
        return Err(Box::new(page::nobody(
            "This form was not sent by our own page. Go back to your app and begin anew.",
        )));
    }
    let senseless = || {
        Box::new(page::nobody(
            "The form makes no sense. Go back to your app and begin anew.",
        ))
    };
    let asked = form::said::<Asked>(headers, body).ok_or_else(senseless)?;
    let form = form::said::<Form>(headers, body).ok_or_else(senseless)?;
    Ok(SigningIn {
        wanted: clients.wanted(asked).map_err(|no| Box::new(told(no)))?,
        username: form.username.trim().to_owned(),
        password: form.password,
    })
}

/// What a person has filled in.
#[derive(Deserialize)]
struct Form {
    username: String,
    password: String,
}

impl SigningIn<'_> {
    /// What the code is bound to.
    pub(crate) fn bound(&self) -> Bound {
        self.wanted.bound()
    }

    /// The client gets its code.
    pub(crate) fn granted(&self, code: &str) -> Response {
        sent(&self.wanted.granted(code))
    }

    /// The page once more, since that did not sign anybody in.
    pub(crate) fn again(&self, status: StatusCode) -> Response {
        let says = match status {
            StatusCode::BAD_REQUEST => "That user name and password do not belong together.",
            StatusCode::TOO_MANY_REQUESTS => {
                "There were too many wrong passwords. Wait some minutes, and try again."
            }
            _ => "The server cannot sign you in at the moment. Try again in a minute.",
        };
        // So a browser does not ask to keep the password.
        let status = match status {
            StatusCode::BAD_REQUEST => StatusCode::FORBIDDEN,
            other => other,
        };
        page::sign_in(&self.wanted, status, &self.username, Some(says))
    }
}

fn told(no: No) -> Response {
    match no {
        No::Nobody(says) => page::nobody(says),
        No::Back(to) => sent(&to),
    }
}

/// A browser goes there by GET, whatever brought it here.
fn sent(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => {
            let mut response = StatusCode::SEE_OTHER.into_response();
            response.headers_mut().insert(LOCATION, to);
            page::guarded(response, "'none'")
        }
        Err(_) => page::nobody("The app wants you sent to a place that cannot be."),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        wanted::{LONGEST_STATE, encode},
        *,
    };
    use crate::config::{Client, Config, Words};
    use axum::{
        body::to_bytes,
        http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    };

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn clients() -> Clients {
        let mut config = Config::default();
        "https://sip.example.org".clone_into(&mut config.oauth.issuer);
        config.oauth.client = vec![Client {
            id: "app".to_owned(),
            name: "<App>".to_owned(),
            redirect_uris: Words::of(&["org.example.app:/in", "http://127.0.0.1/in?a=b"]),
        }];
        Clients::of(&config).unwrap()
    }

    /// All that is asked well, with this in the place of what it says.
    fn asked(other: &[(&str, Option<&str>)]) -> String {
        let mut all = vec![
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", "org.example.app:/in"),
            ("state", "a&b=<\"c"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in other {
            all.retain(|(known, _)| known != name);
            all.extend(value.map(|value| (*name, value)));
        }
        let mut query = String::new();
        for (name, value) in all {
            query.push_str(if query.is_empty() { "" } else { "&" });
            query.push_str(name);
            query.push('=');
            encode(&mut query, value);
        }
        query
    }

    fn answer(query: &str) -> Response {
        let uri = format!("{AUTHORIZE}?{query}").parse().unwrap();
        shown(&clients(), &uri)
    }

    fn to(response: &Response) -> Option<&str> {
        response.headers().get(LOCATION)?.to_str().ok()
    }

    async fn text(response: Response) -> String {
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_page_says_for_whom_and_runs_and_frames_nothing() {
        let response = answer(&asked(&[]));
        assert_eq!(response.status(), StatusCode::OK);
        let policy = response.headers()[CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "form-action https://sip.example.org org.example.app:;",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-frame-options"], "DENY");
        let page = text(response).await;
        assert!(page.contains("<strong>&lt;App&gt;</strong>"), "{page}");
        assert!(
            page.contains("name=\"state\" value=\"a&amp;b=&lt;&quot;c\""),
            "{page}"
        );
        // Whatever name or scheme brought the page.
        let action = "<form method=\"post\" action=\"https://sip.example.org/oauth/authorize\">";
        assert!(page.contains(action), "{page}");
        assert!(!page.contains("<script"));
    }

    #[test]
    fn nobody_is_sent_to_where_no_app_is_known_to_be() {
        for other in [
            ("client_id", Some("other")),
            ("client_id", None),
            ("redirect_uri", Some("https://evil.example/")),
            ("redirect_uri", Some("org.example.app:/in/other")),
            ("redirect_uri", None),
        ] {
            let response = answer(&asked(&[other]));
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{other:?}");
            assert_eq!(to(&response), None, "{other:?}");
        }
        let twice = asked(&[]) + "&redirect_uri=https%3A%2F%2Fevil.example%2F";
        assert_eq!(to(&answer(&twice)), None);
    }

    #[test]
    fn what_else_is_wrong_is_told_to_the_app_with_who_says_so() {
        for (other, error) in [
            (
                ("response_type", Some("token")),
                "unsupported_response_type",
            ),
            (("response_type", None), "invalid_request"),
            (("response_mode", Some("fragment")), "invalid_request"),
            (("code_challenge", None), "invalid_request"),
            (("code_challenge", Some("short")), "invalid_request"),
            (("code_challenge_method", Some("plain")), "invalid_request"),
            (("code_challenge_method", None), "invalid_request"),
        ] {
            let response = answer(&asked(&[other]));
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
            let expected = format!(
                "org.example.app:/in?error={error}&state=a%26b%3D%3C%22c&iss=https%3A%2F%2Fsip.example.org"
            );
            assert_eq!(to(&response), Some(&*expected), "{other:?}");
        }
        let long = "x".repeat(LONGEST_STATE + 1);
        let response = answer(&asked(&[("state", Some(&long))]));
        let expected =
            "org.example.app:/in?error=invalid_request&iss=https%3A%2F%2Fsip.example.org";
        assert_eq!(to(&response), Some(expected));
    }

    #[test]
    fn a_form_of_another_page_is_none_and_ours_brings_the_code_to_the_app() {
        let clients = clients();
        let body = asked(&[("redirect_uri", Some("http://127.0.0.1:8000/in?a=b"))])
            + "&username=+alice+&password=a%26b";
        let sends = |origin: Option<&'static str>, body: &str| {
            let mut headers = HeaderMap::new();
            let kind = "application/x-www-form-urlencoded";
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.extend(origin.map(|it| (ORIGIN, HeaderValue::from_static(it))));
            submitted(&clients, &headers, body.as_bytes())
        };
        for other in [
            None,
            Some("null"),
            Some("https://evil.example"),
            Some("https://sip.example.org:444"),
        ] {
            let response = sends(other, &body).err().unwrap();
            assert_eq!(
                (response.status(), to(&response)),
                (StatusCode::BAD_REQUEST, None)
            );
        }
        let ours = Some("https://sip.example.org");
        assert!(sends(ours, &asked(&[])).is_err(), "nobody has filled it in");
        let signing_in = sends(ours, &body).unwrap();
        assert_eq!(
            (&*signing_in.username, &*signing_in.password),
            ("alice", "a&b")
        );
        let response = signing_in.granted("c.o.d-e");
        let expected = "http://127.0.0.1:8000/in?a=b&code=c.o.d-e&state=a%26b%3D%3C%22c&iss=https%3A%2F%2Fsip.example.org";
        assert_eq!(to(&response), Some(expected));
        assert!(brings_code(expected.as_bytes()));
        assert!(!brings_code(b"org.example.app:/in?error=x&state=code%3D"));
        let again = signing_in.again(StatusCode::BAD_REQUEST);
        assert_eq!((again.status(), to(&again)), (StatusCode::FORBIDDEN, None));
    }

    #[test]
    fn a_code_is_for_its_client_where_that_was_and_with_what_it_knows() {
        // RFC 7636, Appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let bound = Bound {
            client: "app".to_owned(),
            redirect: "org.example.app:/in".to_owned(),
            challenge: CHALLENGE.to_owned(),
        };
        let (client, redirect) = ("app", "org.example.app:/in");
        assert!(bound.is_of(client, redirect, verifier));
        assert!(!bound.is_of("other", redirect, verifier));
        assert!(!bound.is_of(client, "org.example.app:/other", verifier));
        assert!(!bound.is_of(client, redirect, &verifier.replace('d', "e")));
        assert!(!bound.is_of(client, redirect, CHALLENGE));
        assert!(!bound.is_of(client, redirect, ""));
    }
}
