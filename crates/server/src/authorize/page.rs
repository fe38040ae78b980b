//! What people see: one page with one form, which needs no script, and nothing from anywhere else.

use super::{AUTHORIZE, clients::source, wanted::Wanted};
use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};
use std::fmt::Write;

/// How it looks.
const STYLE: &str = "\
:root{color-scheme:light dark;font:1.05rem/1.5 system-ui,sans-serif}\
main{max-width:24rem;margin:3rem auto;padding:0 1rem}\
label{display:block;margin-top:1rem}\
input,button{box-sizing:border-box;width:100%;padding:.6rem;font:inherit}\
button{margin:1.5rem 0 1rem}\
[role=alert]{border-left:.3rem solid #c00;padding-left:.7rem}";

/// The page by which somebody signs in, with what is to be said of the last attempt.
pub(super) fn sign_in(
    wanted: &Wanted<'_>,
    status: StatusCode,
    username: &str,
    says: Option<&str>,
) -> Response {
    let issuer = wanted.issuer();
    let mut page = format!(
        "<h1>Sign in to {}</h1>\n<p><strong>{}</strong> will call, write and be called as you.</p>\n",
        escaped(issuer.trim_start_matches("https://")),
        escaped(&wanted.client.name)
    );
    // Writing to a string does not fail.
    if let Some(says) = says {
        let _ = writeln!(page, "<p role=\"alert\" id=\"wrong\">{}</p>", escaped(says));
    }
    // Whatever brought the page, a password goes there in TLS and nowhere else.
    let action = format!("{}{AUTHORIZE}", escaped(issuer));
    let _ = writeln!(page, "<form method=\"post\" action=\"{action}\">");
    let hidden = [
        ("response_type", Some("code")),
        ("client_id", Some(&*wanted.client.id)),
        ("redirect_uri", Some(&*wanted.redirect)),
        ("state", wanted.state.as_deref()),
        ("code_challenge", Some(&*wanted.challenge)),
        ("code_challenge_method", Some("S256")),
    ];
    for (name, value) in hidden {
        if let Some(value) = value {
            let value = escaped(value);
            let _ = writeln!(
                page,
                "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"
            );
        }
    }
    let described = says.map_or("", |_| " aria-describedby=\"wrong\"");
    // The first field that is to be filled in.
    let [first, second] = if username.is_empty() {
        [" autofocus", ""]
    } else {
        ["", " autofocus"]
    };
    let username = escaped(username);
    let cancel = escaped(&wanted.cancelled());
    let _ = write!(
        page,
        "<label for=\"username\">User name</label>\n\
         <input id=\"username\" name=\"username\" value=\"{username}\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required{described}{first}>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required{described}{second}>\n\
         <button type=\"submit\">Sign in</button>\n</form>\n<p><a href=\"{cancel}\">Cancel</a></p>\n"
    );
    whole(
        status,
        &page,
        &format!("{} {}", wanted.origin(), source(&wanted.redirect)),
    )
}

/// Whoever sits there is told why nothing can be done for them. Nobody is sent anywhere.
pub(super) fn nobody(says: &str) -> Response {
    told(StatusCode::BAD_REQUEST, says)
}

/// The same for another reason.
pub(super) fn told(status: StatusCode, says: &str) -> Response {
    let page = format!(
        "<h1>You cannot sign in here</h1>\n<p>{}</p>\n",
        escaped(says)
    );
    whole(status, &page, "'none'")
}

fn whole(status: StatusCode, page: &str, form_action: &str) -> Response {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Sign in</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n{page}</main>\n</body>\n</html>\n"
    );
    guarded((status, page).into_response(), form_action)
}

/// A response that no page frames, no cache keeps, and in which nothing runs.
pub(super) fn guarded(mut response: Response, form_action: &str) -> Response {
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    );
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        // Its own form says whence it comes; nobody else learns of it.
        (REFERRER_POLICY, "same-origin"),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// As it may stand in a page.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}
