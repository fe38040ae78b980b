//! What must hold of whatever a phone publishes as its presence: shared by the test here and the fuzz target `shard_pidf`.

use super::DOCUMENTS;
use domain::{
    Address, Timestamp,
    presence::{News, Seen},
};

/// A document, and whether it is one: then what it says can be shown to others, and is the same there.
pub(crate) fn document(octets: &[u8]) -> bool {
    let Some(stated) = (DOCUMENTS.read)(octets) else {
        return false;
    };
    let user = Address::new("bob", "here").expect("an address");
    let news = News {
        resource: "phone".into(),
        seen: Seen::Here {
            priority: 0,
            show: stated.show,
            on_behalf: false,
            payload: stated.payload.clone(),
            since: Timestamp(0),
        },
    };
    let written = (DOCUMENTS.write)(&user, &[&news]);
    assert!(written.len() < 4_096, "{}", written.len());
    let again = (DOCUMENTS.read)(&written).expect("what is written is read");
    assert_eq!((again.is_here, again.show), (true, stated.show));
    let note = |payload| im::status(payload).unwrap_or_default().trim().to_owned();
    assert_eq!(note(&again.payload), note(&stated.payload));
    true
}

#[cfg(test)]
mod tests {
    use super::document;
    use std::path::Path;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test may read the corpus; the crate may not read files"
    )]
    fn every_seed_of_the_documents_target_holds() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-seed/shard_pidf");
        let mut read = 0;
        for entry in folder.read_dir().expect("a corpus") {
            let octets = std::fs::read(entry.expect("an entry").path()).expect("a readable seed");
            read += usize::from(document(&octets));
            for at in 0..octets.len() {
                let mut near = octets.clone();
                near[at] ^= 1;
                document(&near);
                near.remove(at);
                document(&near);
            }
        }
        assert!(read > 2, "{read} seeds are documents");
    }
}
