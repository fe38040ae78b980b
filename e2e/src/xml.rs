//! As much of XML as the answers of a server need that writes it well: no comments, no declarations of types.

/// Cuts the first header, element of the first level, or end of the stream off what was received.
pub(crate) fn take_item(pending: &mut Vec<u8>) -> Option<String> {
    let length = item_length(pending)?;
    let octets: Vec<u8> = pending.drain(..length).collect();
    Some(String::from_utf8_lossy(&octets).trim_start().to_owned())
}

fn item_length(octets: &[u8]) -> Option<usize> {
    let mut depth = 0_u32;
    let mut at = 0;
    loop {
        let begin = at + octets[at..].iter().position(|octet| *octet == b'<')?;
        let end = begin + tag_length(&octets[begin..])?;
        let tag = &octets[begin..end];
        at = end;
        if tag.starts_with(b"<?") {
            continue;
        }
        let is_header = tag.starts_with(b"<stream:stream");
        if tag.starts_with(b"</") {
            depth = depth.saturating_sub(1);
        } else if !tag.ends_with(b"/>") && !is_header {
            depth += 1;
        }
        if depth == 0 {
            return Some(end);
        }
    }
}

/// A tag ends at the first `>` outside of quotes.
fn tag_length(octets: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (index, octet) in octets.iter().enumerate() {
        match (quote, octet) {
            (None, b'>') => return Some(index + 1),
            (None, b'\'' | b'"') => quote = Some(*octet),
            (Some(open), octet) if open == *octet => quote = None,
            _ => {}
        }
    }
    None
}

/// An attribute of an element's own tag, as it is written.
pub fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let tag = element.get(..tag_length(element.as_bytes())?)?;
    ['\'', '"'].into_iter().find_map(|quote| {
        let (_, value) = tag.split_once(&format!(" {name}={quote}"))?;
        value.split(quote).next()
    })
}

/// The text of the first element of this name inside another, with the five entities resolved.
pub fn text(element: &str, name: &str) -> Option<String> {
    let (_, behind) = element.split_once(&format!("<{name}>"))?;
    let (text, _) = behind.split_once(&format!("</{name}>"))?;
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&apos;", "'"),
        ("&quot;", "\""),
        // The last one, so that what it makes is not resolved again.
        ("&amp;", "&"),
    ];
    let resolve = |text: String, (name, meaning): (&str, &str)| text.replace(name, meaning);
    Some(entities.into_iter().fold(text.to_owned(), resolve))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_its_items() {
        let items = [
            "<?xml version='1.0'?><stream:stream from='a>b' id=\"c\">",
            "<stream:features><a><b/><a>text</a></a></stream:features>",
            "<message id='1'/>",
            "</stream:stream>",
        ];
        let mut pending = items.join(" \n").into_bytes();
        pending.extend_from_slice(b"<iq><half");
        for item in items {
            assert_eq!(take_item(&mut pending).as_deref(), Some(item));
        }
        assert_eq!(take_item(&mut pending), None);
        assert_eq!(pending, b"<iq><half");
    }

    #[test]
    fn an_element_says_its_attributes_and_texts() {
        let message = "<message from='a@b/c' id=\"x>\"><body>1 &lt; 2 &amp;lt;</body></message>";
        assert_eq!(attribute(message, "from"), Some("a@b/c"));
        assert_eq!(attribute(message, "id"), Some("x>"));
        assert_eq!(attribute(message, "to"), None);
        assert_eq!(text(message, "body").as_deref(), Some("1 < 2 &lt;"));
        assert_eq!(text(message, "subject"), None);
    }
}
