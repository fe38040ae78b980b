//! Sections of XMPP's extensions: as those of RFCs, but their texts are XML, in which sections have no numbers of their
//! own: they are counted.

use std::collections::BTreeSet;
use std::path::Path;

use super::rfc::{self, Citation};

/// Finds `XEP-0198 §5`, and the further sections of `XEP-0198 §3, §5`.
pub(super) fn citations(source: &str) -> Vec<Citation> {
    rfc::citations_of("XEP-", source)
}

/// Reads the sections of an extension out of its text in a folder of `xep-NNNN.xml`, if it is there.
pub(super) fn read(folder: &Path, xep: u32) -> Option<BTreeSet<String>> {
    std::fs::read_to_string(folder.join(format!("xep-{xep:04}.xml")))
        .ok()
        .map(|text| sections(&text))
}

/// Counts `<section1`, `<section2` and so on, where they are no part of a comment or an example.
fn sections(text: &str) -> BTreeSet<String> {
    let text = without(&without(text, "<!--", "-->"), "<![CDATA[", "]]>");
    let mut counts: Vec<u32> = Vec::new();
    let mut found = BTreeSet::new();
    for (at, opening) in text.match_indices("<section") {
        let rest = &text[at + opening.len()..];
        let level = rest.chars().next().and_then(|digit| digit.to_digit(10));
        let Some(level) = level.and_then(|level| usize::try_from(level).ok()) else {
            continue;
        };
        counts.resize(level, 0);
        if let Some(count) = counts.last_mut() {
            *count += 1;
        }
        let number: Vec<String> = counts.iter().map(u32::to_string).collect();
        found.insert(number.join("."));
    }
    found
}

/// The text without what stands between these two.
fn without(text: &str, begin: &str, end: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(begin) {
        kept += before;
        rest = behind.split_once(end).map_or("", |(_, behind)| behind);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_of_extensions_are_found_and_those_without_a_section_are_none() {
        let found: Vec<_> = citations("(XEP-0198 §5, §9.1), XEP-0030, RFC 6120 §4")
            .into_iter()
            .map(|found| (found.rfc, found.section))
            .collect();
        assert_eq!(found, [(198, "5".to_owned()), (198, "9.1".to_owned())]);
    }

    #[test]
    fn sections_are_counted_where_they_are_no_example() {
        let text = "<section1 topic='a'><section2 topic='b'/></section1><!-- <section1> -->\
            <section1 topic='c'><![CDATA[<section2>]]><section2 topic='d'><section3/></section2><section2/></section1>";
        let expected = ["1", "1.1", "2", "2.1", "2.1.1", "2.2"].map(str::to_owned);
        assert_eq!(sections(text), BTreeSet::from(expected));
    }
}
