//! The unit by which systemd runs the server, with nothing in its reach that it does not need.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

/// Where a server keeps its data whose configuration is the system's.
pub(super) const DATA: &str = "/var/lib/reveille";

/// The system's configuration.
const CONFIG: &str = "/etc/reveille/reveille.toml";

/// Who runs the server, if nothing is said.
pub(super) const USER: &str = "reveille";

/// Where packages have their units.
const PACKAGED: &str = "/usr/lib/systemd/system/reveille.service";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the program is
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/reveille")]
    program: PathBuf,
}

/// The unit of a package.
pub(super) fn print(Args { program }: &Args) {
    let unit = unit(program, Path::new(CONFIG), Path::new(DATA), USER);
    crate::output::this(&unit);
}

/// Whether a package has brought a unit for this configuration, data directory and user.
pub(super) fn is_packaged(config: &Path, data: &Path, user: &str) -> bool {
    let usual = (Path::new(CONFIG), Path::new(DATA), USER);
    (config, data, user) == usual && Path::new(PACKAGED).exists()
}

/// What it may not do, and why each is no loss.
const SANDBOX: &[(&str, &str)] = &[
    // It reads its configuration and writes its data.
    ("ProtectSystem", "strict"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("NoNewPrivileges", "yes"),
    // Its ports are above 1023.
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    // Netlink: which addresses this host has. Unix: systemd is told that we are ready.
    (
        "RestrictAddressFamilies",
        "AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    ),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("RemoveIPC", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged"),
    ("SystemCallErrorNumber", "EPERM"),
    ("UMask", "0077"),
];

/// A unit for this program, configuration, data directory and user.
pub(super) fn unit(program: &Path, config: &Path, data: &Path, user: &str) -> String {
    let mut text = format!(
        "[Unit]
Description=Reveille: calls and messages reach phones whose app is asleep
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
User={user}
ExecStart={program} serve --config {config}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1s
TimeoutStartSec=120s
TimeoutStopSec=30s
LimitNOFILE=1048576
ReadWritePaths={data}
# For listen.admin_socket.
RuntimeDirectory=reveille
",
        program = escaped(program),
        config = escaped(config),
        data = escaped(data),
    );
    if data == Path::new(DATA) {
        text += "StateDirectory=reveille\nStateDirectoryMode=0700\n";
    }
    // Homes are none of its business, unless it lives in one.
    let at_home = [config, data, program].iter().any(|path| {
        ["/home", "/root", "/run/user"]
            .iter()
            .any(|home| path.starts_with(home))
    });
    text += if at_home {
        "ProtectHome=read-only\n"
    } else {
        "ProtectHome=yes\n"
    };
    for (key, value) in SANDBOX {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{key}={value}");
    }
    text += "\n[Install]\nWantedBy=multi-user.target\n";
    text
}

/// A path as a word of a unit: `%` begins a specifier, and a space a word.
fn escaped(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains(char::is_whitespace) {
        format!("\"{text}\"")
    } else {
        text
    }
}
