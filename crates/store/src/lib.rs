//! Where state lives: one trait, in memory and in SQLite, one contract suite.
