//! Names of header fields, with their compact forms (RFC 3261 §7.3.3), in one table.
//! A name that is not in it is carried as it is: a proxy passes headers that it does not know.

use std::{borrow::Cow, fmt};

macro_rules! header_names {
    ($($variant:ident = $name:literal $(, $compact:literal)?;)*) => {
        /// A header field name. Two spellings of one known name (any case, compact form) are the same value;
        /// an unknown name is compared without regard to case.
        #[derive(Debug, Clone, Copy)]
        #[expect(missing_docs, reason = "the canonical name is the meaning; RFC 3261 §20 and IANA describe them")]
        pub enum HeaderName<'a> {
            $($variant,)*
            /// Any other name, as spelled.
            Other(&'a str),
        }

        /// The place of a known name in [`TABLE`].
        #[repr(u8)]
        enum Place { $($variant,)* }

        /// Canonical spelling, compact form (empty if there is none), name.
        const TABLE: &[(&str, &str, HeaderName<'static>)] = &[
            $(($name, concat!($($compact)?), HeaderName::$variant),)*
        ];

        impl HeaderName<'_> {
            /// A small number for a known name, [`UNKNOWN`] for every other.
            pub(crate) fn code(self) -> u8 {
                match self {
                    Self::Other(text) => code_of(text.as_bytes()),
                    known => known.known_code(),
                }
            }

            /// The same for a name that was not spelled.
            pub(crate) const fn known_code(self) -> u8 {
                match self {
                    $(Self::$variant => Place::$variant as u8,)*
                    Self::Other(_) => UNKNOWN,
                }
            }
        }
    };
}

header_names! {
    Accept = "Accept";
    AcceptContact = "Accept-Contact", "a";
    AcceptEncoding = "Accept-Encoding";
    AcceptLanguage = "Accept-Language";
    AlertInfo = "Alert-Info";
    Allow = "Allow";
    AllowEvents = "Allow-Events", "u";
    AuthenticationInfo = "Authentication-Info";
    Authorization = "Authorization";
    CallId = "Call-ID", "i";
    CallInfo = "Call-Info";
    Contact = "Contact", "m";
    ContentDisposition = "Content-Disposition";
    ContentEncoding = "Content-Encoding", "e";
    ContentLanguage = "Content-Language";
    ContentLength = "Content-Length", "l";
    ContentType = "Content-Type", "c";
    CSeq = "CSeq";
    Date = "Date";
    Diversion = "Diversion";
    ErrorInfo = "Error-Info";
    Event = "Event", "o";
    Expires = "Expires";
    FeatureCaps = "Feature-Caps";
    FlowTimer = "Flow-Timer";
    From = "From", "f";
    Geolocation = "Geolocation";
    HistoryInfo = "History-Info";
    Identity = "Identity", "y";
    InReplyTo = "In-Reply-To";
    Join = "Join";
    MaxForwards = "Max-Forwards";
    MimeVersion = "MIME-Version";
    MinExpires = "Min-Expires";
    MinSe = "Min-SE";
    Organization = "Organization";
    PAssertedIdentity = "P-Asserted-Identity";
    PPreferredIdentity = "P-Preferred-Identity";
    Path = "Path";
    Priority = "Priority";
    Privacy = "Privacy";
    ProxyAuthenticate = "Proxy-Authenticate";
    ProxyAuthorization = "Proxy-Authorization";
    ProxyRequire = "Proxy-Require";
    RAck = "RAck";
    RSeq = "RSeq";
    Reason = "Reason";
    RecordRoute = "Record-Route";
    ReferSub = "Refer-Sub";
    ReferTo = "Refer-To", "r";
    ReferredBy = "Referred-By", "b";
    RejectContact = "Reject-Contact", "j";
    Replaces = "Replaces";
    ReplyTo = "Reply-To";
    RequestDisposition = "Request-Disposition", "d";
    Require = "Require";
    RetryAfter = "Retry-After";
    Route = "Route";
    Server = "Server";
    ServiceRoute = "Service-Route";
    SessionExpires = "Session-Expires", "x";
    SessionId = "Session-ID";
    SipEtag = "SIP-ETag";
    SipIfMatch = "SIP-If-Match";
    Subject = "Subject", "s";
    SubscriptionState = "Subscription-State";
    Supported = "Supported", "k";
    TargetDialog = "Target-Dialog";
    Timestamp = "Timestamp";
    To = "To", "t";
    Unsupported = "Unsupported";
    UserAgent = "User-Agent";
    Via = "Via", "v";
    Warning = "Warning";
    WwwAuthenticate = "WWW-Authenticate";
}

