//! The thread that writes and those that read, and how they are asked.

use super::{
    columns,
    database::Database,
    open,
    readers::Readers,
    writer::{Writer, Writes},
};
use crate::{Answer, OpenError, limits};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// See the parent module.
pub(crate) struct SqliteStore {
    pub(super) writer: Arc<Writer>,
    pub(super) readers: Arc<Readers>,
    pub(super) path: PathBuf,
}

impl SqliteStore {
    /// `writes`: how steps and notes are written.
    pub(super) fn with(writes: Writes, path: &Path) -> Result<Self, OpenError> {
        let writing = open::for_writing(path)?;
        let reading = (0..limits::READERS)
            .map(|_| open::for_reading(path))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            writer: Arc::new(Writer::start(writes, writing, path)?),
            readers: Arc::new(Readers::start(reading, path)?),
            path: path.to_owned(),
        })
    }

    /// Asks once the notes that were handed in before are written. Those that could not be are no reason to keep silent
    /// about the others.
    pub(super) fn read_notes<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Database<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let flushed = self.writer.flush();
        let readers = Arc::clone(&self.readers);
        Box::pin(async move {
            let _ = flushed.await;
            readers.read(query).await
        })
    }
}

/// A limit as a parameter.
pub(super) fn rows(limit: usize) -> i64 {
    columns::number(limit.min(limits::READ_ROWS))
}
