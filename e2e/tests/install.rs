//! From nothing to a server that runs: `init`, `check`, `serve`, by whoever runs them, and the unit for systemd.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::SystemTime,
};

use reveille_e2e::{Process, Reveille, SOON, SipClient, reveille_binary};
use tempfile::TempDir;

/// A user who is not root and owns nothing. Only root can become him: who tests as another user is the service user himself.
const NOBODY: u32 = 65_534;

/// An installation in a directory of its own, on ports of its own.
struct Installation {
    folder: TempDir,
    ports: Reveille,
}

impl Installation {
    fn new() -> Self {
        let folder = TempDir::with_prefix("reveille-install-").expect("a temporary directory");
        // The service user must get to what is his in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        Self {
            folder,
            ports: Reveille::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&reveille_binary(), arguments)
    }

    /// The same of a copy of the binary.
    fn command_of(&self, binary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command.args(arguments).current_dir(self.folder.path());
        // How many shards there are is the file's to say here.
        command.env_remove("REVEILLE_SERVER__SHARDS");
        for key in [
            "sip_udp", "sip_tcp", "sip_tls", "xmpp_tcp", "xmpp_tls", "admin", "health",
        ] {
            let name = format!("REVEILLE_LISTEN__{}", key.to_uppercase());
            command.env(name, self.ports.address(key).to_string());
        }
        command
    }

    /// Runs one of the commands that take this configuration.
    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.path("etc/reveille.toml");
        let mut command = self.command(arguments);
        command.arg("--config").arg(config);
        command.output().expect("the reveille binary")
    }

    fn init(&self, more: &[&str]) -> String {
        self.init_for(["example.org", "sip.example.org"], more)
    }

    fn init_for(&self, [domain, node]: [&str; 2], more: &[&str]) -> String {
        let (etc, data) = (self.path("etc"), self.path("data"));
        let arguments = [
            "init",
            text(&etc),
            "--data-dir",
            text(&data),
            "--domain",
            domain,
            "--node",
            node,
        ];
        let mut command = self.command(&arguments);
        said(&command.args(more).output().expect("the reveille binary"))
    }

    /// Every file, when it was changed, and what is in it.
    fn files(&self) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("ours") {
                let entry = entry.expect("ours");
                let changed = entry.metadata().expect("ours").modified().expect("a time");
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    let bytes = fs::read(entry.path()).expect("ours");
                    files.insert(entry.path(), (changed, bytes));
                }
            }
        }
        files
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// What a command that must succeed printed.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn what_init_writes_is_checked_served_and_systemd_is_told() {
    let place = Installation::new();
    let steps = place.init(&[]);
    for step in [
        "reveille check",
        "reveille serve",
        "_sips._tcp.example.org.",
    ] {
        assert!(steps.contains(step), "{steps}");
    }
    let before = place.files();
    let checked = place.run(&["check"]);
    assert!(
        said(&checked).lines().all(|line| line.starts_with("ok ")),
        "{checked:?}"
    );
    assert_eq!(place.files(), before, "check changes nothing");

    let socket = place.path("notify");
    let systemd = UnixDatagram::bind(&socket).expect("a socket");
    systemd.set_read_timeout(Some(SOON)).expect("a timeout");
    let heard = || {
        let mut octets = [0; 100];
        let length = systemd.recv(&mut octets).expect("a word to systemd");
        String::from_utf8_lossy(&octets[..length]).into_owned()
    };
    let config = place.path("etc/reveille.toml");
    let mut command = place.command(&["serve", "--config", text(&config)]);
    let mut server = Process::spawn("reveille serve", command.env("NOTIFY_SOCKET", &socket));
    assert_eq!(heard(), "READY=1");
    assert!(said(&place.run(&["user", "list"])).contains("admin@example.org"));
    assert!(
        said(&place.run(&["check"])).contains("1 users"),
        "beside a running server, too"
    );
    assert!(server.terminate(SOON).success());
    assert_eq!(heard(), "STOPPING=1");
    let again = place
        .command(&["init", text(&place.path("etc"))])
        .output()
        .expect("the reveille binary");
    assert_eq!(
        again.status.code(),
        Some(1),
        "nothing is overwritten: {again:?}"
    );
}

/// Root looks and adds a user before the service has ever run: nothing of that keeps the service from its own files.
#[test]
fn what_root_does_first_is_the_services_afterwards() {
    let place = Installation::new();
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    place.init(&[]);
    let data = place.path("data");
    // As if the service had made its directory, and nothing in it yet.
    for file in fs::read_dir(&data).expect("ours") {
        fs::remove_file(file.expect("ours").path()).expect("ours");
    }
    if is_root {
        for theirs in [
            &data,
            &place.path("etc/key.pem"),
            &place.path("etc/reveille.toml"),
        ] {
            std::os::unix::fs::chown(theirs, Some(NOBODY), Some(NOBODY)).expect("root");
        }
    }
    assert!(said(&place.run(&["check"])).contains("the first start makes"));
    assert_eq!(
        fs::read_dir(&data).expect("ours").count(),
        0,
        "check made something"
    );
    said(&place.run(&["user", "add", "bob"]));

    let config = place.path("etc/reveille.toml");
    // Where the binary is built a service user may not look.
    let binary = place.path("reveille");
    fs::copy(reveille_binary(), &binary).expect("a copy");
    let mut command = place.command_of(&binary, &["serve", "--config", text(&config)]);
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut server = Process::spawn("reveille serve", &mut command);
    server.expect_anywhere("is ready", SOON);
    assert!(said(&place.run(&["user", "list"])).contains("bob@example.org"));
    assert!(server.terminate(SOON).success());
    said(&place.run(&["backup", text(&place.path("copy"))]));
}

