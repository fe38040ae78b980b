//! Simulated platform clouds: APNs, FCM and Web Push over TLS, which enforce the platforms' real rules (`behaviour.md` 12), keep a
//! journal of every push, and can be told to misbehave, in-process through [`CloudHandle`] or over the control API.
//! They deliver nothing: whoever plays the phone reads the journal.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use domain::Provider;
//! use reveille_lab::cloud::{Ca, CloudConfig, Clouds, DevCredentials, Fault, FaultKind, Filter};
//! use std::time::Duration;
//!
//! let (ca, keys) = (Ca::new()?, DevCredentials::new());
//! let clouds = Clouds::start(CloudConfig::dev(&ca, &keys).on_free_ports()).await?;
//! let lab = clouds.handle();
//! // Point a push client at clouds.addresses(), with ca.root_store() and the keys, and then:
//! lab.order(Fault::new(Provider::Apns, FaultKind::Goaway))?;
//! for push in lab.wait_for(&Filter::token("00…ff"), Duration::from_secs(5)).await {
//!     println!("{} {:?} {:?}", push.token, push.answer, push.violations);
//! }
//! clouds.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod apns;
mod ca;
mod config;
mod connection;
mod control;
mod credentials;
mod entropy;
mod exchange;
mod fault;
mod fcm;
mod fcm_devices;
mod frames;
mod http1;
mod jwt;
mod listener;
mod record;
mod registry;
mod state;
mod webpush;
mod wire;
mod wire_control;

pub use ca::{Ca, CaError, ServerCertificate};
pub use config::{
    ApnsApp, ApnsCertificate, ApnsTeam, CloudConfig, Environment, FcmProject, Limits, WebApp,
};
pub use credentials::{ApnsKey, DevCredentials};
pub use fault::{Fault, FaultError, FaultKind, FaultValue};
pub use record::{Answer, Filter, Record};
pub use registry::{Fate, NewToken, RegistryError, TokenMode};

use domain::Provider;
use state::{State, locked, now};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::timeout};

/// How long clients have to close their connections when the clouds shut down; then they are cut.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the clouds did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken, or not ours.
    #[error(
        "{what} cannot listen on {address}: end what does (`ss -lntup` names it), or take another port"
    )]
    Listen {
        /// Which listener.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The control API orders faults and hands out keys to whoever asks.
    #[error("the lab's control API must listen on loopback, not on {0}")]
    ControlNotLoopback(SocketAddr),
    /// No certificate.
    #[error(transparent)]
    Certificate(#[from] CaError),
}

/// Where the clouds listen.
#[derive(Copy, Clone, Debug)]
pub struct Addresses {
    /// The simulated APNs, HTTP/2 over TLS.
    pub apns: SocketAddr,
    /// The simulated FCM and its token endpoint, HTTP/2 or HTTP/1.1 over TLS.
    pub fcm: SocketAddr,
    /// The simulated Web Push service, HTTP/2 or HTTP/1.1 over TLS.
    pub webpush: SocketAddr,
    /// The control API, plain HTTP.
    pub control: SocketAddr,
}

/// The running clouds. Dropped, they stop without farewell.
pub struct Clouds {
    handle: CloudHandle,
    addresses: Addresses,
}

impl Clouds {
    /// Starts the clouds on a tokio runtime. When it returns, all of them listen.
    ///
    /// # Errors
    /// If one cannot listen, or the control API would not be on loopback.
    pub async fn start(mut config: CloudConfig) -> Result<Self, StartError> {
        if !config.control.ip().is_loopback() {
            return Err(StartError::ControlNotLoopback(config.control));
        }
        let apns = listen("the simulated APNs", config.apns).await?;
        let fcm = listen("the simulated FCM", config.fcm).await?;
        let webpush = listen("the simulated Web Push", config.webpush).await?;
        let control = listen("the lab's control API", config.control).await?;
        let addresses = Addresses {
            apns: address_of(&apns, config.apns)?,
            fcm: address_of(&fcm, config.fcm)?,
            webpush: address_of(&webpush, config.webpush)?,
            control: address_of(&control, config.control)?,
        };
        let apns_tls = config.ca.server_config_asking(
            &["api.push.apple.com", "api.sandbox.push.apple.com"],
            &[b"h2"],
        )?;
        let fcm_tls = config.ca.server_config(
            &["fcm.googleapis.com", "oauth2.googleapis.com"],
            &[b"h2", b"http/1.1"],
        )?;
        let webpush_tls = config
            .ca
            .server_config(&["push.localhost"], &[b"h2", b"http/1.1"])?;
        // Subscriptions name the port that it got.
        config.webpush = addresses.webpush;
        let state = Arc::new(State::new(config));
        let apns_rules = Arc::new(apns::Apns::new(state.clone()));
        let fcm_rules = Arc::new(fcm::Fcm::new(state.clone()));
        let webpush_rules = Arc::new(webpush::WebPush::new(state.clone()));
        let tasks = &state.tasks;
        tasks.spawn(listener::run(apns, apns_tls, apns_rules, state.clone()));
        tasks.spawn(listener::run(fcm, fcm_tls, fcm_rules, state.clone()));
        tasks.spawn(listener::run(
            webpush,
            webpush_tls,
            webpush_rules,
            state.clone(),
        ));
        let handle = CloudHandle {
            state: state.clone(),
        };
        tasks.spawn(control::run(control, handle.clone(), addresses));
        Ok(Self { handle, addresses })
    }

    /// Where they listen, with the ports that they got.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// To read the journal and to order tokens, fates and faults.
    pub fn handle(&self) -> CloudHandle {
        self.handle.clone()
    }

    /// What was pushed, the oldest first.
    pub fn notifications(&self, filter: &Filter) -> Vec<Record> {
        self.handle.notifications(filter)
    }

    /// Says GOAWAY to every client, waits a second for them, then cuts what is left.
    pub async fn shutdown(self) {
        let state = &self.handle.state;
        state.stopping.cancel();
        state.tasks.close();
        let _ = timeout(FAREWELL, state.tasks.wait()).await;
        state.stopped.cancel();
        state.tasks.wait().await;
    }
}

impl Drop for Clouds {
    fn drop(&mut self) {
        self.handle.state.stopping.cancel();
        self.handle.state.stopped.cancel();
    }
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            what,
            address,
            source,
        })
}

