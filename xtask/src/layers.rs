//! The dependency rules of `docs/architecture.md`: which crate may build on which, and what the pure crates may
//! bring in at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::purity;
use crate::source::Source;
use crate::workspace::Workspace;

/// A crate of the workspace, and the crates of the workspace that it may use.
struct Layer {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// A crate that is not in this table fails the check: its place is a decision, made here.
const LAYERS: &[Layer] = &[
    Layer {
        name: "reveille-sip",
        may_use: &[],
    },
    Layer {
        name: "reveille-xmpp",
        may_use: &[],
    },
    Layer {
        name: "reveille-domain",
        may_use: &[],
    },
    Layer {
        name: "reveille-hub",
        may_use: &["reveille-domain"],
    },
    Layer {
        name: "reveille-call",
        may_use: &["reveille-sip", "reveille-domain", "reveille-hub"],
    },
    Layer {
        name: "reveille-im",
        may_use: &["reveille-xmpp", "reveille-domain", "reveille-hub"],
    },
    Layer {
        name: "reveille-shard",
        may_use: &[
            "reveille-sip",
            "reveille-xmpp",
            "reveille-domain",
            "reveille-hub",
            "reveille-call",
            "reveille-im",
        ],
    },
    Layer {
        name: "reveille-push",
        may_use: &["reveille-domain"],
    },
    Layer {
        name: "reveille-pushd",
        may_use: &["reveille-domain"],
    },
    Layer {
        name: "reveille-store",
        may_use: &["reveille-domain"],
    },
    Layer {
        name: "reveille-net",
        may_use: &["reveille-sip", "reveille-xmpp"],
    },
    Layer {
        name: "reveille-tunnel",
        may_use: &[],
    },
    Layer {
        name: "reveille-lab",
        may_use: &[
            "reveille-sip",
            "reveille-domain",
            "reveille-hub",
            "reveille-call",
            "reveille-im",
            "reveille-xmpp",
            "reveille-shard",
            "reveille-push",
            "reveille-net",
        ],
    },
    Layer {
        name: "reveille",
        may_use: &[
            "reveille-sip",
            "reveille-domain",
            "reveille-hub",
            "reveille-call",
            "reveille-im",
            "reveille-xmpp",
            "reveille-shard",
            "reveille-push",
            "reveille-pushd",
            "reveille-store",
            "reveille-net",
            "reveille-tunnel",
            "reveille-lab",
        ],
    },
    // Measures the binary from outside, and the pure crates and the push clients by themselves.
    Layer {
        name: "reveille-bench",
        may_use: &[
            "reveille-push",
            "reveille-sip",
            "reveille-domain",
            "reveille-hub",
            "reveille-call",
            "reveille-im",
            "reveille-xmpp",
            "reveille-shard",
        ],
    },
    // Drives the binary as its users do.
    Layer {
        name: "reveille-e2e",
        may_use: &[],
    },
    Layer {
        name: "xtask",
        may_use: &[],
    },
];

/// Crates with no I/O, clock or randomness, and all that they may use directly outside of their tests.
const PURE: &[(&str, &[&str])] = &[
    (
        "reveille-sip",
        &[
            "bytes",
            "hmac",
            "md-5",
            "memchr",
            "sha2",
            "smallvec",
            "subtle",
            "thiserror",
        ],
    ),
    (
        "reveille-xmpp",
        &[
            "base64",
            "compact_str",
            "hmac",
            "precis-profiles",
            "rxml",
            "sha1",
            "sha2",
            "smallvec",
            "stringprep",
            "subtle",
            "thiserror",
        ],
    ),
    (
        "reveille-domain",
        &[
            "bytes",
            "hashbrown",
            "serde",
            "sha2",
            "smallvec",
            "thiserror",
        ],
    ),
    (
        "reveille-hub",
        &["bytes", "serde", "smallvec", "thiserror", "tracing"],
    ),
    ("reveille-pushd", &[]),
    ("reveille-im", &["base64", "bytes", "sha1", "tracing"]),
    (
        "reveille-call",
        &[
            "base64",
            "bytes",
            "hmac",
            "sha2",
            "smallvec",
            "subtle",
            "thiserror",
            "tracing",
        ],
    ),
    ("reveille-shard", &[]),
];

/// What a pure crate must not even reach through another one: runtimes, sockets, clocks, randomness, `ring` for its own. (`rand_core`,
/// which the hashes bring along, has only the traits of randomness and no source of it.)
const IMPURE: &[&str] = &[
    "tokio",
    "ring",
    "mio",
    "socket2",
    "async-io",
    "rustix",
    "nix",
    "rand",
    "getrandom",
    "fastrand",
    "chrono",
    "time",
    "jiff",
];

/// Second TLS and crypto providers: rustls runs on ring alone (docs/adr).
const NOWHERE: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "openssl",
    "openssl-sys",
    "native-tls",
];

/// Fails with every broken rule.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut broken = broken_rules(&workspace.metadata);
    for package in list(&workspace.metadata["packages"]) {
        if PURE.iter().any(|(name, _)| *name == text(package, "name")) {
            let manifest = Path::new(text(package, "manifest_path"));
            let root = manifest.with_file_name("src").join("lib.rs");
            let file = root.strip_prefix(&workspace.root).unwrap_or(&root);
            let read = |path: &Path| fs::read_to_string(workspace.root.join(path)).ok();
            broken.extend(purity::impure_words(&Source::parse(file, &read)?));
        }
    }
    if broken.is_empty() {
        println!("crates keep to their layers, and the pure ones are pure");
        return Ok(());
    }
    for rule in &broken {
        println!("- {rule}");
    }
    bail!("{} rule(s) broken", broken.len());
}

