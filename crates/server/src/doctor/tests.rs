//! A server with simulated clouds, looked at while it runs and while it does not, and broken in the ways in which it breaks.

use super::*;
use crate::{config, dev::Dev, dev::on_free_ports};
use domain::Behaviour;
use lab::cloud::{Ca, DevCredentials, TokenMode};
use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

/// A resolver that knows these services, each as its name, and the port and host that it leads to; it ends with the test.
fn resolver(known: &'static [(&'static str, u16, &'static str)]) -> Resolver {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut octets = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut octets) {
            let asked = &octets[..length];
            let answer = answer(asked, known);
            if socket.send_to(&answer, from).is_err() {
                return;
            }
        }
    });
    Resolver::at(address)
}

fn written(name: &str) -> Vec<u8> {
    let label = |label: &str| {
        let length = u8::try_from(label.len()).unwrap();
        [&[length], label.as_bytes()].concat()
    };
    let mut octets: Vec<u8> = name.split('.').flat_map(label).collect();
    octets.push(0);
    octets
}

fn answer(asked: &[u8], known: &[(&str, u16, &str)]) -> Vec<u8> {
    let mut octets = asked.to_vec();
    octets[2] |= 0x80;
    let question = &asked[12..];
    let found = known
        .iter()
        .find(|(name, ..)| question.starts_with(&written(name)));
    let Some((_, port, host)) = found else {
        octets[3] = 3;
        return octets;
    };
    octets[7] = 1;
    let data = [&[0, 1, 0, 5], &port.to_be_bytes()[..], &written(host)].concat();
    // The name is that of the question.
    octets.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60]);
    octets.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    octets.extend(data);
    octets
}

const STOPPED: Known = Known {
    runs: false,
    is_dev: false,
};

/// A server that runs, and its configuration as a file would have it.
struct World {
    folder: tempfile::TempDir,
    dev: Dev,
    config: Config,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, keys) = (Ca::new().unwrap(), DevCredentials::new());
        let mut started = on_free_ports();
        started.server.data_dir = folder.path().join("data");
        let users = vec!["bob".to_owned()];
        let dev = Dev::start_with(
            started,
            Behaviour::default(),
            ca.clone(),
            keys.clone(),
            users,
            None,
        );
        let dev = Box::pin(dev).await.unwrap();
        let config = configuration(folder.path(), &dev, &keys);
        Self {
            folder,
            dev,
            config,
        }
    }

    async fn look(&self, runs: bool, resolver: &Resolver) -> Report {
        Box::pin(examine(
            &self.config,
            Known {
                runs,
                is_dev: false,
            },
            resolver,
        ))
        .await
    }

    async fn end(self) {
        self.dev.shutdown().await;
    }
}

fn configuration(folder: &Path, dev: &Dev, keys: &DevCredentials) -> Config {
    let certificate = dev.ca.issue(&["localhost"]).unwrap();
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("chain.pem", &certificate.chain_pem);
    write("key.pem", &certificate.key_pem);
    write("ca.pem", dev.ca.ca_pem());
    write("key.p8", keys.apns_key_pem());
    let token_uri = format!(
        "https://localhost:{}/token",
        dev.clouds.addresses().fcm.port()
    );
    write(
        "fcm.json",
        &keys.fcm_service_account("example-droid", &token_uri),
    );
    let bound = dev.server.bound();
    let list = |addresses: &[SocketAddr]| {
        let quoted: Vec<_> = addresses.iter().map(|it| format!("\"{it}\"")).collect();
        quoted.join(", ")
    };
    let (at, team, key) = (folder.display(), keys.apns_team(), keys.apns_key_id());
    let clouds = dev.clouds.addresses();
    let text = format!(
        "[server]\ndomains = [\"localhost\"]\nnode = \"localhost\"\ndata_dir = \"{at}/data\"\n\
         [listen]\nsip_udp = [{}]\nsip_tcp = [{}]\nsip_tls = [{}]\nadmin = [{}]\nhealth = [{}]\n\
         [tls]\ncertificate = \"{at}/chain.pem\"\nkey = \"{at}/key.pem\"\n[push]\nca = \"{at}/ca.pem\"\n\
         [[push.app]]\napp = \"com.example.phone\"\nteam_id = \"{team}\"\nkey_id = \"{key}\"\n\
         key_file = \"{at}/key.p8\"\nendpoint = \"localhost:{}\"\n\
         [[push.app]]\napp = \"com.example.droid\"\nprovider = \"fcm\"\nservice_account = \"{at}/fcm.json\"\n\
         endpoint = \"localhost:{}\"\n",
        list(&bound.sip.udp),
        list(&bound.sip.tcp),
        list(&bound.sip.tls),
        list(&bound.admin),
        list(&bound.health),
        clouds.apns.port(),
        clouds.fcm.port(),
    );
    let file = folder.join("reveille.toml");
    std::fs::write(&file, text).unwrap();
    config::load(&Config::default(), Some(&file), std::iter::empty()).unwrap()
}

