//! XMPP servers of others, as Debian ships them: Prosody and ejabberd, with a component's port.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::{PASSWORD, Process, free_port, http, poll};

/// Far more than either takes.
const START: Duration = Duration::from_mins(1);

/// A server of somebody else's.
pub struct XmppServer {
    make: Make,
    process: Process,
    client: SocketAddr,
    component: SocketAddr,
    folder: TempDir,
}

/// Which.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Make {
    /// Prosody with `mod_cloud_notify`.
    Prosody,
    /// ejabberd with `mod_push`.
    Ejabberd,
}

impl XmppServer {
    /// One with the users alice and bob at localhost, and a component of this domain and secret.
    pub fn started(make: Make, component: &str, secret: &str) -> Self {
        let folder = TempDir::with_prefix("reveille-e2e-").expect("a temporary directory");
        certificate(folder.path());
        let [client, port, api] = [(); 3].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let fill = |text: &str| {
            text.replace("@FOLDER@", &folder.path().display().to_string())
                .replace("@PORT@", &client.port().to_string())
                .replace("@COMPONENTS@", &port.port().to_string())
                .replace("@API@", &api.port().to_string())
                .replace("@COMPONENT@", component)
                .replace("@SECRET@", secret)
        };
        match make {
            Make::Prosody => prepare_prosody(folder.path(), &fill(PROSODY)),
            Make::Ejabberd => {
                let file = folder.path().join("ejabberd.yml");
                fs::write(file, fill(EJABBERD)).expect("ours");
            }
        }
        let process = up(make, folder.path(), [client, port]);
        if make == Make::Ejabberd {
            register(api);
        }
        Self {
            make,
            process,
            client,
            component: port,
            folder,
        }
    }

    /// `kill -9`, and started again.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = up(self.make, self.folder.path(), [self.client, self.component]);
    }

    /// Where clients connect, with STARTTLS.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// Where components connect.
    pub fn component(&self) -> SocketAddr {
        self.component
    }

    /// Who vouches for it.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Starts it, and waits until it listens there.
fn up(make: Make, folder: &Path, listens: [SocketAddr; 2]) -> Process {
    let mut process = match make {
        Make::Prosody => prosody(folder),
        Make::Ejabberd => ejabberd(folder),
    };
    let is_up = poll(START, || {
        let all = listens.iter().all(|it| TcpStream::connect(it).is_ok());
        (all || !process.is_running()).then_some(all)
    });
    assert_eq!(is_up, Some(true), "{make:?}:\n{}", process.tail());
    process
}

/// A certificate for localhost, which vouches for itself.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args([
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl: `cargo xtask test --only peers` installs it");
    assert!(made.status.success(), "{made:?}");
    let read = |name: &str| fs::read(folder.join(name)).expect("just made");
    let both = [read("certificate.pem"), read("key.pem")].concat();
    fs::write(folder.join("both.pem"), both).expect("ours");
}

const PROSODY: &str = r#"
run_as_root = true
daemonize = false
pidfile = "@FOLDER@/prosody.pid"
data_path = "@FOLDER@/data"
admin_socket = "@FOLDER@/prosody.sock"
modules_enabled = { "disco", "roster", "saslauth", "tls", "carbons", "smacks", "csi", "ping", "mam", "cloud_notify" }
modules_disabled = { "s2s" }
authentication = "internal_hashed"
storage = "internal"
default_archive_policy = true
push_max_errors = 1
interfaces = { "127.0.0.1" }
c2s_ports = { @PORT@ }
component_ports = { @COMPONENTS@ }
component_interface = "127.0.0.1"
ssl = { certificate = "@FOLDER@/certificate.pem", key = "@FOLDER@/key.pem" }
log = { info = "*console" }
VirtualHost "localhost"
Component "@COMPONENT@"
    component_secret = "@SECRET@"
"#;

fn prepare_prosody(folder: &Path, config: &str) {
    let file = folder.join("prosody.cfg.lua");
    fs::write(&file, config).expect("ours");
    for user in ["alice", "bob"] {
        let made = Command::new("prosodyctl")
            .arg("--config")
            .arg(&file)
            .args(["register", user, "localhost", PASSWORD])
            .output()
            .expect("prosodyctl: `cargo xtask test --only peers` installs it");
        assert!(made.status.success(), "{made:?}");
    }
}

fn prosody(folder: &Path) -> Process {
    let mut command = Command::new("prosody");
    command
        .args(["-F", "--config"])
        .arg(folder.join("prosody.cfg.lua"));
    Process::spawn("prosody", &mut command)
}

const EJABBERD: &str = r#"
loglevel: info
hosts: ["localhost"]
certfiles: ["@FOLDER@/both.pem"]
auth_method: internal
auth_password_format: scram
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
listen:
  - {port: @PORT@, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true, access: all}
  - {port: @API@, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {/api: mod_http_api}}
  - port: @COMPONENTS@
    ip: "127.0.0.1"
    module: ejabberd_service
    access: all
    hosts: {"@COMPONENT@": {password: "@SECRET@"}}
acl: {loopback: {ip: ["127.0.0.0/8"]}}
api_permissions: {"here": {who: [{acl: loopback}], what: ["register"]}}
modules:
  mod_admin_extra: {}
  mod_carboncopy: {}
  mod_client_state: {}
  mod_disco: {}
  mod_mam: {default: always, db_type: mnesia}
  mod_offline: {}
  mod_ping: {}
  mod_push: {}
  mod_push_keepalive: {}
  mod_roster: {}
  mod_stream_mgmt: {}
"#;

/// Erlang with ejabberd in it, as `ejabberdctl foreground` starts it, but without a name: a node of one needs none.
fn ejabberd(folder: &Path) -> Process {
    let mut command = Command::new("erl");
    command
        .env("EJABBERD_CONFIG_PATH", folder.join("ejabberd.yml"))
        .env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"))
        .env("ERL_CRASH_DUMP", folder.join("crash.dump"))
        .env("ERL_LIBS", "/usr/lib/x86_64-linux-gnu")
        .args([
            "+K", "true", "+S", "1:1", "+P", "250000", "-noinput", "-mnesia", "dir",
        ])
        .arg(format!("\"{}\"", folder.join("mnesia").display()))
        .args(["-s", "ejabberd"]);
    Process::spawn("ejabberd", &mut command)
}

fn register(api: SocketAddr) {
    for user in ["alice", "bob"] {
        let body = json!({"user": user, "host": "localhost", "password": PASSWORD});
        let made = poll(START, || {
            let answer = http(api, "POST", "/api/register", Some(&body)).ok()?;
            (answer.status == 200).then_some(())
        });
        made.unwrap_or_else(|| panic!("ejabberd does not register {user}"));
    }
}
