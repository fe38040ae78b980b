//! Which apps can be pushed to.

use crate::{config, setup};
use anyhow::Result;
use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

/// The names of the apps that can be pushed to, which may change.
#[derive(Clone, Debug, Default)]
pub struct Apps(Arc<RwLock<HashSet<String>>>);

impl Apps {
    /// These.
    pub fn of(apps: &[push::App]) -> Self {
        let all = Self::default();
        all.set(apps);
        all
    }

    /// From now on these.
    pub(crate) fn set(&self, apps: &[push::App]) {
        let names = apps.iter().map(|app| app.profile.app.to_string());
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = names.collect();
    }

    /// Whether it is one of them.
    pub(crate) fn has(&self, app: &str) -> bool {
        let apps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        apps.contains(app)
    }
}

/// Nothing is pushed here that anybody would want to hear of.
pub(crate) struct Silent;

impl push::Observer for Silent {
    fn on(&self, _: &push::Event<'_>) {}
}

/// Clients for these apps that nobody listens to: all is checked that can be without the network.
///
/// # Errors
/// What is wrong with one of them.
pub(crate) fn check(apps: Vec<push::App>, push: &config::Push) -> Result<push::Pusher> {
    let (route, limits) = (setup::route(push)?, push::Limits::default());
    Ok(push::Pusher::new(apps, route, limits, Arc::new(Silent))?)
}
