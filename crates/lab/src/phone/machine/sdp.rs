//! Session descriptions without media: a simulated phone hears and says nothing, but its offers and answers are good.

use std::fmt::Write as _;
use std::net::IpAddr;

/// The discard port: where media would go that nobody sends.
const NO_PORT: u16 = 9;

/// An offer of one audio stream (RFC 3264 §5).
pub(super) fn offer(address: IpAddr) -> String {
    format!(
        "{}m=audio {NO_PORT} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=inactive\r\n",
        head(address)
    )
}

/// The answer to `offer`: its first audio stream in the first format it names, all others refused (RFC 3264 §6).
/// Without an offer it is our own.
pub(super) fn answer(offer: &[u8], address: IpAddr) -> String {
    let offered = String::from_utf8_lossy(offer);
    let mut media = String::new();
    let mut has_audio = false;
    for line in offered.lines().filter_map(|line| line.strip_prefix("m=")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, _, protocol, format, ..] = words[..] else {
            continue;
        };
        let takes = kind == "audio" && !has_audio;
        has_audio |= takes;
        let port = if takes { NO_PORT } else { 0 };
        let _ = write!(
            media,
            "m={kind} {port} {protocol} {format}\r\na=inactive\r\n"
        );
    }
    if media.is_empty() {
        self::offer(address)
    } else {
        head(address) + &media
    }
}

fn head(address: IpAddr) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!("v=0\r\no=- 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_answer_has_a_line_for_every_stream_of_the_offer_and_takes_one() {
        let offer = "v=0\r\nm=video 5000 RTP/AVP 96 97\r\nm=audio 5002 RTP/AVP 8 0\r\nm=audio 5004 RTP/AVP 0\r\n";
        let answer = answer(offer.as_bytes(), Ipv4Addr::LOCALHOST.into());
        let media: Vec<_> = answer
            .lines()
            .filter(|line| line.starts_with("m="))
            .collect();
        assert_eq!(
            media,
            [
                "m=video 0 RTP/AVP 96",
                "m=audio 9 RTP/AVP 8",
                "m=audio 0 RTP/AVP 0"
            ]
        );
    }
}
