//! What clients and browsers say in the body of a request: a form, as OAuth has it (RFC 6749 §4.3.2, §6), or JSON, as the rest of the
//! API.

use axum::{
    extract::Query,
    http::{HeaderMap, Uri, header::CONTENT_TYPE},
};
use serde::de::DeserializeOwned;

/// What a request says, as a form or as JSON; nothing if it is neither.
pub(crate) fn said<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Option<T> {
    let kind = headers
        .get(CONTENT_TYPE)
        .map(axum::http::HeaderValue::as_bytes);
    if !kind.is_some_and(|it| it.starts_with(b"application/x-www-form-urlencoded")) {
        return serde_json::from_slice(body).ok();
    }
    // Nothing of a form is a fragment.
    let form = std::str::from_utf8(body).ok()?.replace('#', "%23");
    let uri = format!("/?{form}");
    let uri: Uri = uri.parse().ok()?;
    let Query(said) = Query::try_from_uri(&uri).ok()?;
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_form_says_the_same_as_json() {
        let read = |kind: &'static str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            said::<BTreeMap<String, String>>(&headers, body)
        };
        let expected = BTreeMap::from([("password".to_owned(), "a&b #+\u{e9}%".to_owned())]);
        let json = "{\"password\": \"a&b #+\u{e9}%\"}";
        assert_eq!(
            read("application/json", json.as_bytes()),
            Some(expected.clone())
        );
        let form = b"password=a%26b+%23%2B%C3%A9%25";
        let as_is = b"password=a%26b+#%2B%C3%A9%25";
        for kind in [
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded; charset=utf-8",
        ] {
            assert_eq!(read(kind, form), Some(expected.clone()), "{kind}");
            assert_eq!(read(kind, as_is), Some(expected.clone()), "{kind}");
        }
        assert_eq!(read("application/json", form), None);
        assert_eq!(read("application/x-www-form-urlencoded", &[0xff]), None);
    }
}
