//! The unit by which systemd runs the server, with nothing in its reach that it does not need.

use anyhow::Result;
use std::{fmt::Write, path::Path};

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

/// A unit for this configuration, data directory and user.
pub(super) fn unit(config: &Path, data: &Path, user: &str) -> Result<String> {
    let program = std::env::current_exe()?;
    let mut text = format!(
        "# Written by `reveille init --systemd`.
[Unit]
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
",
        program = escaped(&program),
        config = escaped(config),
        data = escaped(data),
    );
    if data == Path::new("/var/lib/reveille") {
        text += "StateDirectory=reveille\nStateDirectoryMode=0700\n";
    }
    // Homes are none of its business, unless it lives in one.
    let at_home = [config, data, program.as_path()].iter().any(|path| {
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
    Ok(text)
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
