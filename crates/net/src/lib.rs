//! Real sockets for the protocol cores: UDP in batches, TCP and TLS with framing, limits and idle timeouts.