/// What was found of a topic, as lines.
fn lines(report: &Report, topic: &str, state: State) -> Vec<String> {
    let all = report.findings().iter();
    let wanted = all.filter(|it| it.topic == topic && it.state == state);
    wanted.map(|it| it.what.clone()).collect()
}

#[track_caller]
fn one_says(lines: &[String], words: &str) {
    assert!(
        lines.iter().any(|it| it.contains(words)),
        "{words}: {lines:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_well_is_found_well_and_its_clouds_are_pushed_nothing() {
    let mut world = World::start().await;
    let nobody = resolver(&[]);
    for mode in [TokenMode::Any, TokenMode::Known] {
        world.dev.clouds.handle().set_token_mode(mode);
        let report = world.look(true, &nobody).await;
        let failed = report
            .findings()
            .iter()
            .filter(|it| it.state == State::Fail);
        let failed: Vec<_> = failed.collect();
        // Its certificate was made for this test; the one that is shown, by the start.
        assert!(
            failed
                .iter()
                .all(|it| it.what.contains("another certificate")),
            "{failed:#?}"
        );
        let providers = lines(&report, "providers", State::Ok);
        one_says(&providers, "com.example.phone (apns): localhost:");
        one_says(&providers, "com.example.droid (fcm): localhost:");
        let ports = lines(&report, "ports", State::Ok);
        one_says(&ports, "answers OPTIONS");
        one_says(&ports, "listen.sip_tls");
        let stores = lines(&report, "store", State::Ok);
        one_says(&stores, "1 users, 0 devices");
        one_says(&stores, "can be written");
        one_says(
            &lines(&report, "dns", State::Ok),
            "localhost needs no service records",
        );
        assert!(
            !report
                .findings()
                .iter()
                .any(|it| it.state != State::Ok && it.remedy.is_none())
        );
    }
    // It looked beside the server, which goes on, and has its lock.
    assert!(crate::lock::all(&world.config.server.data_dir, &world.config.store_url()).is_err());
    world.config.push.app[0].key_id = "WRONG12345".to_owned();
    let report = world.look(true, &nobody).await;
    let failed = lines(&report, "providers", State::Fail);
    one_says(&failed, "com.example.phone (apns)");
    one_says(&failed, "InvalidProviderToken");
    assert!(report.has_failed());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_is_named_with_what_to_do() {
    let mut world = World::start().await;
    let nobody = resolver(&[]);
    // A port that nobody listens at, and a cloud that nobody is.
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    world.config.listen.health = config::Addresses(vec![free]);
    world.config.push.app[1].endpoint = free.to_string().replace("127.0.0.1", "localhost");
    let path = world.folder.path().join("chain.pem");
    std::fs::write(&path, "no certificate").unwrap();
    let report = world.look(true, &nobody).await;
    one_says(&lines(&report, "ports", State::Fail), "listen.health");
    one_says(
        &lines(&report, "providers", State::Fail),
        "com.example.droid (fcm)",
    );
    one_says(
        &lines(&report, "certificates", State::Fail),
        "tls.certificate",
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_rest_is_looked_at_and_damage_is_found() {
    let world = World::start().await;
    let World {
        folder,
        dev,
        config,
    } = world;
    dev.shutdown().await;
    let report = Box::pin(examine(&config, STOPPED, &resolver(&[]))).await;
    assert_eq!(lines(&report, "ports", State::Ok), [""; 0]);
    one_says(&lines(&report, "server", State::Warn), "no server answers");
    one_says(&lines(&report, "store", State::Ok), "1 users");
    // The clouds are gone with it.
    assert_eq!(lines(&report, "providers", State::Fail).len(), 2);
    let database = folder.path().join("data/reveille.db");
    std::fs::write(&database, "this is no database, whatever its name says").unwrap();
    let report = Box::pin(examine(&config, STOPPED, &resolver(&[]))).await;
    one_says(&lines(&report, "store", State::Fail), "reveille.db");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_lead_here_or_are_missed() {
    const KNOWN: &[(&str, u16, &str)] = &[
        ("_sip._tcp.example.org", 5060, "LOCALHOST"),
        ("_sip._udp.example.org", 5070, "elsewhere.example.net"),
    ];
    let mut config = Config::default();
    config.server.domains = config::Words::of(&["example.org"]);
    config.server.node = "localhost".to_owned();
    config.listen.sip_tls = config::Addresses::of(&["0.0.0.0:5061"]);
    let mut report = Report::default();
    records::look(&config, &resolver(KNOWN), &mut report).await;
    one_says(
        &lines(&report, "dns", State::Ok),
        "_sip._tcp.example.org leads to localhost",
    );
    let warned = lines(&report, "dns", State::Warn);
    assert_eq!(warned.len(), 2, "{warned:#?}");
    one_says(&warned, "_sips._tcp.example.org is not there");
    one_says(
        &warned,
        "_sip._udp.example.org leads to elsewhere.example.net:5070",
    );
    let remedies: Vec<_> = report
        .findings()
        .iter()
        .filter_map(|it| it.remedy.clone())
        .collect();
    one_says(&remedies, "_sips._tcp.example.org. SRV 0 0 5061 localhost.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_server_is_not_missed_the_certificate_that_it_makes_itself() {
    let mut config = on_free_ports();
    let dev = Dev::start(config.clone(), Behaviour::default());
    let dev = Box::pin(dev).await.unwrap();
    let bound = dev.server.bound();
    config.listen.sip_tls = config::Addresses(bound.sip.tls.clone());
    let known = Known {
        runs: true,
        is_dev: true,
    };
    let mut report = Report::default();
    certificates::look(&config, known, &mut report).await;
    assert!(!report.has_failed(), "{:#?}", report.findings());
    let found = lines(&report, "certificates", State::Ok);
    one_says(&found, "makes one of its own");
    one_says(&found, "listen.sip_tls");
    dev.shutdown().await;
}

#[test]
fn a_certificate_is_as_bad_as_the_alarm_about_it_says() {
    const DAY: Duration = Duration::from_hours(24);
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.server.node = "localhost".to_owned();
    config.listen.sip_tls = config::Addresses::of(&["127.0.0.1:5061"]);
    config.tls.certificate = folder.path().join("chain.pem");
    config.tls.key = folder.path().join("key.pem");
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(crate::clock::now().0);
    // What is made for six days is well with five of them left, and not with less than one.
    for (life, left, state) in [
        (90, 31, State::Ok),
        (90, 29, State::Warn),
        (90, 6, State::Warn),
        (6, 5, State::Ok),
        (6, 1, State::Fail),
        (90, 1, State::Fail),
    ] {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = now + DAY * left - DAY / 2;
        params.not_before = params.not_after - DAY * life;
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = params.self_signed(&key).unwrap().pem();
        std::fs::write(&config.tls.certificate, chain).unwrap();
        std::fs::write(&config.tls.key, key.serialize_pem()).unwrap();
        let mut report = Report::default();
        certificates::in_file(&config, &mut report);
        assert_eq!(report.findings()[0].state, state, "{left} of {life}");
    }
}
