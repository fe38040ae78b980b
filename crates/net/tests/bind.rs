//! What an operator reads when an address cannot be listened on.

// By the name that it has everywhere else in the workspace.
extern crate reveille_net as net;

mod common;

use common::{loopback, tcp_net};
use net::{BindError, Config, Limits, Net};

async fn refused(config: Config) -> BindError {
    match Net::bind(config).await {
        Ok(_) => panic!("bound"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_port_in_use_names_the_address_and_the_remedy() {
    let (_net, _events, address) = tcp_net(Limits::default()).await;
    let text = refused(Config {
        tcp: vec![address],
        ..Config::default()
    })
    .await
    .to_string();
    assert!(
        text.contains(&address.to_string())
            && text.contains("in use")
            && text.contains("another port"),
        "{text}"
    );
}

#[tokio::test]
async fn a_udp_port_in_use_is_noticed_too() {
    let (net, _events, _) = common::udp_net().await;
    let config = Config {
        udp: net.addresses().udp.clone(),
        ..Config::default()
    };
    assert!(matches!(refused(config).await, BindError::InUse { .. }));
}

#[tokio::test]
async fn an_address_of_another_machine_is_named() {
    let config = Config {
        udp: vec!["192.0.2.1:0".parse().unwrap()],
        ..Config::default()
    };
    assert!(
        refused(config)
            .await
            .to_string()
            .contains("not an address of this machine")
    );
}

#[tokio::test]
async fn tls_without_a_certificate_is_refused() {
    let config = Config {
        tls: vec![loopback()],
        ..Config::default()
    };
    assert!(matches!(
        refused(config).await,
        BindError::NoCertificate { .. }
    ));
}
