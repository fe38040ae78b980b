//! Channel bindings: what ties a sign-in to the TLS connection that it is made over.

/// A way to name a TLS connection (XEP-0440 lists them to the client).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BindingKind {
    /// `tls-exporter`: keying material of the connection, TLS 1.3 (RFC 9266).
    TlsExporter,
    /// `tls-server-end-point`: a hash of the server's certificate (RFC 5929).
    TlsServerEndPoint,
}

/// Names, the stronger first.
const NAMES: [(BindingKind, &str); 2] = [
    (BindingKind::TlsExporter, "tls-exporter"),
    (BindingKind::TlsServerEndPoint, "tls-server-end-point"),
];

impl BindingKind {
    /// Its name in the registry of channel bindings.
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => NAMES[0].1,
            Self::TlsServerEndPoint => NAMES[1].1,
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        let row = NAMES.iter().find(|(_, known)| *known == name);
        row.map(|(kind, _)| *kind)
    }
}

/// What this end of the connection knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Of which kind.
    pub kind: BindingKind,
    /// The octets that both ends must have.
    pub data: Vec<u8>,
}

impl Binding {
    /// The octets of that kind, if there are any.
    pub(super) fn find(bindings: &[Self], kind: BindingKind) -> Option<&[u8]> {
        let found = bindings.iter().find(|binding| binding.kind == kind);
        found.map(|binding| binding.data.as_slice())
    }
}
