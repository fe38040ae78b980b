//! What of a push only the device may read, sealed with the key that it handed over (`behaviour.md` 9).

use domain::{Notification, device::SealingKey};
use hub::Secret;
use serde::Serialize;
use store::Store;

/// Most of a message's text that goes into a push, in characters: the platforms' limit leaves no room for more.
const PREVIEW: usize = 256;

/// What of a call only the device may read.
#[derive(Serialize)]
struct Caller<'a> {
    name: &'a str,
    number: &'a str,
}

/// What of a message only the device may read.
#[derive(Serialize)]
struct Preview {
    from: String,
    name: String,
    text: String,
}

/// The token to push to: a Web Push subscription whose client handed its keys over apart from it gets them, for its whole
/// push is sealed with them.
pub(crate) fn sealable(token: &str, key: Option<&SealingKey>) -> Option<String> {
    push::webpush::with_key(token, key?)
}

/// Puts the secret into the push, if its device has a key; without one the push says nothing personal.
pub(super) async fn seal_into(
    notification: &mut Notification,
    key: Option<&SealingKey>,
    secret: &Secret,
    store: &dyn Store,
) {
    let Some(key) = key else {
        return;
    };
    notification.sealed = match secret {
        Secret::None => None,
        Secret::Caller { name, number } => seal(key, &Caller { name, number }),
        Secret::Message(id) => match store.message(id).await {
            Ok(Some(message)) => seal(key, &preview(&message)),
            _ => None,
        },
    };
}

fn preview(message: &domain::Message) -> Preview {
    // Whichever protocol it came by: nobody wants to read a stanza.
    let text = im::text(message).unwrap_or_default();
    Preview {
        from: message.from.clone(),
        name: message.from_name.clone(),
        text: text.chars().take(PREVIEW).collect(),
    }
}

/// Seals a value for a device; a key that is none is as good as no key.
fn seal(key: &SealingKey, value: &impl Serialize) -> Option<Vec<u8>> {
    let plain = serde_json::to_vec(value).ok()?;
    match push::seal::seal(key, &plain, &push::seal::Entropy::random()) {
        Ok(sealed) => Some(sealed),
        Err(error) => {
            tracing::warn!(%error, "nothing can be sealed with a device's key: its push says nothing personal");
            None
        }
    }
}
