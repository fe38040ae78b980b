//! Hash tables of what nobody outside names freely.

/// The quick hash of such tables, by a key that each table draws for itself.
pub(crate) type IdHash = hashbrown::DefaultHashBuilder;

/// A hash table whose keys are ids that we made, or addresses of accounts: it need not withstand keys that somebody chose
/// to collide, and so hashes several times faster than the standard one.
pub type IdMap<K, V> = std::collections::HashMap<K, V, IdHash>;