/// Each nonsense with the key, what it says, and what is to be done.
#[test]
fn check_finds_nonsense_and_says_what_to_do() {
    let place = Installation::new();
    place.init(&[]);
    let config = place.path("etc/reveille.toml");
    let good = fs::read_to_string(&config).expect("ours");
    let key = text(&place.path("apns.p8")).to_owned();
    fs::write(
        &key,
        "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n",
    )
    .expect("ours");
    let app = format!(
        "[[push.app]]\napp = \"org.example.phone\"\nteam_id = \"ABCDE12345\"\nkey_id = \"FGHIJ67890\"\nkey_file = \"{key}\"\n"
    );
    let with = |key: &str, value: &str| {
        let line = |line: &str| {
            let is_it = line
                .trim_start_matches("#! ")
                .starts_with(&format!("{key} = "));
            if is_it {
                format!("{key} = {value}\n")
            } else {
                format!("{line}\n")
            }
        };
        good.lines().map(line).collect::<String>()
    };
    for (text, says) in [
        (
            with("fallback", "\"voicemail\""),
            &["call.fallback", "\"voicemail\"", "sip:voicemail@"][..],
        ),
        (
            with("domains", "[\"exa mple\"]"),
            &["server.domains", "\"exa mple\"", "example.org"],
        ),
        (
            with("log", "\"blah==\""),
            &["observe.log", "\"blah==\"", "info"],
        ),
        (with("held_calls", "0"), &["limits.held_calls", "default"]),
        (
            with("node", "\"other.example.org\""),
            &["tls.certificate", "other.example.org", "server.node"],
        ),
        (good.clone() + &app, &["org.example.phone", "key"]),
    ] {
        fs::write(&config, text).expect("ours");
        let output = place.run(&["check"]);
        let all = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{says:?}: {all}");
        for word in says {
            assert!(all.contains(word), "{word} not in {all}");
        }
    }
    fs::write(&config, &good).expect("ours");
    fs::set_permissions(place.path("etc/key.pem"), fs::Permissions::from_mode(0o644))
        .expect("ours");
    let mut command = place.command(&["check", "--config", text(&config)]);
    let output = command
        .env("REVEILLE_LISTEN__ADMIN", "0.0.0.0:8080")
        .output()
        .expect("the reveille binary");
    let all = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{all}");
    assert!(
        all.contains("listen.admin: 0.0.0.0:8080") && all.contains("chmod o= "),
        "{all}"
    );
}

/// systemd's own judgement. To run under it, it would have to be this system's first process.
#[test]
fn the_unit_is_sound_and_hardened() {
    let place = Installation::new();
    place.init(&["--systemd", "--service-user", "daemon"]);
    let unit = place.path("etc/reveille.service");
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&unit)
            .output();
        let output = output.expect("systemd-analyze: `cargo xtask test --only peers` installs it");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(analyze(&["verify"]), "");
    // From 0, locked up, to 100, anything goes.
    analyze(&["security", "--offline=yes", "--threshold=20", "--no-pager"]);
}

/// A phone of an app that the server learns of while it runs; what it cannot take it says, and what is wrong changes nothing.
#[test]
fn what_can_be_taken_is_taken_while_the_server_runs() {
    let place = Installation::new();
    place.init_for(["localhost", "localhost"], &[]);
    said(&place.run(&["user", "add", "bob", "--password", "wakeup"]));
    let config = place.path("etc/reveille.toml");
    let good = fs::read_to_string(&config).expect("ours");
    let clouds = Reveille::started();
    let key = clouds.data().join("lab/apns.p8");

    let mut command = place.command(&["serve", "--config", text(&config)]);
    let mut server = Process::spawn("reveille serve", &mut command);
    server.expect_anywhere("is ready", SOON);
    let phone = ";pn-provider=apns;pn-param=ABCDE12345.org.example.phone.voip;pn-prid=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let mut bob = SipClient::udp("bob", place.ports.address("sip_udp"));
    assert_eq!(bob.register(phone).status, 555, "no such app");

    let app = format!(
        "{good}\n[[push.app]]\napp = \"org.example.phone\"\nteam_id = \"ABCDE12345\"\nkey_id = \"FGHIJ67890\"\nkey_file = \"{}\"\n",
        text(&key)
    );
    let changed = app
        .replace(
            "#! fallback = \"\"",
            "fallback = \"sip:voicemail@localhost\"",
        )
        .replace("#! shards = 0", "shards = 1");
    fs::write(
        &config,
        changed.replace("sip:voicemail@localhost", "voicemail"),
    )
    .expect("ours");
    let refused = place.run(&["reload"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("call.fallback"), "{why}");
    server.hang_up();
    server.expect_anywhere("reload: nothing has changed: call.fallback", SOON);
    assert_eq!(bob.register(phone).status, 555, "nothing has changed");

    fs::write(&config, &changed).expect("ours");
    let told = said(&place.run(&["reload"]));
    for line in [
        "taken          call.fallback: \"\" -> \"sip:voicemail@localhost\"",
        "taken          push.app: [] -> [org.example.phone]",
        "needs restart  server.shards: 0 -> 1",
    ] {
        assert!(told.contains(line), "{line} not in {told}");
    }
    assert_eq!(bob.register(phone).status, 200, "the app is known");
    server.hang_up();
    server.expect_anywhere("reload: server.shards: 0 -> 1 needs a restart", SOON);

    // A key that is none: what is there goes on.
    fs::write(&config, changed.replace(text(&key), text(&config))).expect("ours");
    let refused = place.run(&["reload"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("nothing has changed"), "{why}");
    assert_eq!(bob.register(phone).status, 200);
    assert!(server.terminate(SOON).success());
}
