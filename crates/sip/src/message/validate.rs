//! The checks that a proxy or user agent makes of a whole message before it acts on it (RFC 3261 §8.1.1, §16.3
//! step 1). What only a deeper reader would need is not checked: it passes.

use crate::{HeaderError, HeaderName, Message, Method, ParseError, Uri, Via};

/// Header fields that a message has exactly once (RFC 3261 §7.3.1). A repetition of the very same value is let
/// pass: it is not ambiguous.
const SINGLE: &[(HeaderName<'static>, &str)] = &[
    (HeaderName::From, "Several From Header Fields"),
    (HeaderName::To, "Several To Header Fields"),
    (HeaderName::CallId, "Several Call-ID Header Fields"),
    (HeaderName::CSeq, "Several CSeq Header Fields"),
    (
        HeaderName::MaxForwards,
        "Several Max-Forwards Header Fields",
    ),
];

impl Message {
    /// Has it every header field that it must have, readable, and once where once is the rule? Does CSeq name the
    /// method of the request line? Is a SIP Request-URI well-formed?
    ///
    /// # Errors
    /// What to answer. (A response that fails is dropped.)
    pub fn validate(&self) -> Result<(), ParseError> {
        self.top_via()
            .map_err(|error| ParseError::bad(reason_of(error)))?;
        self.validate_below_top_via()
    }

    /// The same where the topmost Via was read already, to know where the message belongs.
    pub(crate) fn validate_below_top_via(&self) -> Result<(), ParseError> {
        for &(name, reason) in SINGLE {
            let mut values = self.headers(name);
            let first = values.next();
            if values.any(|value| Some(value) != first) {
                return Err(ParseError::bad(reason));
            }
        }
        let wrong = |error: HeaderError| ParseError::bad(reason_of(error));
        for via in self.values(HeaderName::Via).skip(1) {
            Via::parse(via).ok_or_else(|| wrong(HeaderError::malformed("Via")))?;
        }
        self.from().map_err(wrong)?;
        self.to().map_err(wrong)?;
        self.call_id().map_err(wrong)?;
        let cseq = self.cseq().map_err(wrong)?;
        self.max_forwards().map_err(wrong)?;
        match self.method() {
            Some(method) => self.validate_request(method, cseq.method),
            None => Ok(()),
        }
    }

    fn validate_request(&self, method: Method<'_>, cseq: Method<'_>) -> Result<(), ParseError> {
        match method {
            _ if method == cseq => {}
            // It may well be that a later RFC relates the two in a way that we do not know (RFC 4475 §3.1.2.18).
            Method::Other(_) => return Err(ParseError::new(501, "Not Implemented")),
            _ => return Err(ParseError::bad("CSeq Method Does Not Match")),
        }
        match Uri::parse(self.request_uri()) {
            None => Err(ParseError::bad("Malformed Request-URI")),
            Some(uri) if uri.headers.is_some() => {
                Err(ParseError::bad("Header Fields in Request-URI"))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The words of the answer.
fn reason_of(error: HeaderError) -> &'static str {
    match (error.header, error.missing) {
        ("Via", true) => "Missing Via Header Field",
        ("Via", false) => "Malformed Via Header Field",
        ("From", true) => "Missing From Header Field",
        ("From", false) => "Malformed From Header Field",
        ("To", true) => "Missing To Header Field",
        ("To", false) => "Malformed To Header Field",
        ("Call-ID", true) => "Missing Call-ID Header Field",
        ("Call-ID", false) => "Malformed Call-ID Header Field",
        ("CSeq", true) => "Missing CSeq Header Field",
        ("CSeq", false) => "Malformed CSeq Header Field",
        ("Max-Forwards", _) => "Malformed Max-Forwards Header Field",
        _ => "Bad Request",
    }
}
