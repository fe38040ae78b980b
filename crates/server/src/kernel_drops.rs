//! Datagrams that the kernel has dropped, since the buffers of our sockets were full: nobody here ever sees them, so it is asked.

use std::net::SocketAddr;

/// Where Linux tells of the sockets of this network, one a line; the last column is what was dropped (proc(5)).
const TABLES: [&str; 2] = ["/proc/self/net/udp", "/proc/self/net/udp6"];

/// How many were dropped at the sockets that listen at these addresses, since they are there; nothing, where nobody tells.
pub(crate) fn dropped(at: &[SocketAddr]) -> u64 {
    let tables = TABLES
        .iter()
        .filter_map(|it| std::fs::read_to_string(it).ok());
    tables.map(|table| in_table(&table, at)).sum()
}

fn in_table(table: &str, at: &[SocketAddr]) -> u64 {
    let of_line = |line: &str| {
        let mut columns = line.split_ascii_whitespace();
        let (_, port) = columns.nth(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        at.iter().find(|it| it.port() == port)?;
        columns.next_back()?.parse::<u64>().ok()
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn what_the_kernel_drops_at_our_port_is_counted() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = ours.local_addr().unwrap();
        assert_eq!(dropped(&[at]), 0);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Nobody reads: sooner or later the buffer is full.
        let octets = [0; 8_000];
        for _ in 0..10_000 {
            sender.send_to(&octets, at).unwrap();
            if dropped(&[at]) > 0 {
                assert_eq!(dropped(&[sender.local_addr().unwrap()]), 0);
                return;
            }
        }
        panic!("nothing was dropped");
    }
}
