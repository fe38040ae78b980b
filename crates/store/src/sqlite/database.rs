//! One connection with every statement of the table prepared, for as long as it lives.

use super::{failure::store_error, sql::Sql};
use crate::StoreError;
use rusqlite::{Connection, OptionalExtension, Params, Result, Row, Statement};
use sha2::{Digest, Sha256};

/// See the module. A statement is prepared when it is used first.
pub(super) struct Database<'c> {
    connection: &'c Connection,
    statements: Vec<Option<Statement<'c>>>,
}

impl<'c> Database<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            statements: Sql::ALL.iter().map(|_| None).collect(),
        }
    }

    /// What needs no statement of the table.
    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }

    fn statement(&mut self, statement: Sql) -> Result<&mut Statement<'c>> {
        let held = &mut self.statements[statement as usize];
        match held {
            Some(held) => Ok(held),
            None => Ok(held.insert(self.connection.prepare(statement.text())?)),
        }
    }

    /// Runs a statement that answers nothing; says how many rows it changed.
    pub(super) fn run(&mut self, statement: Sql, params: impl Params) -> Result<usize> {
        self.statement(statement)?.execute(params)
    }

    /// The first row of the answer.
    pub(super) fn one<T>(
        &mut self,
        statement: Sql,
        params: impl Params,
        row: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.statement(statement)?.query_row(params, row).optional()
    }

    /// The whole answer.
    pub(super) fn all<T>(
        &mut self,
        statement: Sql,
        params: impl Params,
        row: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.statement(statement)?.query_map(params, row)?.collect()
    }

    /// Does `work` in a transaction that stands or falls with it.
    pub(super) fn transaction<T>(
        &mut self,
        begin: Sql,
        work: impl FnOnce(&mut Self) -> std::result::Result<T, StoreError>,
    ) -> std::result::Result<T, StoreError> {
        self.run(begin, []).map_err(store_error)?;
        let done = work(self).and_then(|done| {
            self.run(Sql::Commit, []).map_err(store_error)?;
            Ok(done)
        });
        // After some errors SQLite has gone back by itself.
        if done.is_err() && !self.connection.is_autocommit() {
            self.run(Sql::Rollback, []).map_err(store_error)?;
        }
        done
    }
}

/// The key of the device of this id. Made of it and not looked up, so that a registration asks nothing before it is
/// written; by a hash for which nobody finds another id with the same key (ADR 4).
pub(super) fn key(id: &str) -> i64 {
    let hash = Sha256::digest(id);
    i64::from_be_bytes(std::array::from_fn(|at| hash[at]))
}
