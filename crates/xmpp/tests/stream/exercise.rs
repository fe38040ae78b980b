//! What must hold of any octets whatever: used by the tests, by the replay of the fuzz corpus, and by the fuzz target
//! itself.

use xmpp::ns;
use xmpp::xml::{self, Context, Element, Item, Limits, Reader, StreamError};

/// Small ones, so that a fuzzer comes to them.
pub(crate) const LIMITS: Limits = Limits {
    bytes: 2_048,
    header_bytes: 1_024,
    depth: 8,
    nodes: 32,
    attributes: 8,
    declarations: 8,
};

/// Octets as a stream; the first says how it is cut. However that is, the same items come out, and each of them is
/// the same when it is written and read again.
pub(crate) fn stream(octets: &[u8]) {
    let Some((first, stream)) = octets.split_first() else {
        return;
    };
    let whole = items(stream, stream.len().max(1));
    let cut = items(stream, usize::from(first & 0x3f) + 1);
    assert_eq!(with_space_joined(whole.0.clone()), with_space_joined(cut.0));
    let condition = |error: Option<StreamError>| error.map(|error| error.condition);
    assert_eq!(condition(whole.1), condition(cut.1));
    for item in &whole.0 {
        if let Item::Element(element) = item {
            written_and_read_again(element);
        }
    }
    if let Ok(element) = xml::document(stream, &LIMITS) {
        written_and_read_again(&element);
    }
}

/// The items, and how the stream broke, if it did.
pub(crate) fn items(stream: &[u8], cut: usize) -> (Vec<Item>, Option<StreamError>) {
    let mut reader = Reader::new(LIMITS);
    let mut taken = Vec::new();
    for piece in stream.chunks(cut) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(item)) => taken.push(item),
                Ok(None) => {
                    assert_eq!(reader.pending(), 0, "nothing waits that could be read");
                    break;
                }
                Err(error) => {
                    assert_eq!(reader.next(), Err(error.clone()), "it stays broken");
                    return (taken, Some(error));
                }
            }
        }
    }
    (taken, None)
}

/// White space that came in two pieces is there twice.
fn with_space_joined(mut items: Vec<Item>) -> Vec<Item> {
    items.dedup_by(|one, other| (&*one, &*other) == (&Item::KeepAlive, &Item::KeepAlive));
    items
}

/// In a stream of ours and by itself.
pub(crate) fn written_and_read_again(element: &Element) {
    // Declarations come and go with the place, and may be more than the sender needed.
    let limits = Limits {
        bytes: usize::MAX,
        attributes: usize::MAX,
        declarations: usize::MAX,
        ..LIMITS
    };
    let alone = element.to_octets(Context::DOCUMENT);
    let read = xml::document(&alone, &limits).expect("what we write can be read");
    assert_eq!(&read, element);
    assert_eq!(
        read.to_octets(Context::DOCUMENT),
        alone,
        "written again, nothing changes"
    );

    let mut reader = Reader::new(limits);
    let mut stream = format!(
        "<stream:stream xmlns='{}' xmlns:stream='{}'>",
        ns::CLIENT,
        ns::STREAM
    )
    .into_bytes();
    element.write(&mut stream, Context::CLIENT);
    reader.push(&stream);
    assert!(matches!(reader.next(), Ok(Some(Item::Open(_)))));
    assert_eq!(reader.next(), Ok(Some(Item::Element(element.clone()))));
    assert_eq!(reader.next(), Ok(None));
    assert!(!reader.is_midway());
}
