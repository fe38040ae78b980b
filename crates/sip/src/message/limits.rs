//! What a message may cost us. Every bound that the parser and the framer keep is named here, with what happens at it.

/// Bounds of one message. At each of them the message is refused with the status named, never cut short silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a whole message, body included; beyond it `513 Message Too Large`.
    pub message_bytes: usize,
    /// Octets of the start line; beyond it `414 Request-URI Too Long` (a response is dropped).
    pub start_line_bytes: usize,
    /// Octets of one header field with its continuation lines; beyond it `400`.
    pub header_bytes: usize,
    /// Header fields of a message; beyond it `400`.
    pub header_count: usize,
}

impl Default for Limits {
    /// Room for what real phones and the longest messages of RFC 4475 need, and little more.
    fn default() -> Self {
        Self {
            message_bytes: 65_535,
            start_line_bytes: 8 * 1024,
            header_bytes: 16 * 1024,
            header_count: 256,
        }
    }
}
