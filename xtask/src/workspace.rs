//! Where the workspace is, and its files.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{cargo, output};

/// The workspace in which cargo runs this program.
pub(crate) struct Workspace {
    /// Its root folder.
    pub(crate) root: PathBuf,
    /// `cargo metadata` of it.
    pub(crate) metadata: serde_json::Value,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        // Asked when it runs: checkouts that share a target folder may share this program, too.
        let folder = env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
        let root = Path::new(&folder)
            .parent()
            .context("xtask is a folder of the workspace")?;
        let metadata = output(cargo(root).args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--all-features",
        ]))?;
        let metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
        Ok(Self {
            root: root.to_owned(),
            metadata,
        })
    }

    /// Cargo's target folder.
    pub(crate) fn target(&self) -> PathBuf {
        let named = self.metadata["target_directory"].as_str();
        named.map_or_else(|| self.root.join("target"), PathBuf::from)
    }

    /// Every file under `folder` that ends in one of `endings`; none if there is no such folder.
    pub(crate) fn files(&self, folder: &str, endings: &[&str]) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.join(folder)];
        while let Some(folder) = folders.pop() {
            if !folder.is_dir() {
                continue;
            }
            for entry in folder
                .read_dir()
                .with_context(|| format!("cannot list {}", folder.display()))?
            {
                let path = entry?.path();
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                if path.is_dir() {
                    if name != "target" && !name.starts_with('.') {
                        folders.push(path);
                    }
                } else if endings.iter().any(|ending| name.ends_with(ending)) {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}
