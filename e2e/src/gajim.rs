//! Gajim, a client with windows, on nbxmpp. It has a display that nobody sees and a D-Bus of its own, by which it is told
//! what to write; what it does is read in its log. It refuses to run as root, so it is nobody where we are root.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::{PASSWORD, Process, Reveille, SOON, Tls, XmppClient, poll};

/// The user `nobody` of Debian.
const NOBODY: u32 = 65_534;
/// A program with windows is slow to start on a busy machine.
const AT_LEISURE: Duration = Duration::from_mins(1);

/// A running Gajim.
pub struct Gajim {
    // In the order in which they are to end.
    process: Process,
    _bus: Process,
    _display: Process,
    user: String,
    home: TempDir,
    /// Where its display is.
    screen: String,
}

impl Gajim {
    /// One of a `--dev` user that has signed in by STARTTLS.
    pub fn signed_in(server: &Reveille, user: &str) -> Self {
        let home = TempDir::with_prefix("reveille-gajim-").expect("a temporary directory");
        settings(server, user, home.path());
        let display = Process::spawn(
            "Xvfb",
            Command::new("Xvfb")
                .args(["-displayfd", "1", "-nolisten", "tcp"])
                .args(["-screen", "0", "1000x640x24"]),
        );
        // When it is ready it says the number of the display, in a line of its own.
        let number = display.wait_for(0, |_, line| line.parse::<u16>().is_ok(), AT_LEISURE);
        let Some((_, number)) = number else {
            panic!("no display. Xvfb said:\n{}", display.tail());
        };
        let screen = format!(":{number}");
        let address = format!("unix:path={}", home.path().join("bus").display());
        let mut bus = Process::spawn(
            "dbus-daemon",
            as_nobody(home.path(), "dbus-daemon")
                .args(["--session", "--nofork", "--nopidfile", "--print-address"])
                .args(["--address", &address]),
        );
        bus.expect("unix:path=", AT_LEISURE);
        let mut command = as_nobody(home.path(), "gajim");
        command
            .args(["--separate", "--verbose", "--config-path"])
            .arg(config(home.path()))
            .env("DISPLAY", &screen)
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .env("NO_AT_BRIDGE", "1");
        let gajim = Self {
            process: Process::spawn(format!("Gajim of {user}"), &mut command),
            _bus: bus,
            _display: display,
            user: user.to_owned(),
            home,
            screen,
        };
        for needle in ["<enabled ", "<presence "] {
            gajim.process.expect_anywhere(needle, AT_LEISURE);
        }
        gajim
    }

    /// Adds somebody to its contacts, in the window that is for that.
    pub fn subscribe(&self, to: &str) {
        self.act(&format!("{}-add-contact", self.user), to);
        let asked = poll(SOON, || {
            // The window has what it needs already, on both of its pages.
            self.type_in("Add Contact", "Return");
            let asks = format!("to=\"{to}\" type=\"subscribe\"");
            (self.process.count(&asks) > 0).then_some(())
        });
        assert!(asked.is_some(), "{}", self.process.tail());
    }

    /// Opens the chat with somebody.
    pub fn open_chat(&self, with: &str) {
        self.act("open-chat", with);
    }

    /// Writes to somebody. It can be told to 5 s after its start, and not sooner.
    pub fn write(&self, to: &str, text: &str) {
        let method = "org.gajim.dbus.RemoteInterface.send_chat_message";
        let mut command = self.call("/org/gajim/dbus/RemoteObject", method);
        command.args([to, text, &self.user]);
        let written = poll(SOON, || {
            let output = command.output().expect("gdbus");
            output.stdout.starts_with(b"(true").then_some(())
        });
        assert!(written.is_some(), "{}", self.process.tail());
    }

    /// What one of its menus does, about somebody.
    fn act(&self, action: &str, about: &str) {
        let mut command = self.call("/org/gajim/Gajim", "org.gtk.Actions.Activate");
        let about = format!("[<['{}', '{about}']>]", self.user);
        let output = command.args([action, &about, "{}"]).output();
        let output = output.expect("gdbus");
        assert!(output.status.success(), "{output:?}");
    }

    fn call(&self, path: &str, method: &str) -> Command {
        let address = format!("unix:path={}", self.home.path().join("bus").display());
        let mut command = as_nobody(self.home.path(), "gdbus");
        command
            .args(["call", "--address", &address, "--dest", "org.gajim.Gajim"])
            .args(["--object-path", path, "--method", method]);
        command
    }

    /// Presses a key in the window of this name, if there is one.
    fn type_in(&self, window: &str, key: &str) {
        let found = Command::new("xdotool")
            .args(["search", "--name", window])
            .env("DISPLAY", &self.screen)
            .output()
            .expect("xdotool");
        let Some(id) = String::from_utf8_lossy(&found.stdout)
            .lines()
            .next()
            .map(str::to_owned)
        else {
            return;
        };
        // It may have gone meanwhile.
        let _ = Command::new("xdotool")
            .args(["windowfocus", &id, "key", key])
            .env("DISPLAY", &self.screen)
            .output();
    }

    /// Waits for a line of its log, behind the last one that was waited for.
    pub fn expect(&mut self, needle: &str) -> String {
        self.process.expect(needle, SOON)
    }

    /// What its window looks like, as a picture that is kept.
    pub fn picture(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e");
        fs::create_dir_all(&folder).expect("a folder for pictures");
        let path = folder.join(format!("{name}.png"));
        let status = Command::new("import")
            .args(["-display", &self.screen, "-window", "root"])
            .arg(&path)
            .status()
            .expect("import, of ImageMagick");
        assert!(status.success(), "{status}");
        path
    }
}

fn config(home: &Path) -> PathBuf {
    home.join("gajim")
}

/// Its settings, and the certificate that it is to believe: it asks its user for each one that no CA of the system has signed.
fn settings(server: &Reveille, user: &str, home: &Path) {
    let address = server.xmpp(Tls::Starttls);
    let folder = config(home);
    let certificates = folder.join("cert_store");
    fs::create_dir_all(&certificates).expect("a folder of our own");
    let encoded = STANDARD.encode(XmppClient::in_tls(server, Tls::Starttls).certificate());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
    fs::write(certificates.join("dev"), pem).expect("a file of our own");
    let status = Command::new("python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/peers/gajim_settings.py"
        ))
        .arg(&folder)
        .args([user, PASSWORD, &address.ip().to_string()])
        .arg(address.port().to_string())
        .status()
        .expect("python3");
    assert!(status.success(), "{status}");
    if is_root() {
        give(home);
    }
}

/// Makes a folder and all that is in it nobody's.
fn give(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    if path.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("root may");
        for entry in fs::read_dir(path).expect("a folder of our own") {
            give(&entry.expect("an entry").path());
        }
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout.starts_with(b"0\n")
}

/// A program that may not run as root. All that it keeps, it keeps in this folder.
fn as_nobody(home: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={NOBODY}"))
            .arg(format!("--regid={NOBODY}"))
            .args(["--clear-groups", "--"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env("LC_ALL", "C.UTF-8");
    for name in [
        "HOME",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
    ] {
        command.env(name, home);
    }
    command
}
