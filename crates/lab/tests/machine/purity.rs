//! What the pure parts of this crate must not name: a module has no `clippy.toml` of its own.

use std::fs;
use std::path::{Path, PathBuf};

const PURE: [&str; 4] = [
    "src/phone/chat",
    "src/phone/machine",
    "src/sim",
    "src/rng.rs",
];

const FORBIDDEN: [&str; 9] = [
    "tokio",
    "ring::rand",
    "Instant::now",
    "SystemTime",
    "spawn",
    "std::fs",
    "TcpStream",
    "UdpSocket",
    // Their order is drawn from the system.
    "HashMap",
];

#[test]
fn machines_know_no_clock_no_runtime_no_entropy_and_no_sockets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = PURE
        .iter()
        .flat_map(|path| sources(&root.join(path)))
        .collect();
    assert!(files.len() > 20, "only {files:?}");
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        // Tests begin somewhere; nothing that runs does.
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for word in FORBIDDEN {
            assert!(!source.contains(word), "{word} in {}", file.display());
        }
    }
}

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap();
    entries
        .flat_map(|entry| sources(&entry.unwrap().path()))
        .collect()
}
