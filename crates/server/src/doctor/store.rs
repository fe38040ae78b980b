//! The database and where it lies: read beside a running server, and nothing of it changed.

use super::report::Report;
use crate::config::Config;
use std::{io::Write, os::unix::fs::MetadataExt, path::Path};

/// Less than this is a matter of days.
const LITTLE: u64 = 1 << 30;
/// Less than this is a matter of hours: a checkpoint or a backup may not fit.
const TOO_LITTLE: u64 = 100 << 20;

/// What is written to see whether that can be done: as much as a small commit.
const PROBE: usize = 64 << 10;

pub(super) fn look(config: &Config, report: &mut Report) {
    let url = config.store_url();
    let Some(path) = url.strip_prefix("sqlite:").map(Path::new) else {
        return report.warn(
            "store",
            format!("{url}: everything is gone when the server stops"),
            "set store.url to sqlite:PATH for anything but a trial",
        );
    };
    let folder = store::directory_of(path);
    rows(&url, report);
    writable(folder, report);
    of_one(path, folder, report);
    if folder != config.server.data_dir && config.server.data_dir.exists() {
        writable(&config.server.data_dir, report);
    }
    space(folder, report);
}

fn rows(url: &str, report: &mut Report) {
    match store::survey(url) {
        Err(error @ store::OpenError::DiskFull(_)) => report.fail(
            "store",
            error.to_string(),
            "make room on that disk (`df -h`): what is in the database is whole",
        ),
        Err(error) => report.fail(
            "store",
            format!("{url}: {error}"),
            "`reveille restore FILE` puts a backup in its place, and keeps what is there",
        ),
        Ok(None) => report.warn(
            "store",
            format!("{url} is not there yet"),
            "the first start of the server makes it",
        ),
        Ok(Some(found)) if !found.structure.is_empty() => report.fail(
            "store",
            format!("{url}: it is damaged: {}", found.structure[0]),
            "put a backup in its place: stop the server, `reveille restore FILE`; it may run still, and not start again",
        ),
        Ok(Some(found)) if !found.damaged.is_empty() => report.fail(
            "store",
            format!("{url}: {} rows are damaged", found.damaged.len()),
            "`reveille store check` names them; a start sets them aside",
        ),
        Ok(Some(found)) if found.schema != found.newest => report.warn(
            "store",
            format!("{url}: schema {}, this version writes {}", found.schema, found.newest),
            "`reveille backup FILE`, then start this version of the server, which brings it up to date",
        ),
        Ok(Some(found)) => report.ok(
            "store",
            format!(
                "{url}: {} users, {} devices, schema {}, nothing is damaged",
                found.users, found.devices, found.schema
            ),
        ),
    }
}

/// As who asks, who may be another than the server.
fn writable(folder: &Path, report: &mut Report) {
    let shown = folder.display();
    let written =
        tempfile::tempfile_in(folder).and_then(|mut file| file.write_all(&vec![0; PROBE]));
    match written {
        Ok(()) => report.ok("store", format!("{shown} can be written")),
        Err(error) => report.fail(
            "store",
            format!("{shown} cannot be written: {error}"),
            "run this as the user of the server; then make space, mount it for writing, or `chown` it to that user",
        ),
    }
}

/// Who asks may be root, who can write everything; the server is whom it all belongs to.
fn of_one(database: &Path, folder: &Path, report: &mut Report) {
    let owner = |path: &Path| std::fs::metadata(path).map(|found| found.uid());
    if let (Ok(its), Ok(of_folder)) = (owner(database), owner(folder))
        && its != of_folder
    {
        report.fail(
            "store",
            format!(
                "{} belongs to another user (id {of_folder}) than the database in it (id {its})",
                folder.display()
            ),
            format!(
                "`chown -R` {} to the user that runs the server",
                folder.display()
            ),
        );
    }
}

fn space(folder: &Path, report: &mut Report) {
    let shown = folder.display();
    let free = match store::free_space(folder) {
        Ok(free) => free,
        Err(error) => {
            let remedy = "see `df`";
            return report.warn(
                "store",
                format!("{shown}: how much is free is not known: {error}"),
                remedy,
            );
        }
    };
    let what = format!("{shown} has {} MB free", free >> 20);
    let remedy = "make room: nothing new is taken once it is full";
    if free < TOO_LITTLE {
        report.fail("store", what, remedy);
    } else if free < LITTLE {
        report.warn("store", what, remedy);
    } else {
        report.ok("store", what);
    }
}
