//! Credentials are for the one who asked for them: ours come off, those that answer the challenge of somebody further
//! on pass (RFC 3261 §16.6 item 1, §22.3).

use std::borrow::Cow;

use crate::message::lex::{is_lws, split_list, trim, unquote};
use crate::{Edit, HeaderName};

/// The edit without the fields of that name whose realm is among these.
pub(super) fn without<'m>(edit: Edit<'m>, header: HeaderName<'_>, realms: &[String]) -> Edit<'m> {
    edit.remove_where(header, |value| {
        realm(value).is_some_and(|realm| realms.iter().any(|ours| ours.as_bytes() == &*realm))
    })
}

/// The realm of credentials, whatever their scheme; each field holds one set of them (RFC 3261 §20.28, §20.7).
fn realm(credentials: &[u8]) -> Option<Cow<'_, [u8]>> {
    let scheme_end = credentials.iter().position(|octet| is_lws(*octet))?;
    split_list(&credentials[scheme_end..]).find_map(|field| {
        let equals = memchr::memchr(b'=', field)?;
        let (name, value) = (trim(&field[..equals]), trim(&field[equals + 1..]));
        name.eq_ignore_ascii_case(b"realm").then(|| unquote(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realm_is_read_from_any_scheme() {
        for (credentials, expected) in [
            (
                r#"Digest username="a, realm=\"x\"", Realm = "r.example", qop=auth"#,
                Some("r.example"),
            ),
            (
                r#"Digest realm="with \" quote",nc=1"#,
                Some("with \" quote"),
            ),
            ("Other realm=token", Some("token")),
            ("Bearer abc=", None),
            ("Digest", None),
            ("", None),
        ] {
            let found = realm(credentials.as_bytes())
                .map(|realm| String::from_utf8(realm.to_vec()).unwrap());
            assert_eq!(found.as_deref(), expected, "{credentials}");
        }
    }
}
