//! A server that is killed while it takes another configuration has lost nothing, and starts again with the one or the other.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use http::Method;
use net::http::HttpError;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};
use tokio::time::Instant;

/// Servers that are killed.
const KILLS: u32 = 10;
/// Where calls that nobody takes go, by one configuration and by the other.
const FALLBACKS: [&str; 2] = ["sip:one@example.org", "sip:other@example.org"];

/// Puts a configuration there as a whole, as an editor does.
fn configure(folder: &Path, fallback: &str) {
    let at = folder.display();
    let text = format!(
        "[server]\ndomains = [\"localhost\"]\ndata_dir = \"{at}\"\n\
         [listen]\nsip_udp = [\"127.0.0.1:0\"]\nsip_tcp = []\nadmin = [\"127.0.0.1:0\"]\nhealth = [\"127.0.0.1:0\"]\n\
         [call]\nfallback = \"{fallback}\"\n"
    );
    let (new, file) = (folder.join("new.toml"), folder.join("reveille.toml"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// A server that is ready.
struct Running {
    child: Child,
    admin: SocketAddr,
    token: String,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reveille"))
            .args(["serve", "--config"])
            .arg(folder.join("reveille.toml"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let (_, at) = line
            .split_once("admin http ")
            .expect("a server that is ready");
        let (at, _) = at.split_once(';').expect("its other addresses");
        let token = std::fs::read_to_string(folder.join("admin.token")).unwrap();
        Self {
            child,
            admin: at.parse().unwrap(),
            token: token.trim().to_owned(),
        }
    }

    fn asking(&self) -> Asking {
        Asking {
            url: format!("http://{}", self.admin),
            token: self.token.clone(),
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Its operator.
struct Asking {
    url: String,
    token: String,
}

impl Asking {
    /// What the server answers; nothing if it is gone.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Value> {
        let url = format!("{}{path}", self.url);
        match net::http::request(method, &url, Some(&self.token), body).await {
            Ok((status, bytes)) => {
                let said = String::from_utf8_lossy(&bytes);
                assert!(status.is_success(), "{path}: {status} {said}");
                Some(serde_json::from_str(&said).unwrap_or_default())
            }
            Err(HttpError::Failed { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// A new account, and another configuration that is taken; the account, if that was answered.
    async fn round(&self, folder: &Path, number: usize) -> (Option<String>, bool) {
        let user = format!("u{number}@localhost");
        let change = json!({ "password": "wakeup", "new": true });
        let path = format!("/api/v1/users/{user}");
        let Some(_) = self.ask(Method::PUT, &path, Some(&change)).await else {
            return (None, false);
        };
        configure(folder, FALLBACKS[number % 2]);
        let reloaded = self.ask(Method::POST, "/api/v1/reload", None).await;
        (Some(user), reloaded.is_some())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_moment_of_a_reload_has_lost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    configure(folder, FALLBACKS[0]);
    let mut server = Running::start(folder);
    let began = Instant::now();
    let (first, _) = server.asking().round(folder, 1).await;
    let round = began.elapsed();
    let mut answered = BTreeSet::from([first.unwrap()]);
    let mut number = 1;
    for kill in 0..KILLS {
        let asking = server.asking();
        // From not at all to half as long again as a round took.
        let patience = round * 3 / 2 * kill / KILLS;
        let killing = tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            server.kill();
        });
        loop {
            number += 1;
            let (user, goes_on) = asking.round(folder, number).await;
            answered.extend(user);
            if !goes_on {
                break;
            }
        }
        killing.await.unwrap();

        server = Running::start(folder);
        let asking = server.asking();
        let users = asking
            .ask(Method::GET, "/api/v1/users", None)
            .await
            .unwrap();
        let users: BTreeSet<_> = users
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["address"].as_str().unwrap().to_owned())
            .collect();
        let lost: Vec<_> = answered.difference(&users).collect();
        assert_eq!(lost, [""; 0], "answered, and gone");
        // It has what the file says, and takes the other configuration.
        let reload = || asking.ask(Method::POST, "/api/v1/reload", None);
        let same = reload().await.unwrap();
        assert_eq!(same, json!({ "taken": [], "needs_restart": [] }));
        configure(folder, "sip:third@example.org");
        let taken = &reload().await.unwrap()["taken"];
        let before = taken[0]["before"]
            .as_str()
            .unwrap()
            .trim_matches('"')
            .to_owned();
        assert!(FALLBACKS.contains(&&*before), "{taken}");
        // The next one begins with one of the two.
        configure(folder, FALLBACKS[0]);
        reload().await.unwrap();
    }
    server.kill();
}
