//! All devices by their places.

use super::entry::Entry;
use domain::table::{Place, Rows};

/// The devices. A test counts work by how many of them are looked at.
#[derive(Debug, Default)]
pub(super) struct Entries {
    rows: Rows<Entry>,
    #[cfg(test)]
    pub(super) looks: std::cell::Cell<usize>,
}

impl Entries {
    pub(super) fn get(&self, place: Place) -> Option<&Entry> {
        self.looked();
        self.rows.get(place)
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.looked();
        self.rows.get_mut(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.rows.iter().inspect(|_| self.looked())
    }

    pub(super) fn insert(&mut self, entry: Entry) -> Place {
        self.rows.insert(entry)
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Entry> {
        self.rows.remove(place)
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "only tests count"))]
    fn looked(&self) {
        #[cfg(test)]
        self.looks.update(|looks| looks + 1);
    }
}
