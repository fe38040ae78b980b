//! Header fields as what they mean, read on demand. Each view fails alone: a malformed header field hides no other.

use super::lex::{number, split_list, trim};
use crate::{HeaderError, HeaderName, Message, Method, NameAddr, Via};

/// The value of CSeq (RFC 3261 §20.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Below 2³¹ (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method of the request.
    pub method: Method<'a>,
}

/// The values of all Contact fields (RFC 3261 §20.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contacts<'a> {
    /// `*`: all bindings, in a REGISTER that removes them.
    Star,
    /// Addresses, in order; none if there is no Contact field.
    List(Vec<NameAddr<'a>>),
}

/// Largest sequence number (RFC 3261 §8.1.1.5: below 2³¹).
const MAX_CSEQ: u32 = (1 << 31) - 1;

impl Message {
    /// The first value of Via.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn top_via(&self) -> Result<Via<'_>, HeaderError> {
        self.vias()
            .next()
            .unwrap_or(Err(HeaderError::missing("Via")))
    }

    /// All values of Via, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, HeaderError>> {
        self.values(HeaderName::Via)
            .map(|value| Via::parse(value).ok_or(HeaderError::malformed("Via")))
    }

    /// From (RFC 3261 §20.20).
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn from(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.address(HeaderName::From)
    }

    /// To (RFC 3261 §20.39).
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn to(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.address(HeaderName::To)
    }

    /// The tag of From; `None` also if it has none (RFC 3261 §19.3). Nothing else of it is read.
    pub fn from_tag(&self) -> Option<&str> {
        NameAddr::params_of(self.header(HeaderName::From)?)?.get("tag")
    }

    /// The tag of To, likewise.
    pub fn to_tag(&self) -> Option<&str> {
        NameAddr::params_of(self.header(HeaderName::To)?)?.get("tag")
    }

    /// Call-ID, compared octet for octet (RFC 3261 §20.8).
    ///
    /// # Errors
    /// Missing; or malformed: empty, with blanks, or not UTF-8.
    pub fn call_id(&self) -> Result<&str, HeaderError> {
        let value = self.required(HeaderName::CallId)?;
        std::str::from_utf8(value)
            .ok()
            .filter(|id| !id.is_empty() && !id.bytes().any(super::lex::is_lws))
            .ok_or(HeaderError::malformed("Call-ID"))
    }

    /// CSeq.
    ///
    /// # Errors
    /// Missing; or malformed: the number is 2³¹ or more, or no method follows it.
    pub fn cseq(&self) -> Result<CSeq<'_>, HeaderError> {
        let value = self.required(HeaderName::CSeq)?;
        read_cseq(value).ok_or(HeaderError::malformed("CSeq"))
    }

    /// Max-Forwards; `None` if there is none.
    ///
    /// # Errors
    /// Malformed: not a number from 0 to 255 (RFC 3261 §20.22).
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        let malformed = HeaderError::malformed("Max-Forwards");
        self.optional_number(HeaderName::MaxForwards)?
            .map(|hops| u8::try_from(hops).map_err(|_| malformed))
            .transpose()
    }

    /// Content-Length; `None` if there is none, or it is malformed (which the parser refuses anyhow).
    pub fn content_length(&self) -> Option<usize> {
        Some(number(self.header(HeaderName::ContentLength)?)? as usize)
    }

    /// Expires in seconds; `None` if there is none.
    ///
    /// # Errors
    /// Malformed: not a number below 2³² (RFC 3261 §20.19).
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.optional_number(HeaderName::Expires)
    }

    /// All values of Contact; commas in quotes and brackets split nothing.
    ///
    /// # Errors
    /// One is malformed, or `*` stands beside others.
    pub fn contacts(&self) -> Result<Contacts<'_>, HeaderError> {
        if self.values(HeaderName::Contact).any(|value| value == b"*") {
            return if self.values(HeaderName::Contact).count() == 1 {
                Ok(Contacts::Star)
            } else {
                Err(HeaderError::malformed("Contact"))
            };
        }
        Ok(Contacts::List(
            self.addresses(HeaderName::Contact)
                .collect::<Result<_, _>>()?,
        ))
    }

    /// All values of Route, the next hop first.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.addresses(HeaderName::Route)
    }

    /// All values of Record-Route, topmost first.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.addresses(HeaderName::RecordRoute)
    }

    /// All values of a header field that is a comma list of addresses: Route, Path, P-Asserted-Identity ...
    pub fn addresses<'m>(
        &'m self,
        name: HeaderName<'m>,
    ) -> impl Iterator<Item = Result<NameAddr<'m>, HeaderError>> {
        self.values(name).map(move |value| {
            NameAddr::parse(value).ok_or(HeaderError::malformed(known_name(name)))
        })
    }

    /// All values of a header field that is a comma list, in order, trimmed. (Do not use it for a header field that
    /// is not one: Date and Subject hold commas that split nothing.)
    pub fn values<'m>(&'m self, name: HeaderName<'m>) -> impl Iterator<Item = &'m [u8]> {
        self.headers(name).flat_map(split_list)
    }

    /// Does a comma list of tokens (Supported, Require, Allow ...) hold this one, in any case?
    pub fn has_token(&self, name: HeaderName<'_>, token: &str) -> bool {
        self.headers(name)
            .flat_map(split_list)
            .any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The option tags of a header field (Require, Proxy-Require) that are not among the supported ones, for
    /// Unsupported in a `420` (RFC 3261 §8.2.2.3).
    pub fn unsupported(&self, name: HeaderName<'_>, supported: &[&str]) -> Vec<String> {
        let is_supported = |tag: &[u8]| {
            supported
                .iter()
                .any(|known| tag.eq_ignore_ascii_case(known.as_bytes()))
        };
        self.headers(name)
            .flat_map(split_list)
            .filter(|tag| !tag.is_empty() && !is_supported(tag))
            .map(|tag| String::from_utf8_lossy(tag).into_owned())
            .collect()
    }

    fn address(&self, name: HeaderName<'static>) -> Result<NameAddr<'_>, HeaderError> {
        let value = self.required(name)?;
        NameAddr::parse(value).ok_or(HeaderError::malformed(name.as_str()))
    }

    fn required(&self, name: HeaderName<'static>) -> Result<&[u8], HeaderError> {
        self.header(name).ok_or(HeaderError::missing(name.as_str()))
    }

    fn optional_number(&self, name: HeaderName<'static>) -> Result<Option<u32>, HeaderError> {
        self.header(name)
            .map(|value| number(value).ok_or(HeaderError::malformed(name.as_str())))
            .transpose()
    }
}

fn read_cseq(value: &[u8]) -> Option<CSeq<'_>> {
    let end = value.iter().position(|octet| super::lex::is_lws(*octet))?;
    let method = trim(&value[end..]);
    let number = number(&value[..end]).filter(|number| *number <= MAX_CSEQ)?;
    if !super::lex::is_token(method) {
        return None;
    }
    let method = Method::new(std::str::from_utf8(method).ok()?);
    Some(CSeq { number, method })
}

/// A name that an error can carry.
fn known_name(name: HeaderName<'_>) -> &'static str {
    HeaderName::canonical(name).unwrap_or("header field")
}
