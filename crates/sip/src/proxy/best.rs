//! Choosing the best final response (RFC 3261 §16.7 steps 6 and 7).

use crate::{Edit, HeaderName, Message};

/// What goes to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Best {
    /// This response, as it goes upstream but for its top Via.
    Response(Message),
    /// A response of our own with this status.
    Status(u16),
}

/// Within a class, what tells the caller how to ask again comes first, what tells nothing last.
const FIRST: [u16; 5] = [401, 407, 415, 420, 484];
const LAST: [u16; 3] = [408, 487, 503];

/// The lower the better: 6xx, then the lowest class.
fn rank(status: u16) -> (u16, u8) {
    let class = if status >= 600 { 0 } else { status / 100 };
    let within = match status {
        401 | 407 => 0,
        _ if FIRST.contains(&status) => 1,
        _ if LAST.contains(&status) => 3,
        _ => 2,
    };
    (class, within)
}

/// The best of these; the first of equals. `None` if there are none.
pub(super) fn best<'f>(
    finals: impl Iterator<Item = (u16, Option<&'f Message>)> + Clone,
) -> Option<Best> {
    let (status, response) = finals.clone().min_by_key(|(status, _)| rank(*status))?;
    Some(match response {
        // Of the target, not of us (§16.7 step 6).
        _ if status == 503 => Best::Status(500),
        None => Best::Status(status),
        Some(response) if matches!(status, 401 | 407) => {
            Best::Response(with_all_challenges(response, finals))
        }
        Some(response) => Best::Response(response.clone()),
    })
}

/// The challenges of all other targets are added (§16.7 step 7).
fn with_all_challenges<'f>(
    chosen: &Message,
    finals: impl Iterator<Item = (u16, Option<&'f Message>)>,
) -> Message {
    let mut edit = Edit::new(chosen);
    for (status, response) in finals {
        let Some(response) =
            response.filter(|response| matches!(status, 401 | 407) && *response != chosen)
        else {
            continue;
        };
        for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
            for challenge in response.headers(name) {
                edit = edit.append(name, challenge);
            }
        }
    }
    edit.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_response_is_chosen_by_class_and_use() {
        let table: [(&[u16], Option<u16>); 10] = [
            (&[], None),
            (&[486], Some(486)),
            (&[404, 603, 302], Some(603)),
            (&[500, 404], Some(404)),
            (&[404, 302], Some(302)),
            (&[408, 486], Some(486)),
            (&[487, 480, 484], Some(484)),
            (&[503, 407, 501, 404], Some(407)),
            (&[503, 502], Some(502)),
            (&[503, 503], Some(500)),
        ];
        for (statuses, expected) in table {
            let expected = expected.map(Best::Status);
            assert_eq!(
                best(statuses.iter().map(|status| (*status, None))),
                expected,
                "{statuses:?}"
            );
        }
    }
}
