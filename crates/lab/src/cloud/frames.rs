//! HTTP/2 frames (RFC 9113 §4.1) as they pass, in pieces of any size: acknowledgements of SETTINGS are told to the wire's
//! control, and what it ordered is written into the SETTINGS and GOAWAY frames that `h2` makes.

use super::wire_control::WireControl;
use bytes::BytesMut;

const FRAME_HEADER: usize = 9;
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const ACK: u8 = 0x1;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;

/// Looks at the frames that the client sends, for acknowledgements of SETTINGS.
pub(super) struct Inbound {
    /// Bytes until the next frame header.
    skip: usize,
    header: BytesMut,
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            skip: PREFACE,
            header: BytesMut::with_capacity(FRAME_HEADER),
        }
    }
}

impl Inbound {
    /// Looks at what came from the socket.
    pub(super) fn look(&mut self, mut bytes: &[u8], control: &WireControl) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (FRAME_HEADER - self.header.len()).min(bytes.len());
            if self.skip == 0 {
                self.header.extend_from_slice(&bytes[..wanted]);
                bytes = &bytes[wanted..];
            }
            if self.header.len() == FRAME_HEADER {
                self.skip = payload_length(&self.header);
                if self.header[3] == SETTINGS && self.header[4] & ACK != 0 {
                    control.take_acknowledgement();
                }
                self.header.clear();
            }
        }
    }
}

/// Rewrites the frames that the server sends.
#[derive(Default)]
pub(super) struct Outbound {
    /// Bytes of the present frame that still pass unchanged.
    pass: usize,
    /// The present frame, as far as it is there, if it may have to be rewritten.
    frame: BytesMut,
}

impl Outbound {
    /// Passes what `h2` writes on to `out`.
    pub(super) fn pass(&mut self, mut bytes: &[u8], out: &mut BytesMut, control: &WireControl) {
        while !bytes.is_empty() {
            let passed = self.pass.min(bytes.len());
            out.extend_from_slice(&bytes[..passed]);
            self.pass -= passed;
            bytes = &bytes[passed..];
            if bytes.is_empty() {
                return;
            }
            let whole = self.wanted();
            let taken = (whole - self.frame.len()).min(bytes.len());
            self.frame.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.frame.len() < self.wanted() {
                continue;
            }
            let length = payload_length(&self.frame);
            match self.frame[3] {
                SETTINGS if self.frame[4] & ACK == 0 => {
                    write_settings(&self.frame, out, control);
                }
                GOAWAY => write_go_away(&self.frame, out, control),
                _ => {
                    out.extend_from_slice(&self.frame);
                    self.pass = length;
                }
            }
            self.frame.clear();
        }
    }

    /// How much of the present frame is needed to decide: SETTINGS and GOAWAY whole, of others the header.
    fn wanted(&self) -> usize {
        let rewritten =
            self.frame.len() >= FRAME_HEADER && matches!(self.frame[3], SETTINGS | GOAWAY);
        if rewritten {
            FRAME_HEADER + payload_length(&self.frame)
        } else {
            FRAME_HEADER
        }
    }
}

fn payload_length(header: &[u8]) -> usize {
    usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2])
}

/// Writes `frame` with another payload length: the header's first three bytes.
fn write_header(frame: &[u8], length: usize, out: &mut BytesMut) {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&frame[3..FRAME_HEADER]);
}

fn write_settings(frame: &[u8], out: &mut BytesMut, control: &WireControl) {
    write_header(frame, payload_length(frame) + 6, out);
    out.extend_from_slice(&frame[FRAME_HEADER..]);
    out.extend_from_slice(&MAX_CONCURRENT_STREAMS.to_be_bytes());
    out.extend_from_slice(&control.send_settings().to_be_bytes());
}

fn write_go_away(frame: &[u8], out: &mut BytesMut, control: &WireControl) {
    let Some(go_away) = control.send_go_away() else {
        out.extend_from_slice(frame);
        return;
    };
    write_header(frame, 8 + go_away.debug.len(), out);
    out.extend_from_slice(&go_away.last_stream.to_be_bytes());
    out.extend_from_slice(&frame[FRAME_HEADER + 4..FRAME_HEADER + 8]);
    out.extend_from_slice(&go_away.debug);
}

#[cfg(test)]
mod tests {
    use super::{super::wire_control::GoAway, *};
    use bytes::Bytes;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 0]);
        frame.extend(payload);
        frame
    }

    #[test]
    fn two_kinds_of_frames_are_rewritten_however_the_bytes_are_cut() {
        let data = frame(0x0, 0, b"some data");
        let settings_ack = frame(SETTINGS, ACK, &[]);
        let sent = [
            frame(SETTINGS, 0, &[0, 4, 0, 0, 255, 255]),
            data.clone(),
            settings_ack.clone(),
            frame(GOAWAY, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            data.clone(),
        ]
        .concat();
        let wanted = [
            frame(SETTINGS, 0, &[0, 4, 0, 0, 255, 255, 0, 3, 0, 0, 0, 7]),
            data.clone(),
            settings_ack,
            frame(GOAWAY, 0, b"\0\0\0\x05\0\0\0\0because"),
            data,
        ]
        .concat();
        for cut in 1..sent.len() {
            let control = WireControl::new(7);
            control.set_go_away(GoAway {
                last_stream: 5,
                debug: Bytes::from_static(b"because"),
            });
            let (mut outbound, mut out) = (Outbound::default(), BytesMut::new());
            for piece in sent.chunks(cut) {
                outbound.pass(piece, &mut out, &control);
            }
            assert_eq!(out, wanted, "cut every {cut}");
        }
    }

    #[test]
    fn a_lower_limit_binds_the_client_once_it_is_acknowledged() {
        let control = WireControl::new(100);
        let mut out = BytesMut::new();
        let settings = frame(SETTINGS, 0, &[]);
        Outbound::default().pass(&settings, &mut out, &control);
        control.set_streams(1);
        Outbound::default().pass(&settings, &mut out, &control);
        assert_eq!(control.streams_in_force(), 100);

        let client = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(SETTINGS, ACK, &[]),
            frame(0x6, 0, &[0; 8]),
            frame(SETTINGS, ACK, &[]),
        ]
        .concat();
        let mut inbound = Inbound::default();
        for piece in client.chunks(5) {
            inbound.look(piece, &control);
        }
        assert_eq!(control.streams_in_force(), 1);
    }
}