/// The code of every name that is not in the table.
pub(crate) const UNKNOWN: u8 = u8::MAX;

/// Where each name stands in the table, by [`slot_of`] of it: a look-up compares one name.
const SLOTS: [u8; SLOT_COUNT] = slots();

const SLOT_COUNT: usize = 512;

/// A number below [`SLOT_COUNT`] out of the length of a name and three of its letters, in any case. The factors are
/// such that no two names of the table have the same; where a new one does, others must be found.
const fn slot_of(name: &[u8]) -> usize {
    let [first, .., last] = name else { return 0 };
    let middle = name[name.len() / 2] | 0x20;
    let sum = (*first | 0x20) as usize * 13 + middle as usize * 17 + (*last | 0x20) as usize * 7;
    (sum + name.len()) % SLOT_COUNT
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the table has fewer than 255 names, asserted here"
)]
const fn slots() -> [u8; SLOT_COUNT] {
    assert!(TABLE.len() < UNKNOWN as usize);
    let mut slots = [UNKNOWN; SLOT_COUNT];
    let mut place = 0;
    while place < TABLE.len() {
        let slot = slot_of(TABLE[place].0.as_bytes());
        assert!(slots[slot] == UNKNOWN, "two names in one slot");
        slots[slot] = place as u8;
        place += 1;
    }
    slots
}

/// Compact forms by letter.
const BY_LETTER: [u8; 26] = by_letter();

#[expect(
    clippy::cast_possible_truncation,
    reason = "the table has fewer than 255 names"
)]
const fn by_letter() -> [u8; 26] {
    let mut letters = [UNKNOWN; 26];
    let mut place = 0;
    while place < TABLE.len() {
        if let [letter] = TABLE[place].1.as_bytes() {
            letters[(*letter - b'a') as usize] = place as u8;
        }
        place += 1;
    }
    letters
}

/// The code of a spelled name.
pub(crate) fn code_of(name: &[u8]) -> u8 {
    match name {
        [] => UNKNOWN,
        [letter] if letter.is_ascii_alphabetic() => {
            BY_LETTER[usize::from(letter.to_ascii_lowercase() - b'a')]
        }
        _ => {
            let place = SLOTS[slot_of(name)];
            let known = TABLE
                .get(usize::from(place))
                .map(|entry| entry.0.as_bytes());
            match known {
                Some(known) if known == name || known.eq_ignore_ascii_case(name) => place,
                _ => UNKNOWN,
            }
        }
    }
}

impl<'a> HeaderName<'a> {
    /// The name that these letters spell, in any case or in compact form.
    pub fn new(text: &'a str) -> Self {
        TABLE
            .get(usize::from(code_of(text.as_bytes())))
            .map_or(Self::Other(text), |&(_, _, name)| name)
    }

    /// The canonical spelling of a known name.
    pub fn canonical(self) -> Option<&'static str> {
        TABLE.get(usize::from(self.code())).map(|entry| entry.0)
    }

    /// The spelling, for keeping: no memory is taken for a known name.
    pub(crate) fn spelling(self) -> Cow<'static, str> {
        match self.canonical() {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(self.as_str().to_owned()),
        }
    }

    /// The canonical spelling (of an unknown name: its own).
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Other(text) => text,
            known => TABLE[usize::from(known.code())].0,
        }
    }
}

impl PartialEq for HeaderName<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.code(), other.code()) {
            (UNKNOWN, UNKNOWN) => self.as_str().eq_ignore_ascii_case(other.as_str()),
            (a, b) => a == b,
        }
    }
}

impl Eq for HeaderName<'_> {}

impl fmt::Display for HeaderName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
