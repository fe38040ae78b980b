//! Damages messages in the ways that networks, bugs and attackers do. The same seed gives the same damage.

/// A source of damaged messages.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// A mutator whose choices follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// `SplitMix64` (Steele, Lea and Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, or 0 when that is 0.
    fn below(&mut self, limit: usize) -> usize {
        let limit = limit.max(1) as u64;
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    /// One message of `seeds`, damaged one to four times.
    pub fn damaged(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut message = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.damage(&mut message, seeds);
        }
        message
    }

    fn damage(&mut self, message: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(message.len());
        match self.below(9) {
            // One byte flips, goes, or comes.
            0 => {
                let bit = self.below(8);
                if let Some(byte) = message.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            1 => drop((!message.is_empty()).then(|| message.remove(at))),
            2 => {
                const MEANINGFUL: &[u8] = b"\0\r\n\t \"<>;:,=@%?&\\()[]{}\xff\x80*09";
                let byte = MEANINGFUL[self.below(MEANINGFUL.len())];
                message.insert(at, byte);
            }
            // The end is lost.
            3 => message.truncate(at),
            // A stretch is said again, many times.
            4 => {
                let end = (at + self.below(40)).min(message.len());
                let stretch = message[at..end].repeat(1 + self.below(60));
                message.splice(at..at, stretch);
            }
            // A whole line goes, is doubled, or comes from another message.
            5 => drop(self.line(message).map(|line| message.drain(line))),
            6 => {
                if let Some(line) = self.line(message) {
                    let copy = message[line.clone()].to_vec();
                    message.splice(line.end..line.end, copy);
                }
            }
            7 => {
                let other = &seeds[self.below(seeds.len())];
                if let (Some(from), Some(to)) = (self.line(other), self.line(message)) {
                    message.splice(to, other[from].iter().copied());
                }
            }
            // A number becomes an unlikely one.
            _ => {
                const NUMBERS: [&str; 6] = [
                    "-1",
                    "0",
                    "4294967296",
                    "18446744073709551616",
                    "99999999999999999999",
                    "1e9",
                ];
                let number = NUMBERS[self.below(NUMBERS.len())];
                if let Some(start) = message[at..]
                    .iter()
                    .position(u8::is_ascii_digit)
                    .map(|found| at + found)
                {
                    let length = message[start..]
                        .iter()
                        .take_while(|byte| byte.is_ascii_digit())
                        .count();
                    message.splice(start..start + length, number.bytes());
                }
            }
        }
    }

    /// A line of a message, with its line end.
    fn line(&mut self, message: &[u8]) -> Option<std::ops::Range<usize>> {
        let ends: Vec<usize> = message
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at + 1)
            .collect();
        let chosen = self.below(ends.len());
        let end = *ends.get(chosen)?;
        let start = if chosen == 0 { 0 } else { ends[chosen - 1] };
        Some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn the_same_seed_does_the_same_damage() {
        let seeds = vec![SEED.to_vec()];
        let run = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..500)
                .map(|_| mutator.damaged(&seeds))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn most_of_what_comes_out_is_damaged_and_bounded() {
        let seeds = vec![SEED.to_vec(), Vec::new()];
        let mut mutator = Mutator::new(1);
        let out: Vec<_> = (0..2_000).map(|_| mutator.damaged(&seeds)).collect();
        let unchanged = out.iter().filter(|message| seeds.contains(message)).count();
        assert!(
            unchanged < 1_500,
            "{unchanged} of 2000 came out as they went in"
        );
        assert!(out.iter().all(|message| message.len() < 100_000));
    }
}
