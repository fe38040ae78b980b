//! What an edge takes of its configuration while it runs.

use crate::{
    config::Config,
    edge::{Rules, Shared},
    pairs,
    reload::{Origin, TAKEN_AT_EDGE, taken_by_all, tell},
    reloaded::{InPart, Reloaded, Reloading},
    upkeep::CertificateFiles,
    web,
};
use anyhow::{Context, Result, anyhow};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tunnel::Fingerprint;

/// What counts now, and who is told when that is something else.
pub(crate) struct EdgeReload {
    pub(crate) origin: Option<Origin>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) certificate: Option<Arc<CertificateFiles>>,
    /// Where clients find the device API.
    pub(crate) device_tls: Vec<SocketAddr>,
    /// Whether clients of XMPP are offered to sign in by a password.
    pub(crate) passwords: Arc<AtomicBool>,
    /// Held while it is read again: one at a time.
    pub(crate) running: Mutex<Config>,
}

impl EdgeReload {
    /// Reads the configuration again, and takes what can be taken of it. Clients that are in stay, but those of an inside that may dial
    /// no more: a pair can be ended whatever is wrong with the certificate.
    ///
    /// # Errors
    /// What is wrong with it, or that there is none to be read: nothing has changed. Or what is wrong with the certificate: all else
    /// was taken, and the one before is shown.
    pub(crate) fn reload(&self) -> Result<Reloaded> {
        let origin = self.origin.as_ref();
        let origin = origin.context("there is no configuration to read again")?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (config, mut reloaded) = origin.read_again(&running, TAKEN_AT_EDGE)?;
        let insides = insides(&config)?;
        let net = &self.shared.net;
        taken_by_all(&config, (None, Some(origin)), &net.handshakes())?;
        self.shared.tunnel.know(insides);
        net.set_pace(config.limits.strangers_per_second);
        self.passwords
            .store(config.edge.passwords, Ordering::Relaxed);
        self.shared.take(Rules::of(&config));
        // They say whether passwords are taken.
        web::publish(&config, net, &self.device_tls);
        let shown = running.tls.clone();
        *running = config;
        let refused = self.certificate.as_ref();
        let refused = refused.and_then(|it| it.take(&running.tls).err());
        if refused.is_some() {
            running.tls = shown;
            reloaded.taken.retain(|it| !it.key.starts_with("tls."));
        }
        tell(&reloaded);
        match refused {
            Some(error) => Err(error.context(InPart("the certificate"))),
            None => Ok(reloaded),
        }
    }

    /// How long sending clients away may take.
    pub(crate) fn drains(&self) -> Duration {
        let running = self.running.lock();
        running.unwrap_or_else(PoisonError::into_inner).edge.drain.0
    }

    /// For the admin API.
    pub(crate) fn reloading(self: Arc<Self>) -> Reloading {
        Arc::new(move || {
            let reload = self.clone();
            Box::pin(async move { reload.reload() })
        })
    }
}

/// Who may dial.
pub(crate) fn insides(config: &Config) -> Result<Vec<Fingerprint>> {
    let insides = config.edge.insides.0.iter().map(|key| pairs::inside(key));
    let insides = insides.collect::<Result<Vec<_>, _>>();
    insides.map_err(|error| anyhow!("edge.insides: {error}"))
}
