//! Two ends of a connection for tests, without what dials and what listens.

use std::net::Ipv4Addr;
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig, TransportConfig};

use crate::identity::NAME;
use crate::{Identity, pinned};

/// Who dialled and who was dialled, each with these parameters, and what both need to go on.
pub(crate) async fn connected(
    dials: Arc<TransportConfig>,
    listens: Arc<TransportConfig>,
) -> ([Connection; 2], [Endpoint; 2]) {
    let identity = || Identity::from_pem(&Identity::generate().unwrap()).unwrap();
    let (ours, theirs) = (identity(), identity());
    let known = pinned::Known::new([theirs.fingerprint()]);
    let tls = pinned::server(&ours, &known).unwrap();
    let tls = QuicServerConfig::try_from(tls).unwrap();
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(listens);
    let at = (Ipv4Addr::LOCALHOST, 0).into();
    let listening = Endpoint::server(config, at).unwrap();
    let tls = pinned::client(&theirs, ours.fingerprint()).unwrap();
    let tls = QuicClientConfig::try_from(tls).unwrap();
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(dials);
    let dialling = Endpoint::client(at).unwrap();
    let to = listening.local_addr().unwrap();
    let dialled = dialling.connect_with(config, to, NAME).unwrap();
    let answers = async { listening.accept().await.unwrap().await.unwrap() };
    let (dialled, accepted) = tokio::join!(dialled, answers);
    ([dialled.unwrap(), accepted], [dialling, listening])
}
