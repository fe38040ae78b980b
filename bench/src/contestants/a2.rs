//! a2 knows no address but Apple's, and trusts no roots but the public ones: those two are changed in a copy of its source, and nothing else.

use super::done;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Of crates.io.
pub(super) const VERSION: &str = "0.10.0";

const MANIFEST: &str = include_str!("../../clients/a2/Cargo.toml");
const MAIN: &str = include_str!("../../clients/a2/main.rs");

/// The host of its sandbox, in its source.
const HOST: &str = "Endpoint::Sandbox => \"api.development.push.apple.com\",";
const OUR_HOST: &str = "Endpoint::Sandbox => at(),";
/// A way to a client by another connector, which it has itself but keeps to itself.
const MORE: &str = "
/// Where the cloud is: of the order with which the program was started.
fn at() -> &'static str {
    static AT: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let order = std::env::args().nth(1).unwrap_or_default();
        let order: serde_json::Value = serde_json::from_str(&order).unwrap_or_default();
        format!(\"{}:{}\", order[\"host\"].as_str().unwrap_or_default(), order[\"port\"])
    });
    &AT
}

impl Client {
    /// Through this connector, to the address of the order.
    pub fn at(connector: HttpsConnector<HttpConnector>, key: &[u8], key_id: &str, team_id: &str) -> Self {
        let signer = Signer::new(key, key_id, team_id, Duration::from_secs(60 * 55)).expect(\"a key\");
        let config = ClientConfig::new(Endpoint::Sandbox);
        Self::builder().config(config).signer(signer).connector(connector).build()
    }
}
";

/// The program that is built.
pub(super) fn program(folder: &Path) -> PathBuf {
    folder.join("a2-target/release/a2-contestant")
}

/// Gets the source, changes it, and builds the contestant.
pub(super) fn build(folder: &Path) -> Result<()> {
    let (copy, own) = (folder.join("a2"), folder.join("a2-contestant"));
    if !copy.exists() {
        let source = source(folder)?;
        done(Command::new("cp").arg("-r").arg(source).arg(&copy))?;
        let client = copy.join("src/client.rs");
        let text = fs::read_to_string(&client)?;
        ensure!(text.contains(HOST), "a2's source is another one");
        let text = text.replace(HOST, OUR_HOST) + MORE;
        fs::write(&client, text)?;
    }
    fs::create_dir_all(own.join("src"))?;
    fs::write(own.join("Cargo.toml"), MANIFEST)?;
    fs::write(own.join("src/main.rs"), MAIN)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--manifest-path"]);
    cargo.arg(own.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(folder.join("a2-target"));
    done(&mut cargo).context("building a2")?;
    Ok(())
}

/// Where cargo keeps it.
fn source(folder: &Path) -> Result<PathBuf> {
    let wanting = folder.join("wants-a2");
    fs::create_dir_all(&wanting)?;
    let manifest = format!(
        "[package]\nname = \"wants-a2\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n\
         [dependencies]\na2 = {{ version = \"={VERSION}\", default-features = false, features = [\"ring\"] }}\n"
    );
    fs::write(wanting.join("Cargo.toml"), manifest)?;
    fs::write(wanting.join("lib.rs"), "")?;
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version", "1", "--manifest-path"]);
    let metadata = done(cargo.arg(wanting.join("Cargo.toml")))?;
    let metadata: Value = serde_json::from_slice(&metadata)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let a2 = packages.iter().find(|it| it["name"] == "a2");
    let manifest = a2.and_then(|it| it["manifest_path"].as_str());
    let manifest = Path::new(manifest.context("where a2 is")?);
    Ok(manifest.parent().context("its folder")?.to_owned())
}
