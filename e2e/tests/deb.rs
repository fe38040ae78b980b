//! The Debian package in a clean system: installed, used as the documentation says, upgraded, removed and purged.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use reveille_e2e::{Clean, Process, SOON, as_user};
use tempfile::TempDir;

/// The package under test: `cargo xtask test` has said where it is.
fn package() -> PathBuf {
    let path = std::env::var_os("REVEILLE_DEB");
    path.expect("REVEILLE_DEB names no package: `cargo xtask deb` makes one")
        .into()
}

/// The page that says how to install: what is tried is what is written there.
const PAGE: &str = include_str!("../../docs/operations/install.md");

/// The page that has the hook for renewals.
const RENEWAL: &str = include_str!("../../docs/operations/reload.md");

/// A line of it.
fn documented(line: &str) -> &str {
    assert!(PAGE.contains(line), "install.md does not have: {line}");
    line
}

/// The lines of a page from this one to the end of their block.
fn documented_block(page: &str, first: &str) -> String {
    let begins = page.find(first).expect(first);
    let lines = page[begins..].lines().take_while(|line| !line.is_empty());
    let lines = lines.map(|line| line.trim_start_matches("    "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// A line of it, after which somebody says yes.
fn confirmed(line: &str) -> String {
    format!("echo y | {}", documented(line))
}

/// A system with the package installed.
fn installed() -> Clean {
    let clean = Clean::started();
    let file = clean.path("/root/reveille_0.1.0_amd64.deb");
    fs::copy(package(), file).expect("the package");
    let install = documented("apt install ./reveille_0.1.0_amd64.deb");
    let said = clean.run(&format!("cd /root && {install}"));
    assert!(said.contains("reveille init /etc/reveille"), "{said}");
    clean
}

fn phone(clean: &Clean, user: &str) -> Process {
    let line =
        format!("reveille lab phone {user}@example.org --transport tls --ca /etc/reveille/ca.pem");
    let mut phone = clean.spawn(documented(&line));
    phone.expect("registered for", SOON);
    phone
}

/// A certificate is renewed, and the hook of the page is called as the client of ACME would: what is served is the new one.
fn renewed(clean: &Clean, server: &Process) {
    let lineage = "/etc/letsencrypt/live/example.org";
    let init = "reveille init /root/renewed --data-dir /root/renewed --domain example.org --node sip.example.org";
    clean.run(init);
    clean.run(&format!(
        "mkdir -p {lineage} /etc/letsencrypt/renewal-hooks/deploy"
    ));
    for (made, renewed) in [("key", "privkey"), ("certificate", "fullchain")] {
        clean.run(&format!(
            "cp /root/renewed/{made}.pem {lineage}/{renewed}.pem"
        ));
    }
    let hook = "/etc/letsencrypt/renewal-hooks/deploy/reveille";
    // Here is no systemd: this does what the unit says of a reload.
    let (id, stand_in) = (server.id(), "/usr/local/bin/systemctl");
    let reload = format!("#!/bin/sh -e\ntest \"$*\" = 'reload reveille'\nkill -HUP {id}\n");
    for (file, text) in [
        (hook, documented_block(RENEWAL, "#!/bin/sh -e")),
        (stand_in, reload),
    ] {
        fs::write(clean.path(file), text).expect("ours");
        clean.run(&format!("chmod 755 {file}"));
    }
    clean.run(&format!("RENEWED_LINEAGE={lineage} {hook}"));
    server.expect_anywhere("reload: nothing has changed", SOON);
    for (file, is) in [("key", "reveille 600\n"), ("certificate", "reveille 644\n")] {
        let file = format!("/etc/reveille/{file}.pem");
        assert_eq!(clean.run(&format!("stat -c '%U %a' {file}")), is, "{file}");
    }
    // It finds no DNS here, and so ends with 1.
    let said = clean.output("reveille doctor").stdout;
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.contains("listen.sip_tls: 127.0.0.1:5061 shows it"),
        "{said}"
    );
    clean.run(&format!("rm -r /etc/letsencrypt {stand_in}"));
}

/// From the page to a phone that rings, as the service user, over TLS.
fn used(clean: &Clean) {
    let init = "reveille init /etc/reveille --domain example.org --node sip.example.org";
    let steps = clean.run(documented(init));
    assert!(steps.contains("systemctl enable --now reveille"), "{steps}");
    let checked = clean.run(documented("reveille check"));
    assert!(checked.lines().all(|it| it.starts_with("ok ")), "{checked}");
    let mut server = clean.service();

    let lab = "reveille lab --keys /var/lib/reveille/lab";
    documented(&format!("runuser -u reveille -- {lab}"));
    let clouds = clean.spawn(&as_user("reveille", lab));
    clouds.expect_anywhere("control http", SOON);
    clean.run(&documented_block(PAGE, "sed -i 's|^#! ca = "));
    for line in [
        "reveille check",
        "reveille reload",
        "reveille user add alice --password wakeup",
        "reveille user add bob --password wakeup",
    ] {
        clean.run(documented(line));
    }
    let [mut bob, mut alice] = ["bob", "alice"].map(|user| phone(clean, user));
    bob.say(documented("suspend"));
    bob.expect("asleep", SOON);
    alice.say(documented("call bob"));
    bob.expect("push on the voip channel", SOON);
    bob.expect("ringing", SOON);
    bob.say(documented("answer"));
    alice.expect("answered", SOON);
    let calls = clean.run(documented("reveille trace"));
    assert!(calls.contains("bob@example.org"), "{calls}");
    renewed(clean, &server);
    assert!(server.terminate(SOON).success());
}

/// The same package with a higher version.
fn newer(folder: &Path) -> PathBuf {
    let [tree, file] = ["tree", "newer.deb"].map(|name| folder.join(name));
    let dpkg_deb = |arguments: &[&str]| {
        let status = Command::new("dpkg-deb").args(arguments).status();
        assert!(status.expect("dpkg-deb").success(), "{arguments:?}");
    };
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    dpkg_deb(&["-R", &text(&package()), &text(&tree)]);
    let control = tree.join("DEBIAN/control");
    let old = fs::read_to_string(&control).expect("its control file");
    let new = old.replace("\nVersion: ", "\nVersion: 1:");
    assert_ne!(new, old);
    fs::write(&control, new).expect("ours");
    dpkg_deb(&[
        "-Znone",
        "--root-owner-group",
        "-b",
        &text(&tree),
        &text(&file),
    ]);
    file
}

const OURS: &str = "find /etc/reveille /var/lib/reveille -type f -exec sha256sum {} + | sort";

#[test]
fn the_package_has_what_it_should_have() {
    let clean = installed();
    assert_eq!(
        clean.run("stat -c '%U %a' /var/lib/reveille"),
        "reveille 700\n"
    );
    assert_eq!(clean.run("ls /etc/reveille"), "", "nothing is configured");
    for (file, made_by) in [
        ("/usr/lib/systemd/system/reveille.service", "config unit"),
        (
            "/usr/share/doc/reveille/examples/reveille.toml",
            "config example",
        ),
        (
            "/usr/share/bash-completion/completions/reveille",
            "completions bash",
        ),
        (
            "/usr/share/zsh/vendor-completions/_reveille",
            "completions zsh",
        ),
        (
            "/usr/share/fish/vendor_completions.d/reveille.fish",
            "completions fish",
        ),
    ] {
        let made = clean.run(&format!("reveille {made_by}"));
        let packed = fs::read_to_string(clean.path(file)).expect(file);
        assert_eq!(packed, made, "{file}");
    }
    for line in [
        "test -s /usr/share/doc/reveille/copyright",
        "test -s /usr/share/doc/reveille/examples/prometheus/reveille.rules.yml",
        "test -s /usr/share/doc/reveille/examples/grafana/reveille.json",
        "gzip -dc /usr/share/man/man1/reveille.1.gz | grep -q SUBCOMMANDS",
        "gzip -dc /usr/share/man/man1/reveille-user-add.1.gz | grep -q SYNOPSIS",
        "bash -n /usr/share/bash-completion/completions/reveille",
        "reveille check --config /usr/share/doc/reveille/examples/reveille.toml",
    ] {
        clean.run(line);
    }
    let served =
        clean.output("runuser -u reveille -- reveille serve --config /etc/reveille/reveille.toml");
    let why = String::from_utf8_lossy(&served.stderr).into_owned();
    assert_eq!(served.status.code(), Some(1), "{why}");
    assert!(why.contains("reveille init"), "{why}");
}

#[test]
fn the_package_is_used_upgraded_removed_and_purged() {
    let clean = installed();
    used(&clean);
    let before = clean.run(OURS);
    assert!(before.contains("/etc/reveille/reveille.toml"), "{before}");

    let folder = TempDir::with_prefix("reveille-deb-").expect("a temporary directory");
    fs::copy(newer(folder.path()), clean.path("/root/newer.deb")).expect("ours");
    clean.run("cd /root && apt install ./newer.deb");
    assert!(clean.run("dpkg -s reveille").contains("Version: 1:"));
    assert_eq!(clean.run(OURS), before, "an upgrade changes nothing");
    let mut server = clean.service();
    assert!(clean.run("reveille user list").contains("bob@example.org"));
    assert!(server.terminate(SOON).success());

    let before = clean.run(OURS);
    clean.run(&confirmed("apt remove reveille"));
    assert!(!clean.path("/usr/bin/reveille").exists());
    assert_eq!(clean.run(OURS), before, "what is removed keeps its data");
    clean.run(&confirmed("apt purge reveille"));
    let left = clean.run("find / -xdev -iname '*reveille*' -not -path '/root/*'");
    assert_eq!(left, "", "purged");
}
