//! The parser that we use, and its errors in the words of RFC 6120.

use rxml::error::EndOrError;
use rxml::{Error, Options, Parse, RawEvent, RawParser, WithOptions};

use super::{StreamCondition, StreamError, limits};

/// What the parser says of a declaration of another encoding, of a name or value beyond the limit, and of `<!` that
/// begins neither a comment nor character data: a document type. (Tests hold it to these words.)
const OTHER_ENCODING: &str = "only utf-8 encoding is allowed";
const TOO_LONG: &str = "long name or reference";
const DOCUMENT_TYPE: &str = "malformed cdata or comment section start";

pub(super) enum Parsed {
    Event(RawEvent),
    NeedsMore,
}

/// It refuses comments, processing instructions, document types and entities (RFC 6120 §11.1), and anything but UTF-8.
pub(super) fn parser() -> RawParser {
    RawParser::with_options(Options {
        max_token_length: limits::LONGEST_VALUE,
        ..Options::default()
    })
}

/// Reads up to the next event, and says how many octets that were.
pub(super) fn parse(
    parser: &mut RawParser,
    octets: &[u8],
    is_all: bool,
) -> (usize, Result<Parsed, StreamError>) {
    let mut rest = octets;
    let parsed = match parser.parse(&mut rest, is_all) {
        Ok(Some(event)) => Ok(Parsed::Event(event)),
        Ok(None) | Err(EndOrError::NeedMoreData) => Ok(Parsed::NeedsMore),
        Err(EndOrError::Error(error)) => Err(refusal(&error)),
    };
    (octets.len() - rest.len(), parsed)
}

/// RFC 6120 §11.1, §11.3 and §11.6.
fn refusal(error: &Error) -> StreamError {
    let condition = match error {
        Error::RestrictedXml(OTHER_ENCODING) | Error::InvalidUtf8Byte(_) => {
            StreamCondition::UnsupportedEncoding
        }
        Error::RestrictedXml(TOO_LONG) => StreamCondition::PolicyViolation,
        Error::RestrictedXml(_) | Error::UndeclaredEntity | Error::InvalidSyntax(DOCUMENT_TYPE) => {
            StreamCondition::RestrictedXml
        }
        _ => StreamCondition::NotWellFormed,
    };
    StreamError::new(condition, error.to_string())
}
