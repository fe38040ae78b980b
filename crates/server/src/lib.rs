//! The reveille server.