fn broken_rules(metadata: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let members: BTreeSet<&str> = list(&metadata["workspace_members"])
        .filter_map(Value::as_str)
        .collect();
    let packages: Vec<&Value> = list(&metadata["packages"]).collect();
    let ours: Vec<&Value> = packages
        .iter()
        .copied()
        .filter(|package| members.contains(text(package, "id")))
        .collect();
    let our_names: BTreeSet<&str> = ours.iter().map(|package| text(package, "name")).collect();

    for package in &ours {
        let name = text(package, "name");
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            broken.push(format!(
                "{name} has no place among the layers (xtask/src/layers.rs)"
            ));
            continue;
        };
        let used: Vec<&Value> = list(&package["dependencies"]).collect();
        for dependency in used.iter().map(|used| text(used, "name")) {
            if our_names.contains(dependency) && !layer.may_use.contains(&dependency) {
                broken.push(format!("{name} may not use {dependency}"));
            }
        }
        let Some((_, allowed)) = PURE.iter().find(|(pure, _)| *pure == name) else {
            continue;
        };
        for dependency in used
            .iter()
            .filter(|used| text(used, "kind") != "dev")
            .map(|used| text(used, "name"))
        {
            if !our_names.contains(dependency) && !allowed.contains(&dependency) {
                broken.push(format!("{name} is pure and may not use {dependency}"));
            }
        }
        for reached in reached_from(metadata, text(package, "id")) {
            let reached = packages
                .iter()
                .find(|package| text(package, "id") == reached)
                .map_or("", |found| text(found, "name"));
            if IMPURE.contains(&reached) {
                broken.push(format!(
                    "{name} is pure and reaches {reached} through its dependencies"
                ));
            }
        }
    }
    for package in &packages {
        let name = text(package, "name");
        if NOWHERE.contains(&name) {
            broken.push(format!(
                "{name} is in the dependency tree: `cargo tree -i {name}` tells through whom"
            ));
        }
    }
    broken
}

/// The ids of all packages that `id` is built from, tests and build scripts aside.
fn reached_from<'a>(metadata: &'a Value, id: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![id];
    while let Some(id) = next.pop() {
        let Some(node) = list(&metadata["resolve"]["nodes"]).find(|node| text(node, "id") == id)
        else {
            continue;
        };
        for dependency in list(&node["deps"]) {
            let normal = list(&dependency["dep_kinds"])
                .any(|kind| kind["kind"].is_null() && kind["target"].is_null());
            let id = text(dependency, "pkg");
            if normal && reached.insert(id) {
                next.push(id);
            }
        }
    }
    reached
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A workspace of one member and what it uses; each of those may use one thing more.
    fn metadata(member: &str, uses: &[(&str, Value)], resolved: &[(&str, &str)]) -> Value {
        let dependencies: Vec<Value> = uses
            .iter()
            .map(|(name, kind)| json!({"name": name, "kind": kind}))
            .collect();
        let mut packages =
            vec![json!({"id": member, "name": member, "dependencies": dependencies})];
        let mut members = vec![json!(member)];
        for (name, _) in uses {
            packages.push(json!({"id": name, "name": name, "dependencies": []}));
            if name.starts_with("reveille") {
                members.push(json!(name));
            }
        }
        for (_, to) in resolved {
            packages.push(json!({"id": to, "name": to, "dependencies": []}));
        }
        let nodes: Vec<Value> = resolved
            .iter()
            .map(|(from, to)| json!({"id": from, "deps": [{"pkg": to, "dep_kinds": [{"kind": null, "target": null}]}]}))
            .collect();
        json!({"workspace_members": members, "packages": packages, "resolve": {"nodes": nodes}})
    }

    #[test]
    fn a_layer_does_not_build_on_one_above_it() {
        let up = metadata("reveille-sip", &[("reveille-net", Value::Null)], &[]);
        assert_eq!(broken_rules(&up), ["reveille-sip may not use reveille-net"]);
        let down = metadata("reveille-net", &[("reveille-sip", Value::Null)], &[]);
        assert!(broken_rules(&down).is_empty());
    }

    #[test]
    fn nothing_imports_the_server() {
        for layer in LAYERS {
            assert!(!layer.may_use.contains(&"reveille"), "{}", layer.name);
        }
    }

    #[test]
    fn a_pure_crate_uses_only_what_is_allowed_to_it() {
        let broken = broken_rules(&metadata("reveille-domain", &[("tokio", Value::Null)], &[]));
        assert_eq!(broken, ["reveille-domain is pure and may not use tokio"]);
        let tests = metadata("reveille-domain", &[("proptest", json!("dev"))], &[]);
        assert!(broken_rules(&tests).is_empty());
    }

    #[test]
    fn a_pure_crate_does_not_reach_a_runtime_through_another() {
        let through = metadata(
            "reveille-sip",
            &[("bytes", Value::Null)],
            &[("reveille-sip", "bytes"), ("bytes", "getrandom")],
        );
        assert_eq!(
            broken_rules(&through),
            ["reveille-sip is pure and reaches getrandom through its dependencies"]
        );
    }

    #[test]
    fn a_crate_without_a_place_and_a_second_provider_are_found() {
        let stray = metadata("reveille-stray", &[("openssl", Value::Null)], &[]);
        assert_eq!(broken_rules(&stray).len(), 2);
    }
}