fn address_of(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen {
        what: "a listener",
        address: asked,
        source,
    })
}

/// Reads the clouds' journal, and tells them what to do. Cheap to clone.
#[derive(Clone)]
pub struct CloudHandle {
    state: Arc<State>,
}

impl CloudHandle {
    /// What was pushed, the oldest first, at most `Limits::records_an_answer`.
    pub fn notifications(&self, filter: &Filter) -> Vec<Record> {
        self.state.read(filter)
    }

    /// The same; if there is nothing yet, waits for the first one, up to `patience` (cut to `Limits::wait`). Comes back
    /// empty when the clouds shut down.
    pub async fn wait_for(&self, filter: &Filter, patience: Duration) -> Vec<Record> {
        self.state.wait(filter, patience).await
    }

    /// Forgets all notifications. Their numbers go on.
    pub fn forget_notifications(&self) {
        self.state.journal.clear();
    }

    /// Registers a device token, or makes one up; says which.
    ///
    /// # Errors
    /// If the app is not known, the token ill-formed, or there are too many.
    pub fn register_token(&self, new: NewToken) -> Result<String, RegistryError> {
        self.state.registry().register(new, &self.state.config)
    }

    /// Which tokens are good from now on.
    pub fn set_token_mode(&self, mode: TokenMode) {
        self.state.registry().mode = mode;
    }

    /// What is answered for `token` from now on.
    ///
    /// # Errors
    /// If the status is none, or there are too many.
    pub fn set_fate(&self, token: &str, fate: Fate) -> Result<(), RegistryError> {
        let limits = self.state.limits();
        self.state.registry().set_fate(token, fate, now(), limits)
    }

    /// Orders a fault.
    ///
    /// # Errors
    /// If its value does not fit, or too many wait.
    pub fn order(&self, fault: Fault) -> Result<(), FaultError> {
        let most = self.state.limits().orders;
        self.state.faults(fault.provider).order(fault, most)
    }

    /// Takes all faults back that have not struck yet.
    pub fn clear_faults(&self) {
        for provider in [Provider::Apns, Provider::Fcm, Provider::WebPush] {
            self.state.faults(provider).clear();
        }
    }

    /// The certificate that clients must trust, PEM.
    pub fn ca_pem(&self) -> &str {
        self.state.config.ca.ca_pem()
    }
}
