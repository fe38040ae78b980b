//! How much was handled of sessions that are over: their clients need not send it again (XEP-0198 §5).

use std::collections::VecDeque;

/// Sessions that are over of which it is known how much was handled.
const FORMER: usize = 10_000;

/// How much was handled of sessions that are over: of so many that ended last.
#[derive(Debug, Default)]
pub(crate) struct Former {
    rows: VecDeque<(String, u32)>,
}

impl Former {
    pub(crate) fn insert(&mut self, id: String, handled: u32) {
        if self.rows.len() >= FORMER {
            self.rows.pop_front();
        }
        self.rows.push_back((id, handled));
    }

    pub(crate) fn get(&self, id: &str) -> Option<u32> {
        let row = self.rows.iter().rev().find(|(known, _)| known == id);
        row.map(|(_, handled)| *handled)
    }
}
