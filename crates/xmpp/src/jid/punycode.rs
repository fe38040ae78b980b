//! The encoding of labels of domains in ASCII (RFC 3492), read only: addresses have labels as people write them.

/// The parameters of RFC 3492 for domains.
const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const FIRST_BIAS: u32 = 72;
const FIRST_CODE_POINT: u32 = 128;

/// Decodes what stands behind `xn--`, in lower case; `None` if it encodes nothing.
pub(super) fn decode(text: &str) -> Option<String> {
    let (plain, encoded) = text.rsplit_once('-').unwrap_or(("", text));
    if encoded.is_empty() {
        return None;
    }
    let mut decoded: Vec<char> = plain.chars().collect();
    let (mut code_point, mut bias, mut at) = (FIRST_CODE_POINT, FIRST_BIAS, 0);
    let mut digits = encoded.bytes();
    while digits.len() > 0 {
        let before = at;
        let (mut weight, mut k) = (1_u32, BASE);
        loop {
            let digit = digit(digits.next()?)?;
            at = digit.checked_mul(weight)?.checked_add(at)?;
            let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
            k += BASE;
        }
        let length = u32::try_from(decoded.len()).ok()? + 1;
        bias = adapt(at - before, length, before == 0);
        code_point = code_point.checked_add(at / length)?;
        at %= length;
        decoded.insert(usize::try_from(at).ok()?, char::from_u32(code_point)?);
        at += 1;
    }
    Some(decoded.into_iter().collect())
}

fn digit(octet: u8) -> Option<u32> {
    match octet {
        b'a'..=b'z' => Some(u32::from(octet - b'a')),
        b'0'..=b'9' => Some(u32::from(octet - b'0') + 26),
        _ => None,
    }
}

fn adapt(delta: u32, length: u32, first: bool) -> u32 {
    let mut delta = delta / if first { DAMP } else { 2 };
    delta += delta / length;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (text, decoded) in [
            ("bcher-kva", Some("b\u{fc}cher")),
            ("maana-pta", Some("ma\u{f1}ana")),
            // The first sample of RFC 3492, Arabic, and one of Japanese with a number.
            (
                "egbpdaj6bu4bxfgehfvwxn",
                Some(
                    "\u{644}\u{64a}\u{647}\u{645}\u{627}\u{628}\u{62a}\u{643}\u{644}\u{645}\u{648}\u{634}\u{639}\u{631}\u{628}\u{64a}\u{61f}",
                ),
            ),
            (
                "3b-ww4c5e180e575a65lsy2b",
                Some("3\u{5e74}b\u{7d44}\u{91d1}\u{516b}\u{5148}\u{751f}"),
            ),
            ("", None),
            ("a-", None),
            ("99999999", None),
            ("b!", None),
        ] {
            assert_eq!(decode(text).as_deref(), decoded, "{text}");
        }
    }
}
