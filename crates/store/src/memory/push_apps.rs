//! Apps whose credentials are kept here.

use super::backend::MemoryStore;
use crate::{Answer, PushApps};
use domain::SealedApp;

impl PushApps for MemoryStore {
    fn push_apps(&self) -> Answer<Vec<SealedApp>> {
        self.read(|state| state.push_apps.values().cloned().collect())
    }
}
