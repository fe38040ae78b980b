//! Ports for one test. Test processes run side by side, so each keeps a block of ports to itself for as long as
//! it lives, by holding the block's first port open; the kernel gives the block back when the process ends.

use std::net::{TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// Below the range from which the kernel takes ports for outgoing connections.
const FIRST: u16 = 20_000;
const BLOCK: u16 = 60;
const BLOCKS: u16 = 200;

struct Block {
    _held: TcpListener,
    next: u16,
    end: u16,
}

static OURS: Mutex<Option<Block>> = Mutex::new(None);

/// A port on 127.0.0.1 that nobody uses, over UDP or TCP, and that no other test will take. The port behind it is
/// free as well (for RTCP), and never given out.
pub fn free_port() -> u16 {
    free_ports(2)
}

/// The same for media: the three ports behind it are free as well, for RTCP, and for both of video, which some peers
/// open whether or not they send any.
pub fn media_port() -> u16 {
    free_ports(4)
}

/// The first and the last of the ports of a media relay: enough for a few calls.
pub(crate) fn port_range() -> (u16, u16) {
    const PORTS: u16 = 50;
    let first = free_ports(PORTS);
    (first, first + PORTS - 1)
}

/// The first of so many neighbours.
fn free_ports(count: u16) -> u16 {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let block = ours.get_or_insert_with(take_block);
        if block.next + count > block.end {
            // The old block's ports may be in use still: keep it from others by leaking its marker.
            let old = ours.replace(take_block());
            std::mem::forget(old);
            continue;
        }
        let port = block.next;
        block.next += count;
        if (port..port + count).all(is_free) {
            return port;
        }
    }
}

fn take_block() -> Block {
    // Start where no other test starts, so that blocks are found at the first try.
    let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).expect("less than BLOCKS");
    (0..BLOCKS)
        .map(|step| FIRST + (start + step) % BLOCKS * BLOCK)
        .find_map(|base| {
            let held = TcpListener::bind(("127.0.0.1", base)).ok()?;
            Some(Block {
                _held: held,
                next: base + 2,
                end: base + BLOCK,
            })
        })
        .expect("a free block of ports")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok()
}
