//! A clean Debian in a folder of its own, with a network of its own: a package is installed in it, and what the documentation
//! says is done in it word by word, on the ports that it names. Nothing of it is seen outside, and all of it goes with the value.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::{Process, SOON, reveille_binary};

/// Where `cargo xtask test` has said that the base system is.
const BASE: &str = "REVEILLE_DEBIAN";

/// What a shell of root has there, and no more.
const ENVIRONMENT: [(&str, &str); 5] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/root"),
    ("TERM", "dumb"),
    ("LANG", "C.UTF-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];

/// What the namespaces are kept by: it has its own network, mounts what a system mounts, and waits.
const HOLD: &str = "
ip link set lo up
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
chmod 1777 tmp
echo held
exec cat";

/// Where a package has its unit, and an operator what is added to that.
const UNIT: &str = "/usr/lib/systemd/system/reveille.service";
const DROP_IN: &str = "/etc/systemd/system/reveille.service.d/override.conf";

/// What a package does when it is installed.
const POSTINST: &str = include_str!("../../contrib/debian/postinst");

/// The system.
pub struct Clean {
    // Ended before its folder goes.
    holder: Process,
    folder: TempDir,
}

impl Clean {
    /// A copy of the base system, in namespaces of its own. Only root can make it.
    pub fn started() -> Self {
        let base = std::env::var_os(BASE).unwrap_or_else(|| {
            panic!("{BASE} names no Debian: `cargo xtask test --only peers` makes one")
        });
        let folder = TempDir::with_prefix("reveille-clean-").expect("a temporary directory");
        // The service user must get to what is his in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]);
        copy.arg(Path::new(&base).join(".")).arg(folder.path());
        assert!(copy.status().expect("cp").success(), "{copy:?}");
        let mut hold = Command::new("unshare");
        hold.args(["--net", "--mount", "sh", "-e", "-c", HOLD])
            .current_dir(folder.path());
        let holder = Process::spawn("a clean Debian", &mut hold);
        holder.expect_anywhere("held", SOON);
        Self { holder, folder }
    }

    /// The same with the program under test, as its package would have brought it.
    pub fn with_program() -> Self {
        let clean = Self::started();
        fs::copy(reveille_binary(), clean.path("/usr/bin/reveille")).expect("the binary");
        clean.run(&format!(
            "mkdir -p {} && reveille config unit >{UNIT}",
            UNIT.rsplit_once('/').expect("a path").0
        ));
        fs::write(clean.path("/root/postinst"), POSTINST).expect("ours");
        clean.run("sh /root/postinst configure");
        clean
    }

    /// A cable to another one, with these addresses at its ends.
    pub fn joins(&self, other: &Self, [ours, theirs]: [&str; 2]) {
        let (id, link) = (other.holder.id(), format!("to{}", other.holder.id()));
        let mut near = self.on_its_network("ip", &["link", "add", &link, "type", "veth", "peer"]);
        near.args(["name", "out", "netns", &id.to_string()]);
        succeeds(near);
        for (of, link, address) in [(self, &*link, ours), (other, "out", theirs)] {
            let address = format!("{address}/24");
            succeeds(of.on_its_network("ip", &["address", "add", &address, "dev", link]));
            succeeds(of.on_its_network("ip", &["link", "set", link, "up"]));
        }
    }

    /// A program of the host that tests, on the network of this one.
    pub fn on_its_network(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net", program]);
        command.args(arguments);
        command
    }

    /// The server as the unit that was installed has it run; here is no systemd to do so.
    pub fn service(&self) -> Process {
        let unit = fs::read_to_string(self.path(UNIT)).expect("the unit");
        let drop_in = fs::read_to_string(self.path(DROP_IN)).unwrap_or_default();
        let value = |of: &str, key: &str| {
            let value = |line: &str| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned());
            of.lines().find_map(value)
        };
        let named = |key| value(&unit, key).unwrap_or_else(|| panic!("no {key} in {unit}"));
        // What is in the drop-in is more than what is in the unit (systemd.exec(5)).
        let capabilities = |key| {
            let both = [Some(named(key)), value(&drop_in, key)];
            let words = both.iter().flatten().flat_map(|it| it.split_whitespace());
            let names = words.map(|it| it.to_lowercase().replacen("cap_", ",+", 1));
            names.collect::<String>()
        };
        let may = capabilities("AmbientCapabilities");
        let line = format!(
            "--bounding-set=-all{} --inh-caps=-all{may} --ambient-caps=-all{may} {}",
            capabilities("CapabilityBoundingSet"),
            named("ExecStart")
        );
        let server = self.spawn(&as_user(&named("User"), &line));
        server.expect_anywhere("is ready", SOON);
        server
    }

    /// A file in it, as it is seen from outside. What lies in its `/run` and `/tmp` is not.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    /// This for root's shell there, which becomes what it runs if it runs one thing.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.holder.id().to_string()])
            .args(["--net", "--mount", "chroot"])
            .arg(self.folder.path())
            .args(["sh", "-e", "-c", line])
            .env_clear()
            .envs(ENVIRONMENT);
        command
    }

    /// Runs it to its end, however that is.
    pub fn output(&self, line: &str) -> Output {
        self.command(line).output().expect("nsenter")
    }

    /// Runs what must succeed, and returns what it printed.
    pub fn run(&self, line: &str) -> String {
        let output = self.output(line);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "`{line}` ended with {}:\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// Starts one thing, which is that process itself.
    pub fn spawn(&self, line: &str) -> Process {
        Process::spawn(line, &mut self.command(&format!("exec {line}")))
    }
}

/// What `runuser` runs, as the process itself and not as a child of it.
pub fn as_user(user: &str, line: &str) -> String {
    format!("setpriv --reuid={user} --regid={user} --init-groups {line}")
}

fn succeeds(mut command: Command) {
    let output = command.output().expect("nsenter");
    assert!(output.status.success(), "{command:?}: {output:?}");
}
