//! What Debian's archive gives beside packages that are installed: a clean system in a folder, in which packages of ours are tried,
//! and programs that are unpacked only.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{output, run};

/// The release that is the oldest on which the package must install.
const RELEASE: &str = "bookworm";

/// The folder of a clean system. It lies outside the clone, so that it is made once a machine.
pub(crate) fn base() -> Result<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("reveille-ci").join(format!("debian-{RELEASE}")))
}

/// Makes that system if it is not there.
pub(crate) fn make_base() -> Result<()> {
    let base = base()?;
    if !base.exists() {
        let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
        ensure!(
            is_root,
            "only root can make {}: run this once as root",
            base.display()
        );
        // Half of one is never taken for a whole one.
        let part = base.with_extension("part");
        if part.exists() {
            fs::remove_dir_all(&part)?;
        }
        fs::create_dir_all(&part)?;
        run(Command::new("debootstrap")
            .args(["--variant=minbase", "--include=adduser", RELEASE])
            .arg(&part))?;
        for waste in ["var/cache/apt", "var/lib/apt/lists"] {
            fs::remove_dir_all(part.join(waste))?;
            fs::create_dir(part.join(waste))?;
        }
        fs::rename(&part, &base)?;
    }
    println!("{} is there", base.display());
    Ok(())
}

/// Unpacks the files of a package into the folder of its name, unless that is there. Nothing of it is run.
pub(crate) fn unpack(package: &str, folder: &Path) -> Result<()> {
    let (whole, part) = (folder.join(package), folder.join(format!("{package}.part")));
    if !whole.exists() {
        if part.exists() {
            fs::remove_dir_all(&part)?;
        }
        fs::create_dir_all(&part)?;
        let download = || {
            run(Command::new("apt-get")
                .args(["-q", "download", package])
                .current_dir(&part))
        };
        // Lists that are not there, or older than what the archive still has.
        if download().is_err() {
            run(Command::new("apt-get").args(["-q", "update"]))?;
            download()?;
        }
        let archives: Vec<_> = part.read_dir()?.collect::<Result<_, _>>()?;
        for archive in archives.iter().map(fs::DirEntry::path) {
            run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&part))?;
            fs::remove_file(&archive)?;
        }
        fs::rename(&part, &whole)?;
    }
    println!("{package} is unpacked");
    Ok(())
}
